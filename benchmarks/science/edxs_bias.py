"""Bias of compositions over draws, with most of what the noise of the draws feigns taken off.

A fit is off by its bias, and by what the noise of the counts does. To first order the latter is
Σ w (counts − expected), whose mean over draws is exactly 0 whatever the weights w are, as long as
all draws have the same: a control variate. On the average, fits less this sum have the bias of the
fits; of their noise, only what the weights do not tell. Weights are computed from the truth by the
simulator, for the measurement alone: no fit knows of them. Poor ones would give a larger standard
error, and no other bias.

References:
    Owen, Monte Carlo theory, methods and examples (2013), section 8.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from benchmarks.science.edxs_cases import Phases, Runs
from benchmarks.science.edxs_rows import Measured, place_of
from benchmarks.science.edxs_scores import Against
from benchmarks.science.edxs_simulator import (
    Instrument,
    Specimen,
    as_tabulated,
    bremsstrahlung,
    characteristic,
)
from benchmarks.science.rows import Row

Array = NDArray[np.float64]

EDGE = 4
"""Pixels along each edge of a sum: the package finds what pixels have in common on such."""
STEP = 1e-3
"""Of differences that stand for slopes, in the unit of each unknown."""
LEAST = 1e-6
"""Of the largest expected count: fewer weigh no more."""


@dataclass(frozen=True)
class NoiseOfDraws:
    """What the noise of a draw does to at.%, to first order.

    Attributes:
        expected: (sum, channel), counts.
        edge: pixels along each edge of a sum.
        weights: (phase, element, sum, channel), at.% a count; 0 where the truth is 0.
    """

    expected: Array
    edge: int
    weights: Array

    def off(self, counts: Any) -> Array:
        """(phase, element), at.%, of counts (y, x, channel): over draws its mean is 0."""
        return np.tensordot(self.weights, summed(counts, self.edge) - self.expected, 2)

    @property
    def errors(self) -> Array:
        """(phase, element), at.%: its standard deviation over draws."""
        return np.sqrt(np.tensordot(self.weights**2, self.expected, 2))


@dataclass(frozen=True)
class Sums:
    """Sums of pixels that are alike, and what is unknown of them.

    Attributes:
        instrument: that sees them; case: of the elements and the axis.
        pixels: (sum, 1), their number.
        amounts: (sum, phase), of a pixel; atomic: (phase, element), at.%.
        heights: (2,), of lines and of continuum.
        tilt: (1,), by which the continuum grows where the energy does e-fold.
        absorption: (1,), by which it exceeds the true, a share.
    """

    instrument: Instrument
    case: Phases
    pixels: Array
    amounts: Array
    atomic: Array
    heights: Array
    tilt: Array
    absorption: Array

    @classmethod
    def of(cls, instrument: Instrument, case: Phases, expected: Array, edge: int) -> Sums:
        """As they truly are, with heights as in the expected counts (y, x, channel)."""
        shape = expected.shape[:2]
        pixels = summed(np.ones((*shape, 1)), edge)
        amounts = summed(case.amounts.T.reshape(*shape, -1), edge) / pixels
        zero = np.zeros(1)
        true = cls(instrument, case, pixels, amounts, case.atomic, np.ones(2), zero, zero)
        heights, _ = nnls(true.parts().sum(1).T, expected.sum((0, 1)))
        return replace(true, heights=heights)

    def parts(self) -> Array:
        """(2, sum, channel): lines and continuum, before their heights."""
        specimen = Specimen(self.case.elements, self.amounts @ (self.atomic / 100))
        sine = np.sin(np.radians(self.instrument.elevation)) / (1 + self.absorption[0])
        seen_by = replace(self.instrument, elevation=float(np.degrees(np.arcsin(sine))))
        told = seen_by, specimen, self.case.channels
        energy = np.maximum(self.case.channels, self.case.channels[-1] / 1e3)
        tilted = (energy / energy[-1]) ** self.tilt
        return self.pixels * np.stack([characteristic(*told), tilted * bremsstrahlung(*told)])

    def slope(self, unknown: str, along: Any) -> Array:
        """(sum, channel): by how much counts grow for a step of an unknown along a direction."""
        along = np.asarray(along, dtype=float)
        here = getattr(self, unknown)
        up, down = (
            np.tensordot(moved.heights, moved.parts(), 1)
            for moved in (replace(self, **{unknown: here + way * along}) for way in (STEP, -STEP))
        )
        return (up - down) / (2 * STEP)

    def of_rows(self) -> Array:
        """(phase, sum, channel): slopes by what every sum has of a phase."""
        unit = self.amounts.mean()
        return np.stack([self.slope("amounts", unit * one) for one in np.eye(len(self.atomic))])

    def of_few(self) -> tuple[Array, Array]:
        """Slopes (few, sum, channel) by what sums have in common; and at.% (phase, element, few).

        The sum of a phase's at.% stays: what one element gains, the most frequent one loses.
        """
        slopes, moved = [], []
        for phase, own in enumerate(self.atomic):
            most = int(np.argmax(own))
            for element in np.flatnonzero(own):
                if element != most:
                    along = np.zeros_like(self.atomic)
                    along[phase, [element, most]] = 1, -1
                    slopes.append(self.slope("atomic", along))
                    moved.append(along)
        slopes.append(self.slope("heights", [0, self.heights[1]]))
        slopes += [self.slope(unknown, [1]) for unknown in ("tilt", "absorption")]
        moved += 3 * [np.zeros_like(self.atomic)]
        return np.stack(slopes), np.stack(moved, -1)


def summed(values: Any, edge: int) -> Array:
    """(sum, channel) of values (y, x, channel): of squares of pixels, smaller at the far sides."""
    total = np.asarray(values)
    for axis in (0, 1):
        starts = np.arange(0, total.shape[axis], edge)
        total = np.add.reduceat(total, starts, axis, dtype=np.float64)
    return total.reshape(-1, total.shape[2])


def noise_of_draws(
    instrument: Instrument, case: Phases, expected: Array, edge: int = EDGE
) -> NoiseOfDraws:
    """Of the likeliest at.%, where maps, absorption, height and tilt of continuum are unknown, too.

    Slopes by what is in common are those that no change of the maps imitates (Schur complement).

    Args:
        instrument: that sees the map; case: the map with its truth.
        expected: (y, x, channel) counts.
        edge: pixels along each edge of a sum.
    """
    true, counts = Sums.of(instrument, case, expected, edge), summed(expected, edge)
    rows, (few, moved) = true.of_rows(), true.of_few()
    weight = 1 / np.maximum(counts, LEAST * counts.max())
    own = np.einsum("rpc,pc,spc->prs", rows, weight, rows, optimize=True)
    shared = np.einsum("rpc,pc,fpc->prf", rows, weight, few, optimize=True)
    few = few - np.einsum("rpc,prf->fpc", rows, np.linalg.solve(own, shared), optimize=True)
    information = np.einsum("fpc,pc,gpc->fg", few, weight, few, optimize=True)
    follow = moved @ np.linalg.inv(information)
    return NoiseOfDraws(counts, edge, np.tensordot(follow, few * weight, 1))


def bias_of_fit(draws: Sequence[Against], noise: Sequence[Array]) -> tuple[Array, Array]:
    """Mean error of at.% less its noise over the mean claimed error, and the standard error of it.

    Args:
        draws: fits beside the truth, at least two.
        noise: (phase, element) of each, at.%, of mean 0.

    Returns:
        Two of (phase, element), no unit; `nan` where the truth is 0.
    """
    left = np.array([draw.off - own for draw, own in zip(draws, noise, strict=True)])
    claimed = np.mean([draw.errors for draw in draws], axis=0)
    claimed = np.where(draws[0].truth > 0, claimed, np.nan)
    return left.mean(0) / claimed, left.std(0, ddof=1) / len(left) ** 0.5 / claimed


def shared_noise(runs: Runs) -> NoiseOfDraws:
    """Of draws of the shared map."""
    case = runs.phases
    instrument = Instrument(offset=case.offset, gain=case.gain, filling=as_tabulated)
    return noise_of_draws(instrument, case, runs.expected)


def draws_bias_of_fit(runs: Runs) -> Measured:
    """Of the same draws as `bias`."""
    noise = shared_noise(runs)
    off = [noise.off(runs.counts(number)) for number in range(runs.draws)]
    each, error = bias_of_fit([runs.beside(found) for found in runs.drawn], off)
    each = np.abs(each)
    worst = float(np.max(np.where(runs.phases.atomic > 0, each, 0.0)))
    said = f"worst {worst:.2f} ({place_of(runs, np.nan_to_num(each))}), mean {np.nanmean(each):.2f}"
    return f"{said} sd, each to ± {np.nanmax(error):.2f} or better", worst <= 0.4


ROWS = (
    Row(
        "bias-of-fit",
        "draws: mean error, their noise taken off",
        "≤ 0.4 sd each",
        draws_bias_of_fit,
    ),
)

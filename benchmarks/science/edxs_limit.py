"""How far off at.% are by the counts of a map alone, where all but the compositions is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls

from benchmarks.science.edxs_cases import Phases, Runs
from benchmarks.science.edxs_rows import Measured, place_of
from benchmarks.science.edxs_simulator import (
    Instrument,
    Leaving,
    Specimen,
    as_tabulated,
    bremsstrahlung,
    characteristic,
)
from benchmarks.science.rows import Row

Array = NDArray[np.float64]

DOSE = 0.1
"""Of `fused_adf`, over that of `edxs_phases`."""
SEED = 77
STEPS = 50
"""Of expectation and maximisation, before those of a quasi-Newton method."""
LEAST = 1e-4
"""Counts, below which expected ones are not known."""
CHUNK = 128
"""Pixels at once."""


@dataclass(frozen=True)
class KnownMaps:
    """Maps, thickness, absorption, detector, k factors and continuum as they truly are.

    What is left are atoms a (phase, element) ≥ 0, of which counts are linear: the most that an
    estimate of compositions can be told.

    Attributes:
        maps: (phase, pixel), of any scale.
        photons: (element, pixel, channel), counts by an atom of each.
    """

    maps: Array
    photons: Array

    @classmethod
    def of(cls, instrument: Instrument, case: Phases, expected: Array | None = None) -> KnownMaps:
        """Of a specimen, with the heights of lines and of continuum as in the expected counts.

        Args:
            expected: (pixel, channel); None: as the simulator has them.
        """
        whole = Specimen(case.elements, case.amounts.T @ (case.atomic / 100))
        atoms = [Specimen((e,), np.ones((len(whole.amounts), 1))) for e in case.elements]
        parts = [[make(instrument, one, case.channels, among(whole)) for one in atoms]
                 for make in (characteristic, bremsstrahlung)]  # fmt: skip
        heights = np.ones(2)
        if expected is not None:
            made = np.einsum("pe,xepc->cx", whole.amounts, parts, optimize=True)
            heights = nnls(made, expected.sum(0))[0]
        return cls(case.amounts, np.einsum("x,xepc->epc", heights, parts))

    def atomic(self, counts: Any) -> Array:
        """(phase, element), at.%: the likeliest by counts (pixel, channel)."""
        pixels, channels = np.nonzero(counts)
        seen = counts[pixels, channels].astype(float)
        shown = self.photons[:, pixels, channels]
        slopes = (self.maps[:, None, pixels] * shown).reshape(-1, len(seen))
        total = (self.maps @ self.photons.sum(2).T).ravel()

        def lost(scaled: Array) -> tuple[float, Array]:
            """−log likelihood of atoms in units in which each would send as many counts."""
            mean = scaled @ slopes
            value = total @ scaled - seen @ np.log(mean)
            return float(value), total - slopes @ (seen / mean)

        slopes, total, unit = slopes / total[:, None], np.ones_like(total), total
        atoms = np.full(len(total), seen.sum() / len(total))
        for _ in range(STEPS):
            atoms = atoms * (slopes @ (seen / (atoms @ slopes)))
        bounds = [(0.0, None)] * len(atoms)
        options = {"maxiter": 3000, "ftol": 1e-15, "gtol": 1e-5}
        atoms = minimize(lost, atoms, jac=True, bounds=bounds, options=options).x / unit
        shares = atoms.reshape(len(self.maps), -1)
        return 100 * shares / shares.sum(1, keepdims=True)

    def first_order(self, atomic: Array, expected: Array) -> FirstOrder:
        """What draws of the expected counts (pixel, channel) do to at.% (phase, element)."""
        there = np.flatnonzero(atomic.ravel() > 0)
        atoms = atomic * (
            expected.sum() / np.einsum("kp,ki,ipc->", self.maps, atomic, self.photons)
        )
        mean = np.einsum("kp,ki,ipc->pc", self.maps, atoms, self.photons, optimize=True)
        weight = 1 / np.maximum(mean, LEAST)
        information = np.zeros((atoms.size, atoms.size))
        for some in np.array_split(np.arange(len(mean)), -(-len(mean) // CHUNK)):
            slopes = self.maps[:, None, some, None] * self.photons[:, some]
            slopes = slopes.reshape(atoms.size, -1)
            information += (slopes * weight[some].ravel()) @ slopes.T
        total = atoms.sum(1, keepdims=True)
        per_cent = np.zeros((*atoms.shape, *atoms.shape))
        for phase, (own, whole) in enumerate(zip(atoms, total, strict=True)):
            per_cent[phase, :, phase] = 100 * (np.eye(len(own)) - own[:, None] / whole) / whole
        per_cent = per_cent.reshape(atoms.size, -1)[:, there]
        covariance = np.linalg.inv(information[np.ix_(there, there)])
        errors = np.sqrt(np.maximum(np.diag(per_cent @ covariance @ per_cent.T), 0))
        follow = np.zeros((atoms.size, atoms.size))
        follow[:, there] = per_cent @ covariance
        return FirstOrder(self, expected, weight, follow, errors.reshape(atoms.shape))


@dataclass(frozen=True)
class FirstOrder:
    """At.% as a linear function of counts: without bias, and with the least errors.

    Attributes:
        known: what is known; expected: (pixel, channel) counts; weight: over their variance.
        follow: (per cent, atoms), by the slope of the log likelihood.
        errors: (phase, element), standard, at.%.
    """

    known: KnownMaps
    expected: Array
    weight: Array
    follow: Array
    errors: Array

    def off(self, counts: Any) -> Array:
        """(phase, element), at.%: found less true, of counts (pixel, channel)."""
        beyond = (counts - self.expected) * self.weight
        pulled = np.einsum(
            "kp,ipc,pc->ki", self.known.maps, self.known.photons, beyond, optimize=True
        )
        return (self.follow @ pulled.ravel()).reshape(self.errors.shape)


def among(whole: Specimen) -> Leaving:
    """What leaves of the photons of some atoms, where all these absorb."""
    return lambda _, energy, elevation: whole.escaping(energy, elevation)


def known_maps(runs: Runs) -> tuple[KnownMaps, Array]:
    """What is known of the shared maps, and the expected counts (pixel, channel) of one."""
    case = runs.phases
    flat = runs.expected.reshape(-1, len(case.channels))
    instrument = Instrument(offset=case.offset, gain=case.gain, filling=as_tabulated)
    return KnownMaps.of(instrument, case, flat), flat


def fused_limit(runs: Runs) -> Measured:
    """By the counts of `fused_adf` and by draws of as many: no bar, but what one asks of them."""
    known, flat = known_maps(runs)

    def worst(drawn: Any) -> float:
        return float(np.abs(known.atomic(drawn) - runs.phases.atomic).max())

    stored = worst(runs.fused.counts.reshape(flat.shape))
    rng = np.random.default_rng(SEED)
    each = np.array([worst(rng.poisson(DOSE * flat)) for _ in range(runs.draws)])
    share = f"{100 * np.mean(each <= 1.5):.0f} % of {len(each)} draws ≤ 1.5"
    return f"{stored:.2f} at.%; {share}, median {np.median(each):.2f}", None


def bias_limit(runs: Runs) -> Measured:
    """The mean over the same draws as of `bias` where there is no bias: their noise alone."""
    known, flat = known_maps(runs)
    linear = known.first_order(runs.phases.atomic, flat)
    draws = (runs.counts(number).reshape(flat.shape) for number in range(runs.draws))
    off = np.mean([linear.off(drawn) for drawn in draws], axis=0)
    there = runs.phases.atomic > 0
    each = np.where(there, np.abs(off) / np.where(there, linear.errors, 1), 0.0)
    said = f"worst {each.max():.2f} ({place_of(runs, each)}), mean {each[there].mean():.2f} sd"
    return said, None


ROWS = (
    Row("limit", "limit: `fused_adf`, all but compositions known: worst at.%", "–", fused_limit),
    Row("no-bias", "limit: draws, an estimate without bias: mean error", "–", bias_limit),
)

"""How far off at.% are by the counts of a map alone, where all but the compositions is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls

from benchmarks.science.edxs_cases import Phases, Runs
from benchmarks.science.edxs_rows import Measured
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

    def atomic(self, counts: Array) -> Array:
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


def among(whole: Specimen) -> Leaving:
    """What leaves of the photons of some atoms, where all these absorb."""
    return lambda _, energy, elevation: whole.escaping(energy, elevation)


def fused_limit(runs: Runs) -> Measured:
    """By the counts of `fused_adf` and by draws of as many: no bar, but what one asks of them."""
    case, counts = runs.phases, runs.fused.counts
    flat = runs.expected.reshape(-1, len(case.channels))
    instrument = Instrument(offset=case.offset, gain=case.gain, filling=as_tabulated)
    known = KnownMaps.of(instrument, case, flat)

    def worst(drawn: Array) -> float:
        return float(np.abs(known.atomic(drawn) - case.atomic).max())

    stored = worst(counts.reshape(flat.shape))
    rng = np.random.default_rng(SEED)
    each = np.array([worst(rng.poisson(DOSE * flat)) for _ in range(runs.draws)])
    share = f"{100 * np.mean(each <= 1.5):.0f} % of {len(each)} draws ≤ 1.5"
    return f"{stored:.2f} at.%; {share}, median {np.median(each):.2f}", None


ROWS = (
    Row("limit", "limit: `fused_adf`, all but compositions known: worst at.%", "–", fused_limit),
)

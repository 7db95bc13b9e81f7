"""Simulated maps: continuum absorbed or not, and elements that are there or only might be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.science.edxs_simulator import (
    Instrument,
    Specimen,
    atomic_k,
    bremsstrahlung,
    characteristic,
    molar_masses,
)

Array = NDArray[np.float64]

CHANNELS = 0.1 + 0.01 * np.arange(1000)
"""keV."""
CANDIDATES = (
    "O", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ti",
    "Mn", "Fe", "Ni", "Cu", "Zn", "Sr", "Zr", "Mo", "Ba", "Pb",
)  # fmt: skip
BESIDE = (("P", "Zr"), ("Si", "Sr"), ("S", "Mo"), ("S", "Pb"), ("Ti", "Ba"))
"""A trace, and what its line lies upon: each pair is simulated with the trace and without."""
MAPS = 20
LEAST = 0.01
"""Atoms of every element that is there, of all."""
TRACE = (0.01, 0.03)
STRONG = (0.2, 0.35)
THICKNESS = (2e-5, 8e-5)
"""g/cm² from one side of a map to the other: about 50 and 200 nm of a ceramic."""
SMOOTH = 6.0
"""Pixels of the shares' correlation."""
OXIDES = {"NiO": {"Ni": 1, "O": 1}, "MgSiO3": {"Mg": 1, "Si": 1, "O": 3}}
SEED = 23


@dataclass(frozen=True)
class Scene:
    """A map and its truth.

    Attributes:
        elements: symbols.
        counts: (y, x, channel) on `CHANNELS`.
        atomic: (phase, element), at.%.
        amounts: (phase, pixel), mol of atoms/cm².
        instrument: by which it is seen.
    """

    elements: tuple[str, ...]
    counts: NDArray[np.uint16]
    atomic: Array
    amounts: Array
    instrument: Instrument

    @property
    def overall(self) -> dict[str, float]:
        """{element: at.% of the whole map}."""
        atoms = self.amounts.sum(1) @ self.atomic
        return dict(zip(self.elements, 100 * atoms / atoms.sum(), strict=True))

    @property
    def k_factors(self) -> dict[str, float]:
        """Atomic, of families and their α lines."""
        return atomic_k(self.instrument, self.elements, CHANNELS)


def oxides(leaving: Callable[[Specimen, Array, float], Array]) -> Scene:
    """NiO and MgSiO3, 24 × 24 pixels of 4000 counts, the continuum leaving as it is said.

    By the counts alone, were all else known, O in MgSiO3 is found to ± 0.35 at.%.
    """
    instrument = Instrument(offset=-0.003, gain=1.0006)
    rng = np.random.default_rng([SEED, 1000])
    return simulated(rng, OXIDES, (24, 24), 4000.0, instrument, leaving, smooth=SMOOTH / 2)


def candidate_maps() -> Iterator[Scene]:
    """Twenty maps of 128 × 128 pixels of 50 counts: pairs with and without a trace, then any.

    By the counts alone, were all else known, every element that is there stands out.
    """
    instrument = Instrument(offset=0.002, gain=0.9996)
    for number in range(MAPS):
        rng = np.random.default_rng([SEED, number])
        phases = composition(rng, number)
        yield simulated(rng, phases, (128, 128), 50.0, instrument, Specimen.escaping)


def simulated(
    rng: np.random.Generator,
    phases: Mapping[str, Mapping[str, float]],
    shape: tuple[int, int],
    counts: float,
    instrument: Instrument,
    leaving: Callable[[Specimen, Array, float], Array],
    smooth: float = SMOOTH,
) -> Scene:
    """Phases with smooth shares on a wedge; `counts` is the mean of a pixel."""
    elements = tuple(sorted({element for atoms in phases.values() for element in atoms}))
    atomic = np.array([[atoms.get(e, 0.0) for e in elements] for atoms in phases.values()])
    atomic = atomic / atomic.sum(1, keepdims=True)
    wedge = np.tile(np.linspace(*THICKNESS, shape[1]), shape[0])
    masses = _shares(rng, len(phases), shape, smooth) * wedge
    amounts = masses / (atomic @ molar_masses(elements))[:, None]
    specimen = Specimen(elements, amounts.T @ atomic)
    expected = characteristic(instrument, specimen, CHANNELS)
    expected += bremsstrahlung(instrument, specimen, CHANNELS, leaving)
    drawn = rng.poisson(expected * counts / expected.sum(1).mean()).astype(np.uint16)
    return Scene(elements, drawn.reshape(*shape, -1), 100 * atomic, amounts, instrument)


def _shares(rng: np.random.Generator, phases: int, shape: tuple[int, int], smooth: float) -> Array:
    """(phase, pixel) ≥ 0, sum 1: smooth, and near a pure phase in most places.

    Each phase must be pure somewhere: else no data tell what it is without the others.
    """
    noise = rng.standard_normal((phases, *shape))
    fields: Any = np.stack([gaussian_filter(field, smooth, mode="wrap") for field in noise])
    power = np.exp(4 * fields / fields.std()).reshape(phases, -1)
    return power / power.sum(0)


def composition(rng: np.random.Generator, number: int) -> dict[str, dict[str, float]]:
    """Two phases of 3 to 6 elements, by the number of the map."""
    pair, kind = divmod(number, 2)
    if pair >= len(BESIDE):
        chosen = rng.choice(CANDIDATES, rng.integers(3, 7), replace=False)
        return {name: _fractions(rng, chosen, {}) for name in "AB"}
    trace, strong = BESIDE[pair]
    alike = {element for both in BESIDE if trace in both for element in both}
    others = [element for element in CANDIDATES if element not in alike]
    chosen = [strong, *rng.choice(others, rng.integers(2, 5), replace=False)]
    held = {strong: rng.uniform(*STRONG)}
    if kind == 0:
        chosen, held = [*chosen, trace], held | {trace: rng.uniform(*TRACE)}
    return {name: _fractions(rng, chosen, held) for name in "AB"}


def _fractions(
    rng: np.random.Generator, chosen: Sequence[str], held: Mapping[str, float]
) -> dict[str, float]:
    """Of all atoms: some given, the rest drawn, none below `LEAST`."""
    free = [str(element) for element in chosen if element not in held]
    rest = 1 - sum(held.values()) - LEAST * len(free)
    drawn = LEAST + rest * rng.dirichlet([0.7] * len(free))
    return dict(held) | dict(zip(free, drawn.tolist(), strict=True))

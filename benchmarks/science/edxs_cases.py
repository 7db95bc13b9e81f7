"""The shared maps with their truth, and what was found on them, once for all rows that ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fusion as fu
from benchmarks.science import edxs_product as product
from benchmarks.science.edxs_scores import Against, Found, against
from benchmarks.science.edxs_simulator import molar_masses

Array = NDArray[np.float64]

SEED = 23
WRONG = 0.05
"""By how much k(O) is off, and what is said of it."""
OFF = tuple((offset, gain) for offset in (0.008, -0.008) for gain in (1.003, 0.997))
"""keV and no unit: where lines of 0 keV lie, and their gain, on the axes that are handed in."""


@dataclass(frozen=True)
class Phases:
    """A map of phases.

    Attributes:
        channels: keV, as the file says it; a line of energy E is at offset + gain·E.
        counts: (y, x, channel).
        elements: of the columns of `atomic`.
        atomic: (phase, element), at.%.
        k: atomic k factors, of families and α lines.
        beam: keV; elevation: degrees.
        offset: keV; gain: no unit.
        amounts: (phase, pixel), mol of atoms/cm²; empty where the file has none.
    """

    channels: Array
    counts: NDArray[np.integer]
    elements: tuple[str, ...]
    atomic: Array
    k: Mapping[str, float]
    beam: float
    elevation: float
    offset: float
    gain: float
    amounts: Array

    @classmethod
    def of(cls, path: Path) -> Phases:
        """One of the shared files."""
        with np.load(path) as file:
            held = {name: file[name] for name in file.files}
        k = zip(map(str, held["k_names"]), held["k_atomic_vs_SiKa"].tolist(), strict=True)
        return cls(
            held["energy"],
            held["data"],
            tuple(map(str, held["elements"])),
            100 * held["atomic_fraction"],
            dict(k),
            float(held["beam_energy_kev"]),
            float(held["elevation_deg"]),
            float(held.get("offset_kev", np.nan)),
            float(held.get("gain", np.nan)),
            held.get("amount", np.zeros((0, 0))).reshape(len(held["phases"]), -1).astype(float),
        )

    @property
    def mass_thickness(self) -> Array:
        """(pixel,), g/cm²: Σ_k amount_k Σ_i a_ik M_i."""
        return self.amounts.T @ (self.atomic / 100 @ molar_masses(self.elements))

    def dataset(self, counts: NDArray[np.integer], channels: Array | None = None) -> fu.Dataset:
        """Counts of this map, on the axis of the file or another."""
        at = self.channels if channels is None else channels
        return product.dataset(counts, at, beam=self.beam, elevation=self.elevation)

    def relabelled(self, offset: float, gain: float) -> Array:
        """Channels by an axis on which a line of energy E is at offset + gain·E instead."""
        stretch = gain / self.gain
        return offset + stretch * (self.channels - self.offset)


class Runs:
    """What was found on the shared data; nothing is fitted before a row asks for it.

    Args:
        data: the folder that holds physics_cases/ and vendor/.
        draws: how many.
    """

    def __init__(self, data: Path, draws: int) -> None:
        self.data, self.draws = data, draws

    @cached_property
    def phases(self) -> Phases:
        return Phases.of(self.data / "physics_cases/edxs_phases.npz")

    @cached_property
    def fused(self) -> Phases:
        return Phases.of(self.data / "physics_cases/fused_adf.npz")

    @cached_property
    def expected(self) -> Array:
        """(y, x, channel): the expected counts of `edxs_phases`."""
        with np.load(self.data / "physics_cases/edxs_phases_expected.npz") as file:
            clipped = np.clip(file["left"].astype(float) @ file["right"], 0.0, None)
            return clipped.reshape(file["shape"])

    def counts(self, number: int) -> NDArray[np.integer]:
        """A draw of them."""
        return np.random.default_rng([SEED, number]).poisson(self.expected).astype(np.uint16)

    def compositions(self, data: fu.Dataset, case: Phases, k: product.K | None = None) -> Found:
        """The default call, or with k factors other than those of the file."""
        factors = product.k_factors(case.k if k is None else k)
        return product.compositions(data, case.elements, len(case.atomic), factors)

    def beside(self, found: Found) -> Against:
        """Beside the truth of `edxs_phases`."""
        return against(found, self.phases.elements, self.phases.atomic)

    @cached_property
    def default(self) -> Found:
        """`edxs_phases`, the default call."""
        return self.compositions(self.phases.dataset(self.phases.counts), self.phases)

    @cached_property
    def drawn(self) -> list[Found]:
        """Every draw, with the true k factors, said to be exact."""
        sets = (self.phases.dataset(self.counts(number)) for number in range(self.draws))
        return [self.compositions(data, self.phases) for data in sets]

    @cached_property
    def with_wrong_oxygen(self) -> list[Found]:
        """Every draw, every k(O) 5 % too large or too small by turns, said to be known to 5 %."""
        found = []
        for number in range(self.draws):
            factor = 1 + WRONG * (-1) ** number
            data = self.phases.dataset(self.counts(number))
            found.append(self.compositions(data, self.phases, self._oxygen(factor)))
        return found

    def _oxygen(self, factor: float) -> product.K:
        k: product.K = dict(self.phases.k)
        for name, value in self.phases.k.items():
            if name.split()[0] == "O":
                k[name] = (factor * value, WRONG * factor * value)
        return k

    def miscalibrated(self) -> Iterator[tuple[float, float, Found]]:
        """(offset, gain, found): two draws on each axis that is 8 eV and 0.3 % off."""
        for number in range(2 * len(OFF)):
            offset, gain = OFF[number % len(OFF)]
            channels = self.phases.relabelled(offset, gain)
            data = self.phases.dataset(self.counts(number), channels)
            yield offset, gain, self.compositions(data, self.phases)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """(pixel,): of at least 50 counts."""
        return self.phases.counts.sum(-1).ravel() >= 50

"""X-ray maps of thin specimens whose truth is known: a simulator that owes the package nothing.

Lines, yields, masses and attenuation are those of the package xraydb, read here on their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]
Filling = Callable[[str, str], float]

ELECTRONS = {
    "K": 2, "L1": 2, "L2": 2, "L3": 4, "M1": 2, "M2": 2, "M3": 4, "M4": 4, "M5": 6,
}  # fmt: skip
POWER = 0.85
"""Of an edge's energy: by its inverse a fast electron ionises the electrons of a subshell."""
CONTINUUM = 7.52e-7
"""Photons a keV for an atom of charge 1, over what lines are counted in, at (E₀ − E)/E = 1."""
FINE = 0.005
"""keV between the energies at which a continuum is made."""
LOWEST = 0.1
"""keV, where the tables of attenuation begin: nothing below it passes a window."""
D_ELECTRONS = {"Sc": 1, "Ti": 2, "V": 3, "Cr": 5, "Mn": 5, "Fe": 6}
"""3d electrons of the atoms; xraydb 4.5.8 has the lines of Fe's L3 for Ti to Mn as well."""


class Emission(NamedTuple):
    """One line: element and shell ("Fe L"), name ("La1"), keV, photons of an atom, relative."""

    family: str
    name: str
    energy: float
    photons: float


def filled(element: str, name: str) -> float:
    """How full the shell is, beside that which the table means, from which a line's electron comes.

    3p of Al to Ar for Kb, 3d of Sc to Mn, beside that of Fe, for La and Lb1.
    """
    if name.startswith("Kb"):
        return min(max(_tables().atomic_number(element) - 12, 0) / 6, 1.0)
    if name in ("La1", "La2", "Lb1"):
        return D_ELECTRONS.get(element, 6) / 6
    return 1.0


def as_tabulated(element: str, name: str) -> float:
    """Lines as xraydb has them, whatever the shells of the atom hold."""
    return 1.0


@dataclass(frozen=True)
class Instrument:
    """Beam, detector and what stands between.

    Attributes:
        beam: keV; elevation: of the detector, degrees.
        noise: full width at 0 keV, keV; fano: Fano factor.
        offset: keV; gain: a line of energy E is found at offset + gain·E.
        window: carbon; dead: silicon that sees nothing; depth: silicon that does. All in g/cm².
        filling: a line's share beside the table's, by element and name.
    """

    beam: float = 200.0
    elevation: float = 22.0
    noise: float = 0.048
    fano: float = 0.119
    offset: float = 0.0
    gain: float = 1.0
    window: float = 120e-7 * 2.0
    dead: float = 60e-7 * 2.33
    depth: float = 0.045 * 2.33
    filling: Filling = filled

    def efficiency(self, energy: Any) -> Array:
        """Share of photons of these energies, keV, that are counted."""
        silicon, carbon = attenuation(["Si", "C"], energy)
        seen = np.exp(-carbon * self.window - silicon * self.dead)
        return seen * -np.expm1(-silicon * self.depth) * (np.asarray(energy) >= LOWEST)

    def profiles(self, channels: Array, energy: Array) -> Array:
        """(channel, line): the share of a line in every channel, these in keV, evenly spaced."""
        half = (channels[1] - channels[0]) / 2
        sigma = np.sqrt((self.noise / 2.354820) ** 2 + self.fano * 0.00365 * energy)
        away = channels[:, None] - self.offset - self.gain * energy
        return ndtr((away + half) / sigma) - ndtr((away - half) / sigma)


@dataclass(frozen=True)
class Specimen:
    """What the beam meets.

    Attributes:
        elements: symbols.
        amounts: (pixel, element), mol/cm².
    """

    elements: tuple[str, ...]
    amounts: Array

    def escaping(self, energy: Any, elevation: float) -> Array:
        """(pixel, line): (1 − e^−χ)/χ, the share of photons that leaves towards a detector."""
        masses = self.amounts * [_tables().atomic_mass(e) for e in self.elements]
        chi = masses @ attenuation(self.elements, energy) / np.sin(np.radians(elevation))
        return np.where(chi > 1e-9, -np.expm1(-chi) / np.maximum(chi, 1e-9), 1.0)

    def all(self, energy: Any, elevation: float) -> Array:
        """(pixel, line) of ones: what a continuum from nowhere in the specimen meets."""
        return np.ones((len(self.amounts), np.size(energy)))


Leaving = Callable[[Specimen, Array, float], Array]


def characteristic(
    instrument: Instrument,
    specimen: Specimen,
    channels: Array,
    leaving: Leaving = Specimen.escaping,
) -> Array:
    """(pixel, channel): counts of lines, for as many electrons as photons are counted in.

    Args:
        instrument: of the map.
        specimen: of the map.
        channels: keV.
        leaving: share of photons that leaves, as `Specimen.escaping`, or among other atoms.
    """
    rows = [emissions(e, instrument.filling) for e in specimen.elements]
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    energy = np.array([line.energy for row in rows for line in row])
    photons = np.array([line.photons for row in rows for line in row])
    photons = photons * instrument.efficiency(energy)
    out = leaving(specimen, energy, instrument.elevation)
    return (specimen.amounts[:, owner] * photons * out) @ instrument.profiles(channels, energy).T


def bremsstrahlung(
    instrument: Instrument,
    specimen: Specimen,
    channels: Array,
    leaving: Leaving = Specimen.escaping,
) -> Array:
    """(pixel, channel): Z (E₀ − E)/E of every atom, as the detector sees it.

    Args:
        instrument: of the map.
        specimen: of the map.
        channels: keV.
        leaving: `Specimen.escaping`, absorbed on the way out, or `Specimen.all`.
    """
    energy, profiles = _of_continuum(instrument, channels.astype(float).tobytes())
    charge = specimen.amounts @ [_tables().atomic_number(e) for e in specimen.elements]
    seen = (instrument.beam - energy) / energy * instrument.efficiency(energy)
    made = CONTINUUM * FINE * charge[:, None] * seen
    out = made * leaving(specimen, energy, instrument.elevation)
    return out @ profiles.T


@lru_cache(maxsize=2)  # of many specimens one detector
def _of_continuum(instrument: Instrument, channels: bytes) -> tuple[Array, Array]:
    """Energies of a continuum, keV, and their shares (channel, energy) in channels of float64."""
    at = np.frombuffer(channels)
    energy = np.arange(LOWEST, (at[-1] - instrument.offset) / instrument.gain + 0.3, FINE)
    return energy, instrument.profiles(at, energy)


def atomic_k(
    instrument: Instrument, elements: Sequence[str], channels: Array, beside: str = "Si"
) -> dict[str, float]:
    """{"O K": …}: atomic k factors of the families on an axis, Ka of `beside` having 1.

    Their α lines have their own, "O Ka"; all lines of a shell count, wherever on the axis.
    """

    def seen(lines: Sequence[Emission]) -> float:
        at = [line.energy for line in lines]
        return float(instrument.efficiency(at) @ [line.photons for line in lines])

    def alpha(lines: Sequence[Emission]) -> list[Emission]:
        return [line for line in lines if line.name[1:2] == "a"]

    low, high, k = channels[0], channels[-1], {}
    one = seen(alpha(_of_shell(f"{beside} K", instrument.filling)))
    for family in (f"{element} {shell}" for element in elements for shell in "KLM"):
        lines = _of_shell(family, instrument.filling)
        main = alpha(lines)
        if main and low < main[0].energy < high:
            k |= {family: one / seen(lines), f"{family}a": one / seen(main)}
    return k


@cache
def emissions(element: str, filling: Filling = filled) -> tuple[Emission, ...]:
    """Lines of an element above 0.1 keV that end in K, L or M, without Coster–Kronig transitions.

    Where xraydb 4.5.8 has a yield of 0 for M5, up to La, it is that of M4.
    """
    edges, lines = _tables().xray_edges(element), _tables().xray_lines(element)
    found = []
    for subshell, electrons in ELECTRONS.items():
        shares = {
            name: (line.energy / 1e3, line.intensity * filling(element, name))
            for name, line in lines.items()
            if line.initial_level == subshell
        }
        total = sum(share for _, share in shares.values())
        for name, (energy, share) in shares.items():
            edge = edges[subshell]
            yielded = edge.fyield or (edges["M4"].fyield if subshell == "M5" else 0.0)
            photons = electrons * (edge.energy / 1e3) ** -POWER * yielded * share / total
            if energy >= LOWEST and photons > 0:
                found.append(Emission(f"{element} {subshell[0]}", name, energy, photons))
    return tuple(found)


def attenuation(elements: Sequence[str], energy: Any) -> Array:
    """(element, energy): cm²/g at energies in keV, of Elam's tables."""
    at = np.maximum(np.atleast_1d(np.asarray(energy, dtype=float)), LOWEST) * 1e3
    return np.stack([_attenuation(element, at.tobytes()) for element in elements])


@lru_cache(maxsize=512)  # xraydb takes 20 ms for a continuum
def _attenuation(element: str, energy: bytes) -> Array:
    """The same of one element at energies in eV, a float64 array as bytes."""
    return np.asarray(_tables().mu_elam(element, np.frombuffer(energy)))


def molar_masses(elements: Sequence[str]) -> Array:
    """g/mol."""
    return np.array([_tables().atomic_mass(element) for element in elements])


def _of_shell(family: str, filling: Filling) -> list[Emission]:
    return [line for line in emissions(family.split()[0], filling) if line.family == family]


@cache
def _tables() -> Any:
    """xraydb, which only these cases need."""
    import xraydb

    return xraydb

"""X-ray spectra of thin layers with loops, as the equations of `LineModel` stand in its docstring.

Energies, yields, transitions, masses and attenuation are looked up in xraydb here on their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

xraydb = pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

Array = NDArray[np.float64]

BEAM, ELEVATION = 200.0, 25.0
CHANNELS = 0.25 + 0.01 * np.arange(760)
"""keV: O K and Fe L to Fe Kβ."""
ELECTRONS = {"K": {"K": 2}, "L": {"L1": 2, "L2": 2, "L3": 4}}
NOISE, FANO, PAIR = 0.05, 0.119, 3.65e-3
WINDOW, DEAD, SILICON = 100e-7 * 2.0, 80e-7 * 2.33, 0.045 * 2.33
"""g/cm² of carbon, of silicon that counts nothing, and of that which counts."""
LEVEL = 2e-3


@dataclass(frozen=True)
class Unknowns:
    """In standard deviations of what is expected, in the order of the factors of `LineModel`."""

    calibration: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    absorption: tuple[float, ...] = (0.0,)
    subshells: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    continuum: tuple[float, ...] = (0.0, 0.0)
    heaviness: tuple[float, ...] = (0.0,)
    absorbers: tuple[float, ...] = (0.0, 0.0)
    ends: tuple[float, ...] = (0.0, 0.0)
    sensitivity: tuple[float, ...] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Single:
    """Lines of a family from one subshell, and how many photons an atom gives in them."""

    element: str
    shell: str
    subshell: str
    family: str
    parts: tuple[tuple[float, float], ...]
    photons: float

    @property
    def energy(self) -> float:
        return sum(e * share for e, share in self.parts)


def mu(element: str, keV: float | Array) -> Array:
    return xraydb.mu_elam(element, 1e3 * np.maximum(keV, 0.1))


def casnati(edge: float, beam: float = BEAM) -> float:
    """Casnati, Tartari & Baraldi (1982), with Gryzinski's factor in units of the rest energy."""
    i, t, u = edge / 510.999, beam / 510.999, beam / edge
    f = (2 + i) / (2 + t) * ((1 + t) / (1 + i)) ** 2
    f *= ((i + t) * (2 + t) * (1 + i) ** 2 / (t * (2 + t) * (1 + i) ** 2 + i * (2 + i))) ** 1.5
    psi = (edge / 0.0136057) ** (-0.0318 + 0.3160 / u - 0.1135 / u**2)
    phi = 10.57 * np.exp(-1.736 / u + 0.317 / u**2)
    return f * psi * phi * np.log(u) / u / edge**2


def singles(element: str, shell: str) -> list[Single]:
    """Of one shell, of an element whose 3p shell is full or that has no Kβ."""
    edges = xraydb.xray_edges(element)
    holes = {
        name: n * casnati(edges[name].energy / 1e3)
        for name, n in ELECTRONS[shell].items()
        if name in edges
    }
    if "L3" in holes:
        for start, end in (("L1", "L2"), ("L1", "L3"), ("L2", "L3")):
            holes[end] += xraydb.ck_probability(element, start, end, total=False) * holes[start]
    sent = {name: n * edges[name].fyield for name, n in holes.items()}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name, line in xraydb.xray_lines(element).items():
        if line.initial_level in sent and (element, name[:2]) != ("O", "Kb"):
            part = line.energy / 1e3, sent[line.initial_level] * line.intensity
            found.setdefault((line.initial_level, name[:2]), []).append(part)
    # shares of a subshell are rounded in the table: what is sent is all of it
    whole = sum(strength for lines in found.values() for _, strength in lines)
    made = []
    for (subshell, family), lines in found.items():
        total = sum(strength for _, strength in lines)
        parts = tuple((energy, strength / total) for energy, strength in lines)
        photons = total / whole * sum(sent.values())
        made.append(Single(element, shell, subshell, family, parts, photons))
    return [group for group in made if group.photons > 1e-4 * sum(sent.values())]


def efficiency(keV: float | Array, window: float = 1.0, dead: float = 1.0) -> Array:
    """Share of photons that is counted."""
    seen = np.exp(-window * mu("C", keV) * WINDOW - dead * mu("Si", keV) * DEAD)
    return seen * (1 - np.exp(-mu("Si", keV) * SILICON))


def left(chi: float | Array) -> Array:
    return (1 - np.exp(-chi)) / chi


def shown(energy: float, t: Unknowns) -> Array:
    """One photon over the channels."""
    sigma2 = (NOISE * np.exp(0.15 * t.calibration[2]) / 2.354820045) ** 2
    sigma2 += FANO * np.exp(0.15 * t.calibration[3]) * PAIR * energy
    found = 0.015 * t.calibration[0] + (1 + 3e-3 * t.calibration[1]) * energy
    step = CHANNELS[1] - CHANNELS[0]
    ends = (np.append(CHANNELS - step / 2, CHANNELS[-1] + step / 2) - found) / np.sqrt(2 * sigma2)
    return 0.5 * np.diff(erf(ends))


def line_mu(absorber: str, line: Single) -> float:
    """A line of one's own is never above its edge: one that lies on it is looked up below."""
    for name in ELECTRONS[line.shell]:
        edge = xraydb.xray_edges(absorber)[name].energy / 1e3 if absorber == line.element else 0.0
        if abs(line.energy - edge) < 3e-3 * edge:
            return float(mu(absorber, 0.998 * edge))
    return float(mu(absorber, line.energy))


def lines_of(n: Array, kappa: float, t: Unknowns) -> Array:
    """(pixel, channel) of the lines of O and Fe."""
    elements, shells = ("O", "Fe"), (("O", "K"), ("Fe", "K"), ("Fe", "L"))
    groups = [group for element, shell in shells for group in singles(element, shell)]
    strongest = max(group.photons for group in groups)
    error = {("O", "K"): 0.2, ("Fe", "K"): 0.05, ("Fe", "L"): 0.2}
    made = np.zeros((len(n), len(CHANNELS)))
    for pixel, atoms in enumerate(n):
        for group in groups:
            sent = group.photons / strongest * atoms[elements.index(group.element)]
            sent *= efficiency(group.energy, *np.exp(t.absorbers))
            at = shells.index((group.element, group.shell))
            sent *= np.exp(error[shells[at]] * t.sensitivity[at])
            for first, subshell in ((0, "L1"), (2, "L2")):
                if group.subshell == subshell:
                    sent *= np.exp(0.2 * t.subshells[first] + 0.1 * t.subshells[first + 1])
            if group.family in ("Ll", "Ln"):  # six 3d electrons of ten
                sent *= np.exp(np.log(10 / 6) * t.subshells[4])
            chi = sum(
                kappa * a * xraydb.atomic_mass(e) * line_mu(e, group)
                for a, e in zip(atoms, elements, strict=True)
            ) / np.sin(np.radians(ELEVATION))
            for energy, share in group.parts:
                made[pixel] += sent * share * left(chi) * shown(energy, t)
    return made


def continuum_of(
    n: Array, kappa: float, t: Unknowns, high: float, absorbed: bool, step: float = 1e-3
) -> Array:
    """(pixel, channel) of the continuum up to `high`, in steps of an eV."""
    elements = ("O", "Fe")
    low = CHANNELS[0] - 0.1
    pieces = round((high - low) / step)
    step = (high - low) / pieces
    energies = low + step * (np.arange(pieces) + 0.5)
    sent = LEVEL * (BEAM - energies) / BEAM / energies * step * np.exp(2.0 * t.continuum[0])
    sent *= energies ** (-0.5 * t.continuum[1]) * efficiency(energies, *np.exp(t.absorbers))
    sent[energies < CHANNELS[0]] *= 1 + t.ends[0]
    sent[energies > CHANNELS[-1]] *= 1 + t.ends[1]
    each = np.stack([shown(energy, t) for energy in energies])
    made = np.zeros((len(n), len(CHANNELS)))
    for pixel, atoms in enumerate(n):
        heavy, chi = 0.0, np.zeros(pieces)
        for a, e in zip(atoms, elements, strict=True):
            heavy += a * xraydb.atomic_number(e) ** (1 + 0.3 * t.heaviness[0])
            chi += kappa * a * xraydb.atomic_mass(e) * mu(e, energies)
        out = left(chi / np.sin(np.radians(ELEVATION))) if absorbed else 1.0
        made[pixel] = heavy * ((sent * out) @ each)
    return made

"""Lines of elements that might be there, as a detector shows them, and what is unsure of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.xrays.attenuation import attenuation_of_lines
from fusion.xrays.line_groups import LineGroup, line_groups
from fusion.xrays.line_model import BEYOND, SPARE
from fusion.xrays.response import FWHM, PAIR, REACH, Groups, Response, shown
from fusion.xrays.sensitivities import SOFT, UNSURE_SOFT, KFactors, sensitivities
from fusion.xrays.table import atomic_mass, atomic_number

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

ENERGY = 1e-3
"""keV: standard error of a shell's line energies, differences of edges in the table and bonds."""
SUBSHELL = 0.3
"""Relative standard error of the photons of one subshell beside another of its shell."""
FAMILY = {"K": 0.05, "L": 0.15, "M": 0.3}
"""Relative standard error of a family's share of its subshell's photons."""
VALENCE = 0.4
"""The same where a shell of the valence takes part, and of L yields there."""
HALF_EMPTY = 1.0
"""The same of lines beside La of Sc to Mn: two tables have 0.11 and 0.41 for Ll/La of Ti."""
K_VALENCE, L_VALENCE, L_HALF_EMPTY = range(13, 19), range(19, 31), range(19, 26)
"""Atomic numbers of which Kb, or L lines, depend on how full a shell of the valence is."""


@dataclass(frozen=True)
class Unsure:
    """What tables do not know of an element: some of its groups, and a standard error.

    Attributes:
        groups: their numbers.
        error: of the logarithm of their photons; of their energy in keV where `moves`.
    """

    groups: tuple[int, ...]
    error: float
    moves: bool = False


class Detector(NamedTuple):
    """A line of E keV lies at offset + gain · E; factors of its variance at 0 keV, and per keV."""

    offset: float
    gain: float
    noise: float
    fano: float


class CandidateLines:
    """Groups of lines of candidate elements.

    Args:
        elements: candidates; those without a line on the channels are left out.
        channels: keV, evenly spaced.
        beam_energy: keV.
        response: of the detector.
        k_factors: that were measured.
    """

    def __init__(
        self,
        elements: Sequence[str],
        channels: Array,
        beam_energy: float,
        response: Response,
        k_factors: KFactors | None,
    ) -> None:
        self.channels, self.response = channels, response
        self.step = float(np.median(np.diff(channels)))
        self.variance = np.array([(response.noise / FWHM) ** 2, response.fano * PAIR])
        reach = REACH * float(np.sqrt(self.variance @ [1, float(channels[-1])]))
        self.low, self.high = float(channels[0]), float(channels[-1]) + BEYOND * reach
        self._take(elements, beam_energy, k_factors)
        singles = [(i, e, s) for i, g in enumerate(self.groups) for e, s in g.parts]
        self._group, self._energy, self._share = (np.array(x) for x in zip(*singles, strict=True))
        self._attenuation: dict[int, Array] = {}

    def _take(
        self, elements: Sequence[str], beam_energy: float, k_factors: KFactors | None
    ) -> None:
        found = line_groups(elements, self.low, self.high, beam_energy)
        shells = list(dict.fromkeys(g.shell_name for g in found))
        known = sensitivities(shells, k_factors, beam_energy)
        alpha = {s: a for s in shells if (a := known[s].alpha) is not None}
        found = line_groups(elements, self.low, self.high, beam_energy, alpha) if alpha else found
        self.groups: tuple[LineGroup, ...] = tuple(found)
        self.energies = np.array([g.energy for g in found])
        window, dead = self.response.absorbers(self.energies)
        computed = np.array([not known[g.shell_name].measured for g in found])
        seen = np.exp(-window - dead) * self.response.stopped(self.energies)
        self.sent = np.array([known[g.shell_name].value * g.share for g in found])
        self.sent = self.sent * np.where(computed, seen, 1.0)
        self.absorbers = np.stack([window, dead]) * computed
        self.errors = {s: known[s].error for s in shells}
        self.measured = {s for s in shells if known[s].measured}
        self.elements = tuple(dict.fromkeys(g.element for g in found))
        index = {e: i for i, e in enumerate(self.elements)}
        self.owner = np.array([index[g.element] for g in found], dtype=np.intp)
        self.first = np.searchsorted(self.owner, np.arange(len(self.elements)))
        self.masses = np.array([atomic_mass(e) for e in self.elements])
        self.per_atom = np.add.reduceat(self.sent, self.first)
        self.share = self.sent / self.per_atom[self.owner]

    def of(self, element: int) -> Indices:
        """Numbers of an element's groups."""
        return np.flatnonzero(self.owner == element)

    def attenuation(self, element: int) -> Array:
        """(group,) cm²/g of an element for all lines."""
        if element not in self._attenuation:
            owners = [g.element for g in self.groups]
            shells = [g.shell for g in self.groups]
            made = attenuation_of_lines([self.elements[element]], owners, shells, self.energies)
            self._attenuation[element] = made[0]
        return self._attenuation[element]

    def shapes(self, detector: Detector, groups: Indices) -> tuple[Array, Array, Array]:
        """(group, channel) of some: shares of photons; how they change with a keV, and a keV².

        What changes with a keV² is the variance of the lines.
        """
        place = np.full(len(self.groups), -1)
        place[groups] = np.arange(len(groups))
        chosen = place[self._group] >= 0
        energy = self._energy[chosen]
        own = spread(self.variance, detector, energy)
        rows, shares = place[self._group[chosen]], self._share[chosen]
        at = detector.offset + detector.gain * energy
        seen = on_channels(self, at, own, shares, rows, len(groups))
        moved, wider = _slopes_on_channels(self, at, own, shares, rows, len(groups))
        return seen, moved, wider / spread(self.variance, detector, self.energies[groups])[:, None]

    def unsure(self, element: int, photons: Array) -> list[Unsure]:
        """What tables do not know of an element.

        Args:
            photons: (group,) as they are expected; the strongest is what others are relative to.
        """
        shells = _by([(self.groups[i].shell, i) for i in self.of(element)])
        strongest = _strongest(shells, photons)
        made = []
        for shell, members in shells.items():
            made.append(Unsure(members, ENERGY, moves=True))
            if shell != strongest:
                own, other = (
                    self._shell_error(f"{self.elements[element]} {s}") for s in (shell, strongest)
                )
                made.append(Unsure(members, float(np.hypot(own, other))))
            made += self._within_shell(members, photons)
        return made

    def _within_shell(self, members: Sequence[int], photons: Array) -> list[Unsure]:
        subshells = _by([(self.groups[i].subshell, i) for i in members])
        strongest = _strongest(subshells, photons)
        made = [Unsure(those, SUBSHELL) for s, those in subshells.items() if s != strongest]
        for those in subshells.values():
            main = max(those, key=lambda i: photons[i])
            made += [Unsure((i,), self._share_error(i)) for i in those if i != main]
        return made

    def _shell_error(self, shell: str) -> float:
        """Of a shell's photons beside those of another."""
        z = atomic_number(shell.split()[0])
        computed = shell not in self.measured and shell.endswith("L") and z in L_VALENCE
        return max(self.errors[shell], VALENCE if computed else 0.0)

    def _share_error(self, group: int) -> float:
        """Of a family's photons beside the strongest of its subshell."""
        one = self.groups[group]
        z = atomic_number(one.element)
        if one.shell == "L" and z in L_HALF_EMPTY:
            return HALF_EMPTY
        if one.shell != "K" and one.energy < SOFT:
            return UNSURE_SOFT
        valence = {"K": K_VALENCE, "L": L_VALENCE}.get(one.shell, range(0))
        return VALENCE if z in valence else FAMILY[one.shell]


def on_channels(
    lines: CandidateLines, energies: Array, variances: Array, shares: Array, rows: Indices, n: int
) -> Array:
    """(n, channel): lines where they are found, added up in rows."""
    at, channels = torch.as_tensor(energies), torch.as_tensor(lines.channels)
    start, width = _near(lines, energies, variances)
    told = torch.as_tensor(variances), torch.as_tensor(shares)
    groups = Groups(n, torch.as_tensor(rows))
    first = torch.as_tensor(start)
    return shown(at, *told, groups, channels, lines.step, first, width).numpy()


def _near(lines: CandidateLines, energies: Array, variances: Array) -> tuple[Indices, int]:
    """(line,) first channel that a line reaches, and how many are taken from there."""
    width = int(2 * REACH * float(variances.max()) ** 0.5 / lines.step) + 2 * SPARE
    start = np.floor((energies - lines.channels[0]) / lines.step - width / 2)
    return start.astype(np.intp), width


def _slopes_on_channels(
    lines: CandidateLines, energies: Array, variances: Array, shares: Array, rows: Indices, n: int
) -> tuple[Array, Array]:
    """How `on_channels` changes with a keV of all energies, and with variances, by their share."""
    start, width = _near(lines, energies, variances)
    ends = lines.channels[0] + lines.step * (start[:, None] + np.arange(width + 1) - 0.5)
    deviation = variances[:, None] ** 0.5
    t = (ends - energies[:, None]) / deviation
    normal = shares[:, None] * np.exp(-0.5 * t**2) / (2 * np.pi) ** 0.5
    columns = start[:, None] + np.arange(width)
    inside = (columns >= 0) & (columns < len(lines.channels))
    places = (rows[:, None] * len(lines.channels) + columns)[inside]

    def added_up(slopes: Array) -> Array:
        each = np.diff(slopes, axis=1)[inside]
        total: Array = np.bincount(places, each, n * len(lines.channels)).astype(np.float64)
        return total.reshape(n, -1)

    return added_up(-normal / deviation), added_up(-0.5 * normal * t)


def spread(variance: Array, detector: Detector, energies: Array) -> Array:
    """keV²: variances of lines."""
    return variance[0] * detector.noise + variance[1] * detector.fano * energies


def _by(pairs: Sequence[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    names = dict.fromkeys(name for name, _ in pairs)
    return {name: tuple(int(i) for other, i in pairs if other == name) for name in names}


def _strongest(parts: dict[str, tuple[int, ...]], photons: Array) -> str:
    return max(parts, key=lambda name: photons[list(parts[name])].sum())

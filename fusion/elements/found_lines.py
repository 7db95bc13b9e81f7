"""Lines of all elements that might be there, as a detector shows them, and what is unsure of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.xrays.attenuation import attenuation_of_lines
from fusion.xrays.line_groups import LineGroup, line_groups
from fusion.xrays.line_model import BEYOND, SOFTEST, SPARE, SUBSHELLS
from fusion.xrays.response import FWHM, PAIR, REACH, Response, shown
from fusion.xrays.sensitivities import KFactors, sensitivities
from fusion.xrays.table import atomic_mass, tables

Array = NDArray[np.float64]

STEP = 1e-3
"""keV by which a line is moved to find how a channel changes."""
ENERGY = 1e-3
"""keV: standard error of the tabulated energies of a shell's lines, bonds counted in."""
FAMILY = {"K": 0.05, "L": 0.15, "M": 0.3}
"""Relative standard error of a family's share of its subshell's photons."""
VALENCE_FAMILY = 0.4
"""The same where electrons of the valence take part."""
K_VALENCE, L_VALENCE = range(13, 19), range(19, 31)
"""Atomic numbers of which Kb, or Ll beside La, depends on how full a shell of the valence is."""


@dataclass(frozen=True)
class Unsure:
    """What tables do not know of an element: some of its groups, and a standard error.

    Attributes:
        groups: their numbers.
        error: of the logarithm of their photons; of their energy in keV where `moves`.
    """

    groups: NDArray[np.intp]
    error: float
    moves: bool = False


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
        reach = REACH * float(np.sqrt(self.variance @ [1, max(float(channels[-1]), 0.0)]))
        self.low = max(float(channels[0]) - BEYOND * reach, SOFTEST)
        self.high = float(channels[-1]) + BEYOND * reach
        self._take(elements, beam_energy, k_factors)

    def _take(
        self, elements: Sequence[str], beam_energy: float, k_factors: KFactors | None
    ) -> None:
        found = line_groups(elements, self.low, self.high)
        shells = list(dict.fromkeys(g.shell_name for g in found))
        known = sensitivities(shells, k_factors, beam_energy)
        alpha = {s: a for s in shells if (a := known[s].alpha) is not None}
        if alpha:
            found = line_groups(elements, self.low, self.high, alpha)
        energies = np.array([g.energy for g in found])
        window, dead = self.response.absorbers(energies)
        computed = np.array([not known[g.shell_name].measured for g in found])
        seen = np.exp(-window - dead) * self.response.stopped(energies)
        sent = np.array([known[g.shell_name].value * g.share for g in found])
        self.sent = sent * np.where(computed, seen, 1.0)
        self.groups: tuple[LineGroup, ...] = tuple(found)
        self.energies = energies
        self.window, self.dead = window * computed, dead * computed
        self.errors = {s: known[s].error for s in shells}
        self.elements = tuple(dict.fromkeys(g.element for g in found))
        index = {e: i for i, e in enumerate(self.elements)}
        self.owner = np.array([index[g.element] for g in found], dtype=np.intp)
        self.first = np.searchsorted(self.owner, np.arange(len(self.elements)))
        self.masses = np.array([atomic_mass(e) for e in self.elements])
        self._attenuation: dict[int, Array] = {}

    def of(self, element: int) -> NDArray[np.intp]:
        """Numbers of an element's groups."""
        return np.flatnonzero(self.owner == element)

    def attenuation(self, element: int) -> Array:
        """(group,) cm²/g of an element for all lines."""
        if element not in self._attenuation:
            name = self.elements[element]
            owners = [g.element for g in self.groups]
            shells = [g.shell for g in self.groups]
            made = attenuation_of_lines([name], owners, shells, self.energies)
            self._attenuation[element] = made[0]
        return self._attenuation[element]

    def shapes(self, offset: float, gain: float, noise: float, fano: float) -> tuple[Array, ...]:
        """(group, channel): shares of photons; and how they change with a keV and with a keV².

        Args:
            offset: keV; gain: a line of energy E is found at offset + gain · E.
            noise, fano: factors of the variance at 0 keV, and of what it grows by.
        """
        singles = [(i, e, s) for i, g in enumerate(self.groups) for e, s in g.parts]
        owners = torch.tensor([i for i, *_ in singles])
        energies = torch.tensor([e for _, e, _ in singles], dtype=torch.float64)
        shares = torch.tensor([s for *_, s in singles], dtype=torch.float64)
        at = offset + gain * energies
        variances = self.variance[0] * noise + self.variance[1] * fano * energies
        widest = float(variances.max())
        width = int(2 * REACH * widest**0.5 / self.step) + 2 * SPARE
        start = ((at - self.channels[0]) / self.step - width / 2).floor().long()

        def seen(moved: float, wider: float) -> Array:
            channels = torch.as_tensor(self.channels)
            where = at + moved, variances * (1 + wider)
            made = shown(
                *where, shares, owners, len(self.groups), channels, self.step, start, width
            )
            return made.numpy()

        moved = (seen(STEP, 0) - seen(-STEP, 0)) / (2 * STEP)
        own = self.variance[0] * noise + self.variance[1] * fano * self.energies
        wider = (seen(0, 0.02) - seen(0, -0.02)) / (0.04 * own[:, None])
        return seen(0, 0), moved, wider

    def unsure(self, element: int, photons: Array) -> list[Unsure]:
        """What tables do not know of an element.

        Args:
            photons: (group,) as they are expected, by which the strongest is what others are
                relative to.
        """
        own = self.of(element)
        shells = {self.groups[i].shell: [] for i in own}
        for i in own:
            shells[self.groups[i].shell].append(i)
        strongest = max(shells, key=lambda s: photons[shells[s]].sum())
        made = []
        for shell, members in shells.items():
            name = f"{self.elements[element]} {shell}"
            made.append(Unsure(np.array(members), ENERGY, moves=True))
            if shell != strongest:
                both = self._shell_error(name), self._shell_error(f"{name[:-1]}{strongest}")
                made.append(Unsure(np.array(members), float(np.hypot(*both))))
            made += self._within_shell(members, photons)
        return made

    def _shell_error(self, shell: str) -> float:
        """Relative standard error of a shell's photons beside those of another shell."""
        z = tables().atomic_number(shell.split()[0])
        valence = shell.endswith("L") and z in L_VALENCE
        return max(self.errors[shell], VALENCE_FAMILY if valence else 0.0)

    def _within_shell(self, members: Sequence[int], photons: Array) -> list[Unsure]:
        by: dict[str, list[int]] = {}
        for i in members:
            by.setdefault(self.groups[i].subshell, []).append(i)
        strongest = max(by, key=lambda s: photons[by[s]].sum())
        made = [
            Unsure(np.array(those), 1.5 * SUBSHELLS) for s, those in by.items() if s != strongest
        ]
        for those in by.values():
            main = max(those, key=lambda i: photons[i])
            made += [Unsure(np.array([i]), self._share_error(i)) for i in those if i != main]
        return made

    def _share_error(self, group: int) -> float:
        one = self.groups[group]
        z = tables().atomic_number(one.element)
        valence = {"K": K_VALENCE, "L": L_VALENCE}.get(one.shell, range(0))
        return VALENCE_FAMILY if z in valence else FAMILY[one.shell]

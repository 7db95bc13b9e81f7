"""Lines of elements by the subshell that they come from: what is unknown of them is common there.

An L family's lines come from three subshells. Which share of its photons each has depends on
cross-sections and Coster–Kronig transitions that tables give to some ten per cent only; within a
subshell shares are known well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fusion.xrays.attenuation import edges_kev
from fusion.xrays.ionisation import cross_section
from fusion.xrays.table import ELECTRONS, occupancy, photons, subshells, transitions

Efficiency = Callable[[Sequence[float]], NDArray[np.float64]]

LEAST = 1e-4
"""Share of its shell's photons below which a group is left out."""


@dataclass(frozen=True)
class LineGroup:
    """Lines of one family from one subshell: Lb of Sr from L2.

    Attributes:
        element: "Sr"; shell: "L"; subshell: "L2"; family: "Lb".
        energy: keV, their mean by share; `parts`: (keV, share), shares adding up to 1.
        share: of the photons of the shell.
    """

    element: str
    shell: str
    subshell: str
    family: str
    energy: float
    parts: tuple[tuple[float, float], ...]
    share: float

    @property
    def name(self) -> str:
        """ "Sr Lb"."""
        return f"{self.element} {self.family}"

    @property
    def shell_name(self) -> str:
        """ "Sr L"."""
        return f"{self.element} {self.shell}"


def line_groups(
    elements: Iterable[str],
    low: float,
    high: float,
    beam_energy: float,
    alpha: Mapping[str, float] | None = None,
    efficiency: Mapping[str, Efficiency] | None = None,
) -> list[LineGroup]:
    """Of all elements those with an energy between `low` and `high`, in keV.

    Args:
        beam_energy: keV.
        efficiency: {"Sr L": of the detector, at energies in keV}, where shares are to be those of
            the photons that it counts, as k factors of whole families have them.
        alpha: {"Sr L": share of its photons in La}, where that was measured: k factors of a family
            and of its alpha lines say so. What else comes from other subshells, or from that of
            the alpha line, is scaled to it.
    """
    known = alpha or {}
    made = []
    for element in dict.fromkeys(elements):
        for shell in "KLM":
            measured = known.get(f"{element} {shell}")
            groups = list(_shell_groups(element, shell, beam_energy, measured is not None))
            if (counted := (efficiency or {}).get(f"{element} {shell}")) is not None:
                groups = _as_counted(groups, counted)
            if measured is not None:
                groups = _with_alpha(groups, f"{shell}a", measured)
            made += [g for g in groups if low <= g.energy <= high and g.share > LEAST]
    return made


def emitted(element: str, shell: str, beam_energy: float) -> dict[str, float]:
    """{"L3": photons of a subshell}, for one electron of the beam, over what is common to all.

    Vacancies as Casnati's cross-section makes them; of L they move by Coster–Kronig transitions.
    """
    return dict(_emitted(element, shell, beam_energy))


@cache  # tables are a data base: a question takes it milliseconds
def _emitted(element: str, shell: str, beam_energy: float) -> tuple[tuple[str, float], ...]:
    edges = edges_kev(element)
    made = {
        name: n * cross_section(edges[name], beam_energy) if name in edges else 0.0
        for name, n in zip(subshells(shell), ELECTRONS[shell], strict=True)
    }
    return tuple(photons(element, made).items())


@cache
def _shell_groups(
    element: str, shell: str, beam_energy: float, full: bool
) -> tuple[LineGroup, ...]:
    """All groups of a shell; `full`: as if the shells that lines end in were full."""
    sent = emitted(element, shell, beam_energy)
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name, start, energy, part in transitions(element):
        family = re.match("[KLM][a-z]", name)
        strength = sent.get(start, 0.0) * part * (1.0 if full else occupancy(element, name))
        if family and start.startswith(shell) and strength > 0 and energy > 0:
            found.setdefault((start, family[0]), []).append((energy / 1e3, strength))
    total = sum(s for lines in found.values() for _, s in lines)
    groups = []
    for (start, family), lines in found.items():
        own = sum(s for _, s in lines)
        parts = tuple((e, s / own) for e, s in sorted(lines))
        energy = sum(e * s for e, s in parts)
        groups.append(LineGroup(element, shell, start, family, energy, parts, own / total))
    return tuple(groups)


def _as_counted(groups: list[LineGroup], efficiency: Efficiency) -> list[LineGroup]:
    """Shares of the photons that a detector counts."""
    if not groups:
        return groups
    counted = np.array([g.share for g in groups]) * efficiency([g.energy for g in groups])
    shares = (counted / counted.sum()).tolist()
    return [replace(g, share=share) for g, share in zip(groups, shares, strict=True)]


def _with_alpha(groups: list[LineGroup], family: str, measured: float) -> list[LineGroup]:
    """Scaled so that the alpha lines have the share that was measured.

    Of L and M the subshell of the alpha lines goes with them; of K, which has one, Kb is the rest.
    """
    strong = max((g for g in groups if g.family == family), key=lambda g: g.share, default=None)
    if strong is None or not 0 < measured <= 1:
        return groups
    several = len({g.subshell for g in groups}) > 1
    own = [g for g in groups if (g.subshell == strong.subshell if several else g is strong)]
    before = sum(g.share for g in own)
    after = min(measured * before / strong.share, 1.0)
    rest = (1 - after) / (1 - before) if before < 1 else 0.0
    return [replace(g, share=g.share * (after / before if g in own else rest)) for g in groups]

"""X-ray lines and absorption edges by element, from xraydb."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.data.signal_type import has_edges, signal_type
from fusion.xrays.letters import in_letters, plain

ELECTRONS = {"K": (2,), "L": (2, 2, 4), "M": (2, 2, 4, 4, 6)}
"""Of the subshells of every shell: how often they are ionised, but for their energies."""
VALENCE_LINES = {
    "Ca": (("La", "L3", 341.3, 0.9), ("Lb1", "L2", 344.9, 0.92)),
    "Sc": (("La", "L3", 395.4, 0.9), ("Lb1", "L2", 399.6, 0.92)),
}
"""Lines that end in an empty 3d shell of the free atom, which a solid fills: not in xraydb 4.5.8.

(name, subshell, eV, share of its photons): energies of Bearden, Rev. Mod. Phys. 39:78 (1967); the
shares are those of Ti, the first element of which xraydb has them.
"""
NO_M5_YIELD = ("Ba", "La")
"""Elements with a strong Mα (Bearden 1967) whose M5 has a yield of 0 in xraydb 4.5.8."""
SOLID = {"N K": 401.0, "O K": 532.0, "F K": 685.0}
"""eV. xraydb has these three edges of gases; in solids: Ahn & Krivanek, EELS Atlas (1983)."""
KEV = {"keV": 1.0, "eV": 1e-3}
VALENCE = 25.0
"""eV below which what xraydb calls an edge is that of a band."""
LOW = 100.0
"""eV below which an edge of a p shell of M and above stands out."""
NEAR = 0.015
"""Share of an axis within which edges, or lines, of one shell get one label."""

Within = Axis | tuple[float, float] | None


@dataclass(frozen=True)
class Line:
    """One family of X-ray lines, Ka or Lb, which a silicon detector sees as one or nearly so.

    Attributes:
        name: as in the field, "Mn Ka".
        element: "Mn"; shell: "K", "L" or "M".
        energy: keV, of its strongest line.
        weight: over that of the strongest family of its shell and element; between subshells for
            vacancies in proportion to their electrons, so within some ten per cent.
        parts: (keV, share) of its single lines, shares adding up to 1.
    """

    name: str
    element: str
    shell: str
    energy: float
    weight: float
    parts: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Edge:
    """One edge: its name, "Mn L3", the element, and its onset in eV, chemical shifts apart."""

    name: str
    element: str
    energy: float

    @property
    def major(self) -> bool:
        """Whether it is seen as a rule: no s shell but K; p shells above L only at low energy."""
        name = self.name.split()[1]
        shell, number = name[0], name[1:]
        if number == "1" or self.energy < VALENCE:
            return False
        return shell in "KL" or number not in "23" or self.energy < LOW


@checked_call
def lines(
    elements: str | Iterable[str], within: Within = None, *, least: float = 0.0
) -> list[Line]:
    """X-ray lines of these elements, by energy.

    K lines of light elements end in a shell that is not full: xraydb's Kb of Al to Ar is scaled
    by the electrons that there are in it, and left out below.

    Args:
        elements: "Mn", or one shell or line of it, "Mn K", "Mn Ka".
        within: an axis in eV or keV, or (low, high) in keV; default: everywhere.
        least: weight below which a line is left out.

    Raises:
        ValueError: if there is no such element or line, the axis is in other units, or xraydb is
            not installed.

    References:
        Elam, Ravel & Sieber, Radiat. Phys. Chem. 63:121 (2002), as in xraydb.
    """
    low, high = _energy_range("lines", within)
    chosen = [
        line
        for element, part in parse_names("lines", elements)
        for line in _selected("lines", element, part, _line_families(element))
        if low <= line.energy <= high and line.weight >= least
    ]
    return sorted(set(chosen), key=lambda line: line.energy)


@checked_call
def edges(elements: str | Iterable[str], within: Within = None) -> list[Edge]:
    """Ionisation edges of these elements, by energy; arguments and errors as in `lines`.

    Args:
        elements: "Mn", or one shell or edge of it, "Mn L", "Mn L3".
        within: an axis in eV or keV, or (low, high) in keV; default: everywhere.
    """
    low, high = _energy_range("edges", within)
    chosen = [
        edge
        for element, part in parse_names("edges", elements)
        for edge in _selected("edges", element, part, _edges_of(element))
        if low <= edge.energy * KEV["eV"] <= high
    ]
    return sorted(set(chosen), key=lambda edge: edge.energy)


@checked_call
def labels(
    axis: Axis,
    elements: str | Iterable[str],
    *,
    least: float = 0.1,
    metadata: Mapping[str, Any] | None = None,
) -> list[tuple[float, str]]:
    """(position in the axis' unit, name) of what these elements show on an axis.

    X-ray lines for EDS, edges for EELS, as the metadata say; where they say nothing, X-ray lines on
    an axis in keV, edges on one in eV, or one called an energy loss. What lies
    within 1.5 % of the axis has one label: edges of one shell together, "Si L₂,₃"; of lines of one
    the strongest, "Si Kα". Edges that are seldom seen, such as L1, have none.

    Args:
        axis: of the spectra.
        elements: as in `lines`.
        least: weight below which an X-ray line has no label.
        metadata: of the data set, whose `["Signal"]["signal_type"]` is asked.

    Raises:
        ValueError: if the axis is in no unit of energy, or the spectra are of a type that has
            neither lines nor edges.
    """
    photons = not is_energy_loss(axis, metadata)
    near = NEAR * float(np.ptp(axis.values)) * KEV[axis.units]  # keV
    if photons:
        strong = sorted(lines(elements, axis, least=least), key=lambda line: -line.weight)
        kept: list[Line] = []
        for line in strong:
            alike = [k for k in kept if (k.element, k.shell) == (line.element, line.shell)]
            if all(abs(k.energy - line.energy) > near for k in alike):
                kept.append(line)
        return sorted((line.energy / KEV[axis.units], in_letters(line.name)) for line in kept)
    groups: dict[str, tuple[float, list[str]]] = {}
    for edge in filter(lambda edge: edge.major, edges(elements, axis)):
        at = edge.energy * (KEV["eV"] / KEV[axis.units])
        shell = edge.name.rstrip("0123456789")
        number = edge.name.removeprefix(shell)
        first = groups.get(shell)
        if first is not None and (at - first[0]) * KEV[axis.units] <= near:
            first[1].append(number)
        else:
            groups[shell if first is None else edge.name] = (at, [number])
    return sorted(
        (at, in_letters(_joined_name(name, numbers))) for name, (at, numbers) in groups.items()
    )


def _joined_name(name: str, numbers: Sequence[str]) -> str:
    """ "Si L" of 3 and 2: "Si L2,3"."""
    return name.rstrip("0123456789") + ",".join(sorted(numbers))


def is_energy_loss(axis: Axis, metadata: Mapping[str, Any] | None = None) -> bool:
    """Whether an axis is one of energy losses, with edges, or one of photons, with lines.

    Raises:
        ValueError: if it is in no unit of energy, or of spectra that have neither.
    """
    _check_units(axis)
    edged = has_edges(axis, metadata or {})
    if edged is None:
        kind = signal_type((axis,), metadata or {})
        raise ValueError(
            f"`{axis!r}`: spectra of {f'type {kind}' if kind else 'such energies'} have neither "
            "X-ray lines nor edges: leave the elements out, or say what was measured: "
            "metadata={'Signal': {'signal_type': 'EDS_TEM'}} (or EDS_SEM, EELS)."
        )
    return edged


def _check_units(axis: Axis) -> None:
    """Complain of an axis in no unit of energy."""
    if axis.units not in KEV:
        raise ValueError(
            f"`{axis!r}`: X-ray lines and edges need an axis in eV or keV: give it its units."
        )


@cache  # xraydb goes through all elements for one
def atomic_mass(element: str) -> float:
    """Atomic mass in u."""
    return float(tables().atomic_mass(_checked_symbol("mass", element)))


@cache
def atomic_number(element: str) -> int:
    """Z of a symbol."""
    return int(tables().atomic_number(element))


@cache
def subshell_edges(element: str) -> Mapping[str, Any]:
    """{"L3": energy in eV, fluorescence yield …} of xraydb: a question takes it a millisecond."""
    return MappingProxyType(tables().xray_edges(element))


def tables() -> Any:
    """The package xraydb.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        import xraydb
    except ImportError as error:
        raise ValueError(
            "`fusion.elements`: lines and edges come from the package xraydb, which is not "
            'installed: pip install "sdfusion[elements]".'
        ) from error
    return xraydb


def _energy_range(call: str, within: Within) -> tuple[float, float]:
    """(low, high) in keV."""
    if within is None:
        return 0.0, float("inf")
    if isinstance(within, Axis):
        _check_units(within)
        x = within.values * KEV[within.units]
        return float(x.min()), float(x.max())
    low, high = within
    if not low < high:
        raise ValueError(f"`{call}(within={within})`: give (low, high) in keV, or an axis.")
    return float(low), float(high)


def parse_names(call: str, elements: str | Iterable[str]) -> list[tuple[str, str]]:
    """(element, shell or line or nothing) of everything that was asked for."""
    entries = [elements] if isinstance(elements, str) else list(elements)
    if not entries:
        raise ValueError(f"`{call}([])`: name one element or more.")
    pairs = []
    for entry in entries:
        element, _, part = plain(str(entry)).strip().replace("_", " ").partition(" ")
        pairs.append((_checked_symbol(call, element), part.strip()))
    return pairs


@cache
def _symbols() -> frozenset[str]:
    xraydb = tables()
    return frozenset(xraydb.atomic_symbol(z) for z in range(1, 99))


def _checked_symbol(call: str, symbol: str) -> str:
    if symbol not in _symbols():
        raise ValueError(f"`{call}`: there is no element {symbol!r}: give symbols, such as 'Mn'.")
    return symbol


def _selected(call: str, element: str, part: str, entries: Sequence[Any]) -> list[Any]:
    """Those of an element that were asked for."""
    chosen = [e for e in entries if e.name.removeprefix(f"{element} ").startswith(part)]
    if part and not chosen:
        names = ", ".join(e.name for e in entries) or "none"
        raise ValueError(f"`{call}`: there is no {element} {part}; there are {names}.")
    return chosen


@cache
def _line_families(element: str) -> tuple[Line, ...]:
    """The families of an element."""
    families: dict[str, list[tuple[float, float]]] = {}
    vacancies = photons(element)
    for name, start, energy, intensity in transitions(element):
        kind = re.match("[KLM][a-z]", name)
        strength = vacancies.get(start, 0.0) * intensity * occupancy(element, name)
        if kind and strength > 0 and energy > 0:
            families.setdefault(kind[0], []).append((round(energy / 1e3, 6), strength))
    total = {name: sum(s for _, s in parts) for name, parts in families.items()}
    rows = []
    for name, parts in families.items():
        most = max(size for other, size in total.items() if other[0] == name[0])
        shares = tuple(sorted((e, s / total[name]) for e, s in parts))
        energy = max(parts, key=lambda part: part[1])[0]
        rows.append(Line(f"{element} {name}", element, name[0], energy, total[name] / most, shares))
    return tuple(rows)


def transitions(element: str) -> list[tuple[str, str, float, float]]:
    """(name, subshell of the vacancy, eV, share of its photons) of the lines of an element.

    Those of xraydb, and what it lacks where the 3d shell is empty in the free atom.
    """
    return list(_transitions(element))


@cache  # a question to the data base takes a millisecond
def _transitions(element: str) -> tuple[tuple[str, str, float, float], ...]:
    lines = [
        (name, line.initial_level.partition(",")[0], float(line.energy), float(line.intensity))
        for name, line in tables().xray_lines(element).items()
    ]
    extra = VALENCE_LINES.get(element, ())
    shared = {start: share for _, start, _, share in extra}
    found = [
        (name, start, energy, share * (1 - shared.get(start, 0.0)))
        for name, start, energy, share in lines
    ]
    return (*found, *extra)


@cache
def _heavier_yield(element: str, subshell: str) -> float:
    """The fluorescence yield of the first heavier element of which xraydb knows one."""
    xraydb = tables()
    for z in range(atomic_number(element) + 1, 99):
        edge = subshell_edges(xraydb.atomic_symbol(z)).get(subshell)
        if edge is not None and edge.fyield > 0:
            return float(edge.fyield)
    return 0.0


def occupancy(element: str, name: str) -> float:
    """How full the 3p shell is that Kb comes from: xraydb has the strength of a full one."""
    if not name.startswith("Kb"):
        return 1.0
    return min(max(atomic_number(element) - 12, 0) / 6, 1.0)


def photons(element: str, made: Mapping[str, float] | None = None) -> dict[str, float]:
    """Photons of every subshell, "K", "L1" …, for the vacancies that are made there.

    Vacancies of L move up by Coster–Kronig transitions before they are filled.

    Args:
        made: vacancies of every subshell; default: in proportion to its electrons.
    """
    yields = _yields(element)
    if made is None:
        made = {
            name: float(n)
            for shell, electrons in ELECTRONS.items()
            for name, n in zip(subshells(shell), electrons, strict=True)
        }
    holes = dict(made)
    if "L3" in holes and "L3" in yields:
        for start, end in (("L1", "L2"), ("L1", "L3"), ("L2", "L3")):
            holes[end] += _coster_kronig(element, start, end) * holes[start]
    return {name: n * yields.get(name, 0.0) for name, n in holes.items()}


@cache
def _yields(element: str) -> Mapping[str, float]:
    """{subshell: fluorescence yield}."""
    yields = {name: edge.fyield for name, edge in subshell_edges(element).items()}
    if element in NO_M5_YIELD:
        yields["M5"] = _heavier_yield(element, "M5")
    return yields


@cache
def _coster_kronig(element: str, start: str, end: str) -> float:
    """Share of vacancies of a subshell that move to another."""
    return tables().ck_probability(element, start, end, total=False) or 0.0


def subshells(shell: str) -> list[str]:
    """ "L": "L1", "L2", "L3"."""
    n = len(ELECTRONS[shell])
    return [shell] if n == 1 else [f"{shell}{i + 1}" for i in range(n)]


@cache
def _edges_of(element: str) -> tuple[Edge, ...]:
    table = subshell_edges(element).items()
    names = [(f"{element} {name}", edge.energy or 0.0) for name, edge in table]
    return tuple(Edge(name, element, float(SOLID.get(name, energy))) for name, energy in names)

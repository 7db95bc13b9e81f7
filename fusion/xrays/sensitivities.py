"""How many photons of a line an atom gives: k factors as they were measured, or from tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np

from fusion.algebra.calls import checked_class
from fusion.xrays.attenuation import edges_kev
from fusion.xrays.line_groups import emitted, line_groups
from fusion.xrays.table import atomic_mass, atomic_number, parse_names

Kind = Literal["atomic", "weight"]
UNSURE = {"C": 0.5, "N": 0.3, "O": 0.2}
"""Relative standard error of a computed k factor of K lines; yields of tables differ by so much."""
UNSURE_LIGHT, UNSURE_HEAVY, UNSURE_SHELL = 0.15, 0.05, 0.2
"""The same from F to Ca, above, and of L and M lines."""
SOFT, UNSURE_SOFT = 0.3, 1.0
"""keV, and the error of L and M lines of shells below it: valence electrons take part."""
NAMED = ("K", "Ka", "L", "La", "M", "Ma")
"""Of an element, what has a k factor."""
LIGHT = 20
"""Atomic number of Ca."""


@checked_class
@dataclass(frozen=True)
class KFactors:
    """k factors of X-ray lines or families: k ∝ (share of the element) / intensity.

    "Fe K" is the whole family, "Fe Ka" its alpha lines alone; where both are given the share of the
    alpha lines, so that of the subshell they come from, is known, too. All of one kind, against one
    reference, for a thin specimen, with the detector's efficiency in them.

    Args:
        values: {line or family: k} or {…: (k, standard error)}.
        kind: "atomic": for atomic fractions; "weight": for weight fractions, as Cliff and Lorimer
            had them.
        error: relative standard error of every k that has none of its own.

    Raises:
        ValueError: if a name, or a number, means nothing.

    Example:
        >>> k = fu.elements.KFactors({"Si K": 1.0, "Fe K": (1.2, 0.05), "O K": 2.2}, kind="weight")
        >>> k.elements
        ('Si', 'Fe', 'O')
    """

    values: Mapping[str, float | tuple[float, float]]
    kind: Kind = "atomic"
    error: float = 0.0

    def __post_init__(self) -> None:
        call = f"KFactors({dict(self.values)!r}, …)" if len(self.values) < 4 else "KFactors(…)"
        if self.kind not in ("atomic", "weight"):
            raise ValueError(f"`{call}`: kind={self.kind!r}: give 'atomic' or 'weight'.")
        if not (isinstance(self.error, Real) and 0 <= self.error < 1):
            raise ValueError(
                f"`{call}`: error={self.error!r}: give a relative standard error, 0.1 for 10 %."
            )
        if not self.values:
            raise ValueError(
                f"`{call}`: no k factors: leave `k_factors` out to have them computed."
            )
        if wrong := [name for name in self.values if _part(name) not in NAMED]:
            raise ValueError(
                f"`{call}`: {', '.join(map(repr, wrong))}: name a family, 'Fe K', or its alpha "
                "lines, 'Fe Ka'."
            )
        for name, (k, spread) in self.pairs.items():
            if not (np.isfinite(k) and k > 0 and np.isfinite(spread) and spread >= 0):
                raise ValueError(f"`{call}`: {name}: ({k}, {spread}): every k must be > 0.")

    @property
    def pairs(self) -> dict[str, tuple[float, float]]:
        """{name: (k for atomic fractions, relative standard error)}."""
        made = {}
        for name, given in self.values.items():
            ((element, part),) = parse_names("KFactors", [name])
            k, spread = given if isinstance(given, tuple) else (given, self.error * float(given))
            per_atom = atomic_mass(element) if self.kind == "weight" else 1.0
            made[f"{element} {part}"] = float(k) / per_atom, float(spread / k if k else np.inf)
        return made

    @property
    def elements(self) -> tuple[str, ...]:
        """Of which there are k factors."""
        return tuple(dict.fromkeys(name.partition(" ")[0] for name in self.values))


def _part(name: str) -> str:
    """ "Fe Ka": "Ka"."""
    return parse_names("KFactors", [name])[0][1]


@dataclass(frozen=True)
class ShellSensitivity:
    """Photons of a shell that an atom gives, in the unit of a table.

    Attributes:
        value: 1 / k; error: relative standard error.
        measured: whether a k factor says so; else it is computed.
        alpha: share of its photons in the alpha lines, where that was measured.
        whole: whether it was measured of the whole family, not of its alpha lines.
    """

    value: float
    error: float
    measured: bool
    alpha: float | None = None
    whole: bool = False


def sensitivities(
    shells: Sequence[str], k_factors: KFactors | None, beam_energy: float
) -> dict[str, ShellSensitivity]:
    """Of every shell, "Fe K": from a k factor of it, else computed, in the scale of those that are.

    What is computed is set to the k factors of the same element where it has some of another shell,
    else to those of all.

    Args:
        shells: "Fe K", "Fe L", …
        k_factors: measured; None: all are computed.
        beam_energy: keV.
    """
    known = {} if k_factors is None else k_factors.pairs
    made = {s: _measured(s, known, beam_energy) for s in shells}
    computed = {s: computed_sensitivity(s, beam_energy) for s in shells}
    ratios = {s: m.value / computed[s].value for s, m in made.items() if m is not None}
    common = float(np.exp(np.mean(np.log(list(ratios.values()))))) if ratios else 1.0
    found = {}
    for s in shells:
        own = [r for other, r in ratios.items() if other.split()[0] == s.split()[0]]
        scale = float(np.mean(own)) if own else common
        free = ShellSensitivity(computed[s].value * scale, computed[s].error, measured=False)
        found[s] = made[s] or free
    return found


def _measured(
    shell: str, known: Mapping[str, tuple[float, float]], beam_energy: float
) -> ShellSensitivity | None:
    """What k factors say of a shell."""
    whole, alpha = known.get(shell), known.get(f"{shell}a")
    if whole is not None:
        share = None if alpha is None else whole[0] / alpha[0]
        return ShellSensitivity(1 / whole[0], whole[1], measured=True, alpha=share, whole=True)
    if alpha is None:
        return None
    element, name = shell.split()
    groups = [g for g in line_groups([element], 0.0, np.inf, beam_energy) if g.shell == name]
    share = sum(g.share for g in groups if g.family == f"{name}a")
    return ShellSensitivity(1 / alpha[0] / share, alpha[1], measured=True)


def computed_sensitivity(shell: str, beam_energy: float) -> ShellSensitivity:
    """Ionisations of a shell's subshells times the photons that follow, before any detector.

    Casnati's cross-section, relativistic; yields and Coster–Kronig transitions of Elam's tables.
    """
    element, name = shell.split()
    total = sum(emitted(element, name, beam_energy).values())
    return ShellSensitivity(total, computed_error(element, name), measured=False)


def computed_error(element: str, shell: str) -> float:
    """Relative standard error of what is computed."""
    if shell != "K":
        edges = [edge for name, edge in edges_kev(element).items() if name[0] == shell]
        return UNSURE_SOFT if max(edges, default=0.0) < SOFT else UNSURE_SHELL
    light = atomic_number(element) <= LIGHT
    return UNSURE.get(element, UNSURE_LIGHT if light else UNSURE_HEAVY)


def as_k_factors(call: str, given: Any) -> KFactors | None:
    """K factors as they were given: None, the object, or a mapping of atomic ones."""
    if given is None or isinstance(given, KFactors):
        return given
    if isinstance(given, Mapping):
        return KFactors(given)
    raise ValueError(
        f"`{call}`: k_factors={given!r}: give `fu.elements.KFactors({{'Si K': 1.0, …}}, "
        "kind='atomic')`."
    )

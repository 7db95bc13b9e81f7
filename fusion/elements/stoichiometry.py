"""Oxygen that is counted by charges, and not taken from its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.xrays.table import parse_names

Array = NDArray[np.float64]
Valence = float | tuple[float, float]

CHARGES = {
    element: (low, high)
    for elements, low, high in (
        ("Li Na K Rb Cs Ag", 1, 1),
        ("Be Mg Ca Sr Ba Zn Cd", 2, 2),
        ("B Al Ga In Sc Y La Nd Sm Gd Dy Ho Er Yb Lu Bi", 3, 3),
        ("Si Ge Zr Hf Th", 4, 4),
        ("P Ta", 5, 5),
        *(("Cu", 1, 2), ("Fe Co Ni", 2, 3), ("Pb Sn", 2, 4), ("Eu", 2, 3), ("Ce Pr Tb", 3, 4)),
        *(("Ti", 3, 4), ("Mn", 2, 4), ("V Nb", 3, 5), ("Cr", 2, 6), ("Mo W", 4, 6), ("U", 4, 6)),
    )
    for element in elements.split()
}
"""Usual charges of cations in oxides, from … to (Greenwood & Earnshaw, 1997)."""
ANIONS = {"N": -3, "F": -1, "Cl": -1, "Br": -1, "I": -1}
"""Charges of what takes the place of oxygen."""
BOTH = {"S": "-2 in sulphides, 6 in sulphates", "C": "4 in carbonates, 0 in a film of carbon"}
"""Elements that are either, and as what."""
LARGEST = 8
"""Charge of an ion, at most."""


@checked_class
@dataclass(frozen=True)
class Stoichiometry:
    """Oxygen as charges want it: n(O) = Σ_i n_i v_i / 2 over all other elements, of valence v_i.

    For `result.composition(oxygen=…)`, of specimens that are oxide everywhere: a metal particle
    among them is told by how far oxygen by its line is from that. Elements with one usual charge in
    oxides have it (Mg 2, Al 3, Si 4, P 5, …; N -3, F, Cl, Br and I -1); those with several, such as
    Fe, Ti, Mn or S, are asked for.

    Args:
        valences: {element: charge} or {…: (charge, standard error)}, of anions below 0, 0 of what
            is metal; those of a laboratory may name more elements than are there.

    Raises:
        ValueError: if an element, or a charge, is none.

    Example:
        >>> fu.elements.Stoichiometry({"Fe": (2.67, 0.05)}).of(["O", "Fe", "Mg"])
        {'Fe': (2.67, 0.05), 'Mg': (2.0, 0.0)}
    """

    valences: Mapping[str, Valence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        call = f"Stoichiometry({dict(self.valences)!r})"
        if lines := [e for e in self.valences if parse_names(call, [e]) != [(e, "")]]:
            raise ValueError(f"`{call}`: {', '.join(lines)}: give elements, {{'Fe': 3}}.")
        if "O" in self.valences:
            raise ValueError(f"`{call}`: oxygen is what is counted, as -2: leave 'O' out.")
        for element, given in self.valences.items():
            pair = given if isinstance(given, tuple) else (given,)
            if not (1 <= len(pair) <= 2 and all(isinstance(each, Real) for each in pair)):
                raise ValueError(
                    f"`{call}`: {element}: {given!r}: give a charge, 3, or "
                    "(charge, standard error)."
                )
        for element, (valence, error) in self._pairs().items():
            if not (abs(valence) <= LARGEST and 0 <= error <= LARGEST):
                raise ValueError(
                    f"`{call}`: {element}: ({valence:g}, {error:g}): a charge lies between "
                    f"-{LARGEST} and {LARGEST}, its standard error is not below 0."
                )

    def of(self, elements: Sequence[str]) -> dict[str, tuple[float, float]]:
        """{element: (valence, standard error)} of all of a composition but oxygen.

        Raises:
            ValueError: if one is not known, oxygen is not among them, or nothing carries it.
        """
        if "O" not in elements:
            raise ValueError(
                "`composition(oxygen=Stoichiometry(…))`: the composition is of "
                f"{', '.join(elements)}: fit 'O', too, as it absorbs X-rays, and as its line tells "
                "whether the valences are right."
            )
        usual = {e: low for e, (low, high) in CHARGES.items() if low == high} | ANIONS
        known = {e: (float(valence), 0.0) for e, valence in usual.items()} | self._pairs()
        others = [e for e in elements if e != "O"]
        if missing := [e for e in others if e not in known]:
            asked = ", ".join(f"{e!r}: {CHARGES.get(e, '…')[-1]}" for e in missing)
            raise ValueError(
                "`composition(oxygen=Stoichiometry(…))`: which valence has "
                f"{', '.join(map(_could_be, missing))}? Give it, `Stoichiometry({{{asked}}})`: 0 "
                "of a metal, below 0 of an anion, with a standard error where it is mixed or not "
                "known."
            )
        found = {e: known[e] for e in others}
        if not any(valence > 0 for valence, _ in found.values()):
            raise ValueError(
                "`composition(oxygen=Stoichiometry(…))`: "
                f"{in_charges(found) or 'oxygen alone'}: no cation, and so no oxygen by "
                "stoichiometry: leave `oxygen` out."
            )
        return found

    def _pairs(self) -> dict[str, tuple[float, float]]:
        pairs = {e: v if isinstance(v, tuple) else (v, 0.0) for e, v in self.valences.items()}
        return {e: (float(valence), float(error)) for e, (valence, error) in pairs.items()}


@dataclass(frozen=True, eq=False)
class FoundOxygen:
    """Oxygen of components by stoichiometry beside what its line tells of them.

    Attributes:
        valences: {element: (valence, standard error)} that it was counted by.
        by_line: (K,) at.%, `by_line_errors` standard errors, 0 where the line is at zero;
            `by_line_intervals` (K, 2) of 95 %.
        apart: (K,) by which share of 100 atoms more are counted than the line tells; `apart_errors`
            its standard errors, with all that both have in common.
    """

    valences: dict[str, tuple[float, float]]
    by_line: Array
    by_line_errors: Array
    by_line_intervals: Array
    apart: Array
    apart_errors: Array


@dataclass(frozen=True)
class Charges:
    """Valences of the elements of a composition, as tensors.

    Attributes:
        valences: (element,), 0 of oxygen; errors: their standard errors.
        oxygen: (element,), which it is.
    """

    valences: Tensor
    errors: Tensor
    oxygen: Tensor

    @classmethod
    def of(
        cls, elements: Sequence[str], found: Mapping[str, tuple[float, float]], like: Tensor
    ) -> Charges:
        """On the device and in the precision of a tensor."""
        pairs = torch.tensor([found.get(e, (0.0, 0.0)) for e in elements], dtype=torch.float64)
        pairs = pairs.to(like)
        oxygen = torch.tensor([e == "O" for e in elements], device=like.device)
        return cls(pairs[:, 0], pairs[:, 1], oxygen)

    @property
    def place(self) -> int:
        """Where oxygen stands among the elements."""
        return int(self.oxygen.nonzero()[0, 0])

    def counted(self, n: Tensor, valences: Tensor | None = None) -> Tensor:
        """Atoms (…, element) with oxygen by charges in the place of that of its line.

        Below 0 where there are more charges of other anions than of cations.
        """
        total = n @ (self.valences if valences is None else valences)
        return torch.where(self.oxygen, total[..., None] / 2, n)

    def variance(self, n: Tensor) -> Tensor:
        """(…,) of that oxygen, as far as valences are not known."""
        return (n * self.errors / 2).square().sum(-1)


def in_charges(valences: Mapping[str, tuple[float, float]]) -> str:
    """ "Mg 2+, Fe 2.67+ ± 0.05, F 1−"."""
    said = []
    for element, (valence, error) in valences.items():
        sign = "+" if valence > 0 else "−" if valence < 0 else ""
        said.append(f"{element} {abs(valence):g}{sign}" + (f" ± {error:g}" if error else ""))
    return ", ".join(said)


def _could_be(element: str) -> str:
    """ "Fe (2 to 3)"."""
    if element in CHARGES:
        return "{} ({} to {})".format(element, *CHARGES[element])
    return f"{element} ({BOTH[element]})" if element in BOTH else element

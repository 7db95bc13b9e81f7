"""The smallest chemical formula that a composition allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST = 24
"""Atoms in a formula unit, at most."""
SMALL = 1.0
"""at.% below which an element that may be absent is left out."""
EXACT = 1e-6
"""at.% to which numbers are those of a formula, where an interval has no width."""
NARROW = 0.35
"""at.%, width of an interval below which its ends have two decimals."""
LAST = ("B", "Si", "C", "Sb", "As", "P", "N", "H", "Te", "Se", "S", "I", "Br", "Cl", "O", "F")
"""Elements that stand last in a formula, in this order (IUPAC, Red Book 2005, IR-4.4.3)."""
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def formula_unit(
    elements: Sequence[str], atomic: Array, intervals: Array
) -> tuple[str, float] | None:
    """(formula, the most that an element is off it in at.%); None where no small one is allowed.

    The fewest whole numbers of atoms that lie within all 95 % intervals.

    Args:
        elements: names.
        atomic: (element,) at.%.
        intervals: (element, 2) at.%.
    """
    if not np.isfinite(atomic).all():
        return None
    there = (atomic > SMALL) | (intervals[:, 0] > 0)
    for total in range(1, LARGEST + 1):
        whole = np.rint(atomic * total / 100)
        per_cent = 100 * whole / total
        inside = (intervals[:, 0] - EXACT <= per_cent) & (per_cent <= intervals[:, 1] + EXACT)
        if (
            whole.sum() == total
            and (whole >= 0).all()
            and (inside | ~there).all()
            and (whole[there] > 0).all()
        ):
            pairs = [pair for pair in zip(elements, whole, strict=True) if pair[1] > 0]
            pairs.sort(key=lambda pair: LAST.index(pair[0]) if pair[0] in LAST else -1)
            names = [element + (str(int(n)) if n > 1 else "") for element, n in pairs]
            return "".join(names), float(np.abs(atomic - per_cent).max())
    return None


def in_small_letters(formula: str) -> str:
    """ "SrTiO3": "SrTiO₃"."""
    return formula.translate(SUBSCRIPTS)


def interval_text(low: float, high: float) -> str:
    """ "19.2 to 20.4"; nothing of a limit, which its cell says, or of what is exact."""
    places = 1 if high - low >= NARROW else 2
    return f"{low:.{places}f} to {high:.{places}f}" if low > 0 and high - low > 2 * EXACT else ""

"""Which constraints of one factor go together, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fusion.algebra.calls import checked_call
from fusion.constraints.contract import Constraint
from fusion.constraints.known import Fixed
from fusion.constraints.simplex import Simplex


@checked_call
def check_chain(constraints: Sequence[Constraint]) -> None:
    """Complain of two constraints that exclude each other, or stand in the wrong order.

    Raises:
        ValueError: naming both and what to do.
    """
    order = {"sign": 0, "scale": 1, "known": 2}
    ranked = [c for c in constraints if c.kind is not None]
    for earlier, later in pairwise(ranked):
        a, b = order[earlier.kind or ""], order[later.kind or ""]
        if a == b:
            raise ValueError(
                f"`Factor(…, {earlier}, {later})`: both decide the {earlier.kind}: "
                "keep one of them."
            )
        if a > b:
            raise ValueError(f"`Factor(…, {earlier}, {later})`: write {later} before {earlier}.")
    if any(c.kind == "known" for c in constraints[:-1]):
        raise ValueError(
            "`Factor(…, Fixed(…))`: write `Fixed` last: known values are not transformed."
        )
    last, closed = constraints[-1], any(isinstance(c, Simplex) for c in constraints)
    if closed and isinstance(last, Fixed) and bool((last.values != 0).any()):
        raise ValueError(
            "`Factor(…, Simplex(), Fixed(…))`: known values other than 0 would come on top of "
            "rows that sum to 1: keep zeros (`Absent`) only."
        )

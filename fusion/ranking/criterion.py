"""What one criterion says of the number of components."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.display import Display, Facts, Shown

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Criterion(Shown):
    """One criterion: a curve over K, the K that it picks, and why.

    Attributes:
        name: "noise edge", "IND" …
        quantity: what the curve shows.
        K: numbers of components, (k,).
        curve: the quantity at each, (k,).
        chosen: its K; None where it does not choose.
        said: one sentence.
        line: value that the curve is held against; None where there is none.
        log: whether the curve is drawn on a log scale.
        minimum: whether the choice is its minimum: the curve is drawn around it.
        reasons: why it may choose (fewer, more) than stand out of the noise.
    """

    name: str
    quantity: str
    K: NDArray[np.int64]
    curve: Array
    chosen: int | None
    said: str
    line: float | None = field(default=None, kw_only=True)
    log: bool = field(default=False, kw_only=True)
    minimum: bool = field(default=False, kw_only=True)
    reasons: tuple[str, str] | None = field(default=None, kw_only=True)

    def _display(self) -> Display:
        chosen = "chooses none" if self.chosen is None else f"K = {self.chosen}"
        seen = self.K[np.isfinite(self.curve)]
        tried = f"{self.quantity} for K = {seen[0]} to {seen[-1]}" if seen.size else self.quantity
        return Display(f"{self.name}: {chosen}", (Facts([("why", self.said), ("curve", tried)]),))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers, text and lists; what is not a number is None."""
        curve = [float(y) if np.isfinite(y) else None for y in self.curve]
        items = {"name": self.name, "quantity": self.quantity, "chosen": self.chosen}
        return items | {"K": self.K.tolist(), "curve": curve, "line": self.line, "said": self.said}


def integers(first: int, length: int) -> NDArray[np.int64]:
    """first, first + 1, …, so many."""
    return np.arange(first, first + length)

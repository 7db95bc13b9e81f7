"""Standard errors of all factors, which show how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.display import Display, Shown, Table

Array = NDArray[Any]
Row = tuple[str, str, str, str, str, str]


class StandardErrors(Shown, dict[str, Array]):
    """{factor: standard errors of its shape}; a dictionary that shows itself.

    Args:
        errors: of every factor.
        factors: the values that they belong to.
    """

    def __init__(self, errors: Mapping[str, Array], factors: Mapping[str, Array]) -> None:
        super().__init__(errors)
        self.rows = tuple(_row(name, e, factors[name]) for name, e in errors.items())
        """Of every factor: name, shape, median relative error, entries at a bound, known, open."""

    def __reduce__(self) -> Any:
        return _restored, (dict(self), self.rows)

    def _display(self) -> Display:
        left_open = [row[0] for row in self.rows if row[-1] != "–"]
        said = f"the data leave entries open in {', '.join(left_open)}" if left_open else (
            "every free entry has an error"
        )  # fmt: skip
        head = ("factor", "shape", "median error / value", "at a bound: NaN", "known: 0", "open: ∞")
        return Display(f"standard errors: {said}", (Table(head, self.rows),))


def _restored(errors: dict[str, Array], rows: tuple[Row, ...]) -> StandardErrors:
    """The same after a copy or a file."""
    made = StandardErrors({}, {})
    made.update(errors)
    made.rows = rows
    return made


def _row(name: str, error: Array, value: Array) -> Row:
    """How large the errors of a factor are, and how many entries have none."""
    free = np.isfinite(error) & (error > 0) & (value != 0)
    relative = f"{100 * np.median(error[free] / np.abs(value[free])):.3g} %" if free.any() else "–"
    seen = np.isfinite(value)
    held, known, open_ = (
        str(int(some.sum())) if some.any() else "–"
        for some in (np.isnan(error) & seen, error == 0, np.isinf(error))
    )
    return name, " × ".join(map(str, error.shape)), relative, held, known, open_

"""Slopes of functions of all values by the rows of maps and the few common variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.directional import jacobian
from fusion.engine.rows_and_few import RowsAndFew


@dataclass(frozen=True)
class Slopes:
    """Of functions of the values.

    Attributes:
        by_rows: (function, pixel, r); along: (function, few), where rows follow the few.
    """

    by_rows: Tensor
    along: Tensor

    def own(self, rows: Tensor) -> Tensor:
        """(function,) variance by that of the rows (pixel, r, r), the few held."""
        return torch.einsum("npr,prs,nps->n", self.by_rows, rows, self.by_rows)


def slopes_of(
    parts: RowsAndFew,
    flat: Tensor,
    follow: Tensor,
    function: Callable[[dict[str, Tensor]], Tensor],
) -> Slopes:
    """Of functions (n,) of the values, where rows follow the few so, (pixel, r, few)."""

    def of(few: Tensor, rows: Tensor) -> Tensor:
        at = flat.index_put((parts.few,), few).index_put((parts.places,), rows)
        values = parts.objective.values(at[None])
        return function({name: v[0] for name, v in values.items()})

    by_few, by_rows = jacobian(of, flat[parts.few], flat[parts.places])
    return Slopes(by_rows, by_few + torch.einsum("npr,prg->ng", by_rows, follow))

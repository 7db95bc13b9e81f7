"""Rows of maps as what all have in common leaves them: their noise, and how they follow it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.rows_and_few import Arrow, RowsAndFew


@dataclass(frozen=True)
class MetRows:
    """The maps' own variables, all common ones held.

    Attributes:
        free: (pixel, r), which are not at their bound.
        covariance: (pixel, r, r), 0 where one is at its bound; follow: (pixel, r, few), how they
            follow the common variables.
    """

    free: Tensor
    covariance: Tensor
    follow: Tensor


def met_rows(parts: RowsAndFew, flat: Tensor, arrow: Arrow) -> MetRows:
    """Covariance of every row, and how it follows what all have in common."""
    places = parts.places
    free = ~((flat[places] <= parts.objective.lower()[places]) & (arrow.row_gradient > 0))
    both = free[:, :, None] & free[:, None]
    apart = torch.diag_embed((~free).to(flat))
    rows = torch.linalg.pinv(torch.where(both, arrow.rows, 0) + apart, hermitian=True)
    rows = torch.where(both, rows, 0)
    return MetRows(free, rows, -rows @ torch.where(free[:, :, None], arrow.border, 0))

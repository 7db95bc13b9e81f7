"""Closure: amounts that add up to one in every row."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.constraints.contract import Constraint


class Simplex(Constraint):
    """Every row is ≥ 0 and sums to 1: shares of a whole, as abundances in a pixel (closure).

    The raw variable is ≥ 0, and a row is divided by its sum, so that zeros are reached and left
    as with `NonNegative`. A row without anything has equal shares. It fixes the scale: leave the
    partner free, `Factor((data.channels, K))` beside `Factor((data.pixels, K), Simplex())`. It does
    not fix the corners: spectra more extreme than the true ones, with all shares nearer to each
    other, fit as well. Where thickness or light varies from pixel to pixel closure does not hold.
    Known zeros (`Absent`) keep the sum; other known values are refused.

    References:
        Heinz & Chang, IEEE Trans. Geosci. Remote Sens. 39:529 (2001).
    """

    kind, lower, scale_free, by_row = "scale", 0.0, True, True
    words = "rows sum to 1, ≥ 0"

    def forward(self, raw: Tensor) -> Tensor:
        raw = raw.clamp_min(0)
        total = raw.sum(-1, keepdim=True)
        alive = total > 0
        return torch.where(alive, raw / torch.where(alive, total, 1), 1 / raw.shape[-1])

    def right_inverse(self, value: Tensor) -> Tensor:
        return self(value)

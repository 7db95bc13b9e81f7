"""Mean variance of every row and every column of the data: how large residuals are to be."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from fusion.algebra.prediction import Expanded, Prediction
from fusion.forms.weights import Weights
from fusion.language.prediction_rows import prediction_rows

CHUNK = 2**21
"""Values that are looked at together."""

Means = tuple[Tensor, Tensor]
"""(row,) and (column,), NaN where all is masked."""


def of_inverse(weights: Weights, shape: tuple[int, int]) -> Means:
    """Means of 1 / w over what has a weight, of weights that are inverse variances."""
    if weights.full is None:
        rows, cols = (
            torch.ones(n, dtype=torch.float64) if w is None else w.double()
            for n, w in zip(shape, (weights.rows, weights.cols), strict=True)
        )
        inverse = [torch.where(w > 0, 1 / w, torch.nan) for w in (rows, cols)]
        return inverse[0] * inverse[1].nanmean(), inverse[0].nanmean() * inverse[1]
    like = weights.full
    return _by_chunks(lambda part: like.new_ones(()), weights, shape, inverse=True)


def of_prediction(M: Prediction, weights: Weights, shape: tuple[int, int]) -> Means:
    """Means of a prediction over what is not masked, where `weights` are 0 there and else 1."""
    flat = (prod(M.shape[:-1]), M.shape[-1])
    if isinstance(M, Expanded) or flat != shape or weights.full is not None:
        return _by_chunks(prediction_rows(M, shape), weights, shape)
    left, right = (factor.double() for factor in M.two_way())
    rows, cols = (
        torch.ones(n, dtype=left.dtype, device=left.device) if w is None else w.to(left)
        for n, w in zip(shape, (weights.rows, weights.cols), strict=True)
    )
    nothing = [torch.where(seen > 0, 1.0, torch.nan) for seen in (rows, cols)]
    over = [seen / seen.sum().clamp_min(1) for seen in (rows, cols)]
    return left @ (over[1] @ right) * nothing[0], right @ (over[0] @ left) * nothing[1]


def _by_chunks(
    values: Callable[[slice], Tensor],
    weights: Weights,
    shape: tuple[int, int],
    *,
    inverse: bool = False,
) -> Means:
    """The same of a matrix, some rows at a time; `inverse`: of the values over their weights."""
    n, p = shape
    step = max(1, CHUNK // p)
    rows: list[Tensor] = []
    total, count = (torch.zeros(p, dtype=torch.float64) for _ in range(2))
    for first in range(0, n, step):
        part = slice(first, min(first + step, n))
        x = values(part).double()
        w = weights.chunk(part, shape)
        w = torch.ones_like(x) if w is None else w.to(x)
        x, w = x.expand(part.stop - first, p), w.expand(part.stop - first, p)
        seen = w > 0
        x = torch.where(seen, x / torch.where(seen, w, 1) if inverse else x, 0)
        rows.append(x.sum(1) / torch.where(seen.any(1), seen.sum(1), torch.nan))
        total, count = total.to(x.device) + x.sum(0), count.to(x.device) + seen.sum(0)
    return torch.cat(rows), total / torch.where(count > 0, count, torch.nan)

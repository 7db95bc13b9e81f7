"""What a fit leaves of its data, in sums that blocks of pixels add up to."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.prediction import CP, Expanded, Prediction, Sum
from fusion.data.dataset import Dataset
from fusion.forms.contract import Form
from fusion.forms.weights import Weights
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.language.prediction_rows import prediction_rows

SAMPLE = 4096
"""Pixels that tell how what is left scatters, to one or two per cent."""


@dataclass(frozen=True)
class LeftOver:
    """Sums of what a fit leaves of some pixels, to be added up over blocks of them by `+`.

    Attributes:
        squares, row_counts: Σ (x − m)² of every pixel and of how many values, (row,), masked ones
            left out; row_noise: mean variance of the noise there, NaN where all is masked.
        residuals, values, counts: Σ (x − m), Σ x and their number for every channel, (column,);
            noise, noise_counts: the sum of the variances there, and of how many values.
        size: Σ w x²; unmet: Σ w (x − m)².
        shares: ⟨M_k, M⟩ of every component, (K,); None where the prediction has none.
        chi2, chi2_count: Σ (x − m)² over the variance and of how many values; None where no
            variance is known.
        measured: whether the noise is that of what is left of a sample.
    """

    squares: Tensor
    row_counts: Tensor
    row_noise: Tensor
    residuals: Tensor
    values: Tensor
    counts: Tensor
    noise: Tensor
    noise_counts: Tensor
    size: float
    unmet: float
    shares: Tensor | None
    chi2: float | None
    chi2_count: int
    measured: bool

    def __add__(self, other: LeftOver) -> LeftOver:
        rows = ("squares", "row_counts", "row_noise")
        made: dict[str, Any] = {}
        for name, mine in vars(self).items():
            theirs = getattr(other, name)
            if name in rows:
                made[name] = torch.cat([mine, theirs])
            elif name == "measured":
                made[name] = mine
            else:
                made[name] = None if mine is None or theirs is None else mine + theirs
        return LeftOver(**made)


def left_over(fit: Fit, model: Model, sample: int = SAMPLE) -> LeftOver:
    """What a fit leaves of its data.

    Args:
        fit, model: with the values of the answer.
        sample: pixels that tell the scatter, where no noise is known.
    """
    with fit.pair(model)[0].unchanged():
        return _left_over(fit, model, sample)


def _left_over(fit: Fit, model: Model, sample: int) -> LeftOver:
    form, M = fit.pair(model)
    data = fit.dataset
    chi2, count = fit.chi2_per_value(model), form.count()
    weighted = fit.weighted_by_variance  # else it may be of a shape that no form has
    unweighted = data.form(data.matrix_shape, form.device, form.dtype, variance=weighted)
    squares, row_counts, residuals, values, counts = _residuals(unweighted, M, data.matrix_shape)
    # unweighted they are known already: no further pass over the data
    unmet = squares.double().sum() if form.unweighted else 2 * fit.half_squares(model)
    known = fit.mean_variances(model)
    means = _scatter(unweighted, M, data.matrix_shape, sample) if known is None else known
    row_noise, noise = (each.to(form.device).double() for each in means)
    seen = _seen(data).to(noise)
    size, shares = form.norm2(), component_shares(form, M, components_of(model))
    return LeftOver(
        squares=squares,
        row_counts=row_counts,
        row_noise=row_noise,
        residuals=residuals,
        values=values,
        counts=counts,
        noise=torch.where(noise.isnan(), 0, noise) * seen,
        noise_counts=torch.where(noise.isnan(), 0, seen),
        size=float(size),
        unmet=float(unmet),
        shares=None if shares is None else shares * size,
        chi2=None if chi2 is None else float(chi2) * count,
        chi2_count=count,
        measured=known is None,
    )


def components_of(model: Model) -> int | None:
    """How many components a model says that it has; None where it says nothing."""
    return model.factor(model.interchangeable[0]).shape[-1] if model.interchangeable else None


def component_shares(form: Form, M: Prediction, components: int | None = None) -> Tensor | None:
    """⟨M_k, M⟩ / ‖X‖² of every component, (K,); None where the prediction has no components.

    So, too, where its columns are others than the `components` of its model: backgrounds, kernels.
    """
    parts = M.parts if isinstance(M, Sum) else (M,)
    if (
        not all(isinstance(p, CP) for p in parts)
        or len({p.like.shape[-1] for p in parts}) != 1
        or not form.rank_one
    ):
        return None
    L, R = M.two_way()
    K = parts[0].like.shape[-1]
    if components not in (None, K):
        return None
    LW, RW = form.weighted(L, R)
    gram = (L.double().T @ LW.double()) * (R.double().T @ RW.double())
    size = form.norm2().clamp_min(torch.finfo(torch.float64).tiny)
    return gram.sum(0).reshape(len(parts), K).sum(0) / size


def _residuals(form: Form, M: Prediction, shape: tuple[int, int]) -> tuple[Tensor, ...]:
    """Sums: (x − m)² and how many by pixel; x − m, x and how many by channel."""
    if form.rank_one and not isinstance(M, Expanded) and (prod(M.shape[:-1]), M.shape[-1]) == shape:
        return _residuals_by_products(form, *M.two_way())
    part = prediction_rows(M, shape)
    squares, row_counts = [], []
    sums, values, counts = (
        torch.zeros(shape[1], dtype=torch.float64, device=form.device) for _ in range(3)
    )
    for rows, x, w in form.chunks():
        seen = torch.ones_like(x) if w is None else (w > 0).to(x.dtype).expand_as(x)
        r = (x - part(rows)) * seen
        squares.append(r.square().sum(1))
        row_counts.append(seen.sum(1))
        sums, values, counts = sums + r.sum(0), values + (x * seen).sum(0), counts + seen.sum(0)
    return torch.cat(squares), torch.cat(row_counts), sums, values, counts


def _residuals_by_products(form: Form, L: Tensor, R: Tensor) -> tuple[Tensor, ...]:
    """The same for M = L Rᵀ from sums and products with the data."""
    rows, cols = (
        torch.ones(n, dtype=L.dtype, device=L.device) if w is None else (w > 0).to(L.dtype)
        for n, w in zip(form.shape, (form.weights.rows, form.weights.cols), strict=True)
    )
    n_rows, n_cols = rows.sum(), cols.sum()
    seen = R * cols[:, None]
    if form.weights.cols is not None:
        form, weights = copy(form), form.weights
        form.weights, form._sums = Weights(weights.rows, cols), None
    if form.compiled:
        alone = copy(form)
        alone.weights = Weights(None, form.weights.cols)  # a row's own weight is no part of it
        squares = alone.residual_squares(L, R)
    else:
        squares = _squares_by_products(form, L, seen)
    if form.weights.rows is None:
        values = form.sums()[1].to(L.dtype)
    else:
        values = form.rmatmul(rows[:, None])[:, 0]
    predicted = R @ (rows @ L)
    return (
        squares.clamp_min(0) * rows,
        n_cols * rows,
        (values - predicted) * cols,
        values * cols,
        n_rows * cols,
    )


def _squares_by_products(form: Form, L: Tensor, seen: Tensor) -> Tensor:
    """Σ_j (x − m)² of every row, no residual formed; `seen`: R, 0 where all is masked."""
    squares = form.sums()[0].to(L.dtype)
    return squares - 2 * (form.matmul(seen) * L).sum(1) + ((L @ (seen.T @ seen)) * L).sum(1)


def _scatter(
    form: Form, M: Prediction, shape: tuple[int, int], sample: int
) -> tuple[Tensor, Tensor]:
    """Mean squares of what is left of some pixels: one for all pixels, one for every channel."""
    n = shape[0]
    index = torch.arange(0, n, max(1, n // sample), device=form.device)
    part = prediction_rows(M, shape)
    squares, counts = 0.0, 0.0
    for rows, x, w in form.rows(index).chunks():
        seen = torch.ones_like(x) if w is None else (w > 0).to(x.dtype).expand_as(x)
        squares = squares + ((x - part(index[rows])) * seen).square().sum(0)
        counts = counts + seen.sum(0)
    assert isinstance(squares, Tensor)
    assert isinstance(counts, Tensor)
    columns = squares / torch.where(counts > 0, counts, torch.nan)
    return columns.nanmean().expand(n), columns


def _seen(data: Dataset) -> Tensor:
    """How many pixels of every channel are not masked."""
    n, p = data.matrix_shape
    if data.mask is None:
        return torch.full((p,), n)
    return (~data.mask).expand(data.shape).reshape(n, p).sum(0)

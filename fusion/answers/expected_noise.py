"""The noise of a data set as a fit of it assumes it, or as what it leaves has it."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.algebra.prediction import Prediction
from fusion.data.dataset import Dataset
from fusion.forms.contract import Form
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.language.prediction_rows import prediction_rows

SAMPLE = 4096
"""Pixels that tell how what is left scatters, to one or two per cent."""


def noise_of(fit: Fit, model: Model, form: Form, M: Prediction) -> tuple[Tensor, Tensor]:
    """(standard deviation of a value, by pixel; of the mean residual, by channel)."""
    data = fit.dataset
    known = fit.mean_variances(model)
    means = _scatter(form, M, data.matrix_shape) if known is None else known
    rows, columns = (each.to(form.device) for each in means)
    count = _seen(data).to(columns)
    spread = columns / torch.where(count > 0, count, torch.nan)
    return rows.clamp_min(0).sqrt().double(), spread.clamp_min(0).sqrt().double()


def _scatter(form: Form, M: Prediction, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Mean squares of what is left of some pixels: one for all pixels, one for every channel."""
    n = shape[0]
    index = torch.arange(0, n, max(1, n // SAMPLE), device=form.device)
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

"""What a fit leaves of the data: explained variance, residuals, and what the mask hides."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.display import Display, Facts, Shown
from fusion.algebra.prediction import CP, Expanded, Prediction, Sum
from fusion.answers.expected_noise import noise_of
from fusion.forms.contract import Form
from fusion.forms.weights import Weights
from fusion.language.factor import FactorModule
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.prediction_rows import prediction_rows
from fusion.language.seen_rows import seen_rows

Array = NDArray[Any]
ADDS_UP = 5e-5
"""Difference to the whole, up to which shares are said to be parts of it."""


@dataclass(frozen=True, eq=False, repr=False)
class DataSummary(Shown):
    """How well one data set is met.

    Attributes:
        shape: of the array; axes: its axes; signal: how many of the last are spectral.
        explained_variance: 1 − Σ (x − m)² / Σ x², with the data set's weights, outside the mask.
        component_variance: the share of it of every component, or None; they add up to it at a
            minimum of squares, and nearly so in other fits.
        residual_map: root mean square of x − m over the channels, shape of the navigation axes; NaN
            where masked.
        residual_spectrum: mean of x − m over the pixels, shape of the signal axes; NaN where
            masked.
        mean_spectrum: mean of x over the pixels, the same.
        chi2: mean of (x − m)² over the variance (Poisson: m), outside the mask: near 1 where model
            and noise are right; None where no variance is known.
        noise_map: root mean square of the noise in every pixel, as the fit assumes it; where its
            size is not known, as a sample of what is left has it, the same in all; shape of the
            navigation axes, NaN where masked. None in files of earlier versions, as the next.
        noise_spectrum: standard deviation of `residual_spectrum` by that noise, the signal axes.
        noise: what the fit assumed of it, in a word or two.
        history: what was done to the data before, a line a step.
        metadata: what the data set's file or signal tells of the measurement.
    """

    shape: tuple[int, ...]
    axes: Axes
    signal: int
    explained_variance: float
    component_variance: Array | None
    residual_map: Array
    residual_spectrum: Array
    mean_spectrum: Array
    chi2: float | None = None
    noise_map: Array | None = None
    noise_spectrum: Array | None = None
    noise: str = ""
    history: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chi_map(self) -> Array | None:
        """`residual_map` over the noise: near 1 where the model says all that is there.

        Of noise of unknown size the mean square over all pixels is 1; None where nothing is known.
        """
        return None if self.noise_map is None else _over(self.residual_map, self.noise_map)

    @property
    def residual_over_sigma(self) -> Array | None:
        """`residual_spectrum` over its standard deviation by noise: within ±2 but for 1 in 20."""
        if self.noise_spectrum is None:
            return None
        over = _over(self.residual_spectrum, self.noise_spectrum)
        nothing = (self.noise_spectrum == 0) & (np.abs(self.residual_spectrum) == 0)
        return np.where(nothing, 0.0, over)  # channels without a count

    def told(self) -> str:
        """χ² per value, explained variance, and the share of every component."""
        chi2 = f"{self.told_chi2}; " if self.told_chi2 else ""
        return f"{chi2}{self.told_variance}"

    @property
    def told_chi2(self) -> str:
        """ "χ² per value 1.003"; "" where no variance is known."""
        if self.chi2 is None:
            return ""
        return f"χ² per value {round(self.chi2, 3) + 0.0:.3f}"  # no −0 of an exact fit's rounding

    @property
    def told_variance(self) -> str:
        """ "explained variance 99.6 % = 60.1 + 39.5", the share of every component.

        They add up at a minimum of squares, and are but told where they do not.
        """
        parts = self.component_variance
        whole = f"explained variance {100 * self.explained_variance:.3f} %"
        if parts is None:
            return whole
        told = [f"{100 * p:.2f}" for p in parts]
        if abs(float(np.sum(parts)) - self.explained_variance) < ADDS_UP:
            return f"{whole} = {' + '.join(told)}"
        return f"{whole}; of the components {', '.join(told)}"

    def _display(self) -> Display:
        axes = ", ".join(f"{axis.name} {n}" for axis, n in zip(self.axes, self.shape, strict=True))
        noise = [("noise assumed", self.noise)] if self.noise else []
        return Display(f"what a fit left of {axes}", (Facts([("fit", self.told()), *noise]),))


def _over(values: Array, noise: Array) -> Array:
    """A ratio, NaN where there is no noise."""
    return np.divide(values, noise, out=np.full(values.shape, np.nan), where=noise > 0)


def component_shares(form: Form, M: Prediction) -> Tensor | None:
    """⟨M_k, M⟩ / ‖X‖² of every component, (K,); None where the prediction has no components."""
    parts = M.parts if isinstance(M, Sum) else (M,)
    if (
        not all(isinstance(p, CP) for p in parts)
        or len({p.like.shape[-1] for p in parts}) != 1
        or not form.rank_one
    ):
        return None
    L, R = M.two_way()
    K = parts[0].like.shape[-1]
    LW, RW = form.weighted(L, R)
    gram = (L.double().T @ LW.double()) * (R.double().T @ RW.double())
    size = form.norm2().clamp_min(torch.finfo(torch.float64).tiny)
    return gram.sum(0).reshape(len(parts), K).sum(0) / size


def describe(fit: Fit, model: Model) -> DataSummary:
    """How well the data set of one fit is met."""
    form, M = fit.pair(model)
    data = fit.dataset
    size = form.norm2().clamp_min(torch.finfo(torch.float64).tiny)
    shares = component_shares(form, M)
    weighted = fit.weighted_by_variance  # else it may be of a shape that no form has
    unweighted = data.form(data.matrix_shape, form.device, form.dtype, variance=weighted)
    squares, sums, means = _residuals(unweighted, M, data.matrix_shape)
    if form.unweighted:  # what is left is known already: no further pass over the data
        squares_left = data.matrix_shape[1] * squares.double().square().sum()
    else:
        squares_left = 2 * fit.half_squares(model)
    explained = 1 - float(squares_left / size)
    chi2 = fit.chi2_per_value(model)
    split = len(data.shape) - data.signal
    noise_map, noise_spectrum = noise_of(fit, model, unweighted, M)
    noise_map = torch.where(squares.isnan(), torch.nan, noise_map)
    return DataSummary(
        shape=data.shape,
        axes=data.axes,
        signal=data.signal,
        explained_variance=explained,
        component_variance=None if shares is None else shares.cpu().numpy(),
        residual_map=squares.cpu().numpy().reshape(data.shape[:split]),
        residual_spectrum=sums.cpu().numpy().reshape(data.shape[split:]),
        mean_spectrum=means.cpu().numpy().reshape(data.shape[split:]),
        chi2=None if chi2 is None else float(chi2),
        noise_map=noise_map.cpu().numpy().reshape(data.shape[:split]),
        noise_spectrum=noise_spectrum.cpu().numpy().reshape(data.shape[split:]),
        noise=fit.noise,
        history=data.history,
        metadata=data.metadata,
    )


def _residuals(form: Form, M: Prediction, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """(rms of x − m per pixel, mean of x − m per channel, mean of x per channel)."""
    if form.rank_one and not isinstance(M, Expanded) and (prod(M.shape[:-1]), M.shape[-1]) == shape:
        return _residuals_by_products(form, *M.two_way())
    part = prediction_rows(M, shape)
    squares, sums, means, counts = [], 0.0, 0.0, 0.0
    for rows, x, w in form.chunks():
        seen = torch.ones_like(x) if w is None else (w > 0).to(x.dtype).expand_as(x)
        r = (x - part(rows)) * seen
        n = seen.sum(1)
        squares.append(torch.where(n > 0, (r.square().sum(1) / n.clamp_min(1)).sqrt(), torch.nan))
        sums, means, counts = sums + r.sum(0), means + (x * seen).sum(0), counts + seen.sum(0)
    assert isinstance(counts, Tensor)
    nothing = torch.where(counts > 0, 1.0, torch.nan) / counts.clamp_min(1)
    return torch.cat(squares), sums * nothing, means * nothing


def _residuals_by_products(form: Form, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same for M = L Rᵀ from products with the data: no residual is formed."""
    rows, cols = (
        torch.ones(n, dtype=L.dtype, device=L.device) if w is None else (w > 0).to(L.dtype)
        for n, w in zip(form.shape, (form.weights.rows, form.weights.cols), strict=True)
    )
    n_rows, n_cols = rows.sum(), cols.sum()
    seen = R * cols[:, None]
    if form.weights.cols is not None:
        form, weights = copy(form), form.weights
        form.weights, form._sums = Weights(weights.rows, cols), None
    squares = form.sums()[0].to(L.dtype)
    squares = squares - 2 * (form.matmul(seen) * L).sum(1) + ((L @ (seen.T @ seen)) * L).sum(1)
    map_ = torch.where(rows > 0, (squares.clamp_min(0) / n_cols.clamp_min(1)).sqrt(), torch.nan)
    if form.weights.rows is None:
        means = form.sums()[1].to(L.dtype) / n_rows
    else:
        means = form.rmatmul(rows[:, None])[:, 0] / n_rows.clamp_min(1)
    predicted = R @ (rows @ L) / n_rows.clamp_min(1)
    nothing = torch.where(cols > 0, 1.0, torch.nan)
    return map_, (means - predicted) * nothing, means * nothing


def hide_masked_rows(
    factors: dict[str, Array], modules: dict[str, FactorModule], loss: Loss
) -> list[str]:
    """NaN for rows that every data set with their axes masks; a message for each factor."""
    messages = []
    for name, module in modules.items():
        seen = seen_rows(module.axes[0], (fit.dataset for _, _, fit in loss.fits))
        if seen is not None and not seen.all():
            factors[name][~seen] = np.nan
            messages.append(
                f"{int((~seen).sum())} of {len(seen)} rows of {name} are masked in all data: NaN"
            )
    return messages

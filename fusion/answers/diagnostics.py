"""What a fit leaves of the data: explained variance, residuals, and what the mask hides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.display import Display, Facts, Shown
from fusion.answers.left_over import LeftOver, left_over
from fusion.language.factor import FactorModule
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.seen_rows import seen_rows

Array = NDArray[Any]
ADDS_UP = 5e-5
"""Difference to the whole, up to which shares are said to be parts of it."""
TOLD = 24
"""Shares that are told, at most: of more, as X-ray lines are, nobody reads one by one."""


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
        if parts is None or len(parts) > TOLD:
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


def describe(fit: Fit, model: Model) -> DataSummary:
    """How well the data set of one fit is met."""
    return summary_of(left_over(fit, model), fit)


def summary_of(left: LeftOver, fit: Fit) -> DataSummary:
    """The same from the sums over all pixels, in the order of the data set."""
    data, size = fit.dataset, max(left.size, float(torch.finfo(torch.float64).tiny))
    split = len(data.shape) - data.signal
    scan, spectrum = data.shape[:split], data.shape[split:]
    nothing = torch.where(left.counts > 0, 1.0, torch.nan) / left.counts.clamp_min(1)
    row_rms = (left.squares.clamp_min(0) / left.row_counts.clamp_min(1)).sqrt()
    row_rms = torch.where(left.row_counts > 0, row_rms, torch.nan)
    noise = left.noise / torch.where(left.noise_counts > 0, left.noise_counts, torch.nan)
    row_noise = noise.nanmean().expand_as(left.row_noise) if left.measured else left.row_noise
    spread = noise / torch.where(left.noise_counts > 0, left.noise_counts, torch.nan)
    noise_map = torch.where(row_rms.isnan(), torch.nan, row_noise.clamp_min(0).sqrt())

    def shaped(values: Tensor, shape: tuple[int, ...]) -> Array:
        return values.cpu().numpy().reshape(shape)

    return DataSummary(
        shape=data.shape,
        axes=data.axes,
        signal=data.signal,
        explained_variance=1 - left.unmet / size,
        component_variance=None if left.shares is None else (left.shares / size).cpu().numpy(),
        residual_map=shaped(row_rms, scan),
        residual_spectrum=shaped(left.residuals * nothing, spectrum),
        mean_spectrum=shaped(left.values * nothing, spectrum),
        chi2=None if left.chi2 is None else left.chi2 / max(left.chi2_count, 1),
        noise_map=shaped(noise_map, scan),
        noise_spectrum=shaped(spread.clamp_min(0).sqrt(), spectrum),
        noise=fit.noise,
        history=data.history,
        metadata=data.metadata,
    )


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

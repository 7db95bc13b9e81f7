"""Counts."""

import warnings
from math import prod

import torch
from torch import Tensor

from fusion.algebra.cautions import NoiseWarning
from fusion.algebra.prediction import Expanded
from fusion.data.count_value import SAMPLE, value_of_a_count
from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.language import mean_variances
from fusion.language.fit_term import Fit
from fusion.language.mean_variances import Means
from fusion.language.model import Model
from fusion.language.term import State
from fusion.likelihood import elementwise
from fusion.likelihood.entry_losses import Elementwise
from fusion.losses.frobenius import Frobenius


class _Log(Elementwise):
    """m − x ln m: m from column sums, −x ln m on the counts alone; +∞ where m ≤ 0 < x."""

    vanishes_at_zero, linear, logarithmic = True, 1.0, True

    def value(self, x: Tensor, m: Tensor) -> Tensor:
        # 0 ln 0 = 0; the logarithm of a non-positive mean is −∞, not NaN
        return -torch.xlogy(x, m.clamp_min(0))

    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.where(x > 0, -x / m, 0)

    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.where(x > 0, x / m.square(), 0)

    def bends(self, x: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        ratio = x / m
        return -ratio, ratio / m

    def rise(self, x: Tensor, m: Tensor, to: Tensor) -> Tensor:
        return (to / m).log_().mul_(x).neg_()


class _Pearson(Elementwise):
    """x² / m: what (x − m)² / m = x² / m − 2 x + m has on the counts alone."""

    vanishes_at_zero, linear = True, 1.0

    def value(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.where(x > 0, x.square() / m, 0)

    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.where(x > 0, -(x / m).square(), 0)

    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.where(x > 0, 2 * x.square() / m.pow(3), 0)


LOG, PEARSON = _Log(), _Pearson()
LEAST = 1e-37
"""Added to a mean that is divided by, in single precision."""


class Poisson(Fit):
    """Counting noise: Σ (m − x ln m), the negative log-likelihood without ln x!.

    +∞ where a count is predicted as 0. Only the non-zero counts are visited where they are few. The
    data set's mask counts, its variance does not: counts bring their own.

    Args:
        dataset: the data, ≥ 0; the model predicts it under the data set's name.

    Raises:
        ValueError: by `check`, if a value outside the mask is negative.

    Example:
        >>> counts = fu.Dataset("edxs", np.random.default_rng(0).poisson(2.0, (8, 10, 60)))
        >>> loss = fu.losses.Poisson(counts)
        >>> result = fu.fit(fu.models.NMF(counts, K=1), loss, starts=1, progress=False)
        >>> result.formula
        'Σ(M_edxs − edxs ln M_edxs)'
    """

    weighted_by_variance = False

    noise = "poisson"
    entrywise = LOG

    def value(self, model: Model, state: State) -> Tensor:
        form, M = self.pair(model)
        return elementwise.value(form, LOG, M)

    def curvature(self, model: Model, state: State) -> Tensor:
        form, M = self.pair(model)
        return elementwise.curvature(form, LOG, M)

    def stand_in(self) -> Fit:
        """Least squares, every channel weighed by its mean count."""
        return by_channel(self.dataset)

    def check(self, model: Model) -> None:
        super().check(model)
        told = tally(self.dataset)
        lowest = f"{told.minimum:.3g}"
        self.check_values(negatives=told.negatives, zeros=told.zeros, lowest=lowest)
        self._warn_of_scaled_counts()

    def check_values(self, *, negatives: int, zeros: int, lowest: str) -> None:
        if negatives:
            size = prod(self.dataset.shape)
            raise ValueError(
                f"`Poisson({self.dataset.name})`: {negatives} of {size} values are negative "
                f"(lowest {lowest}) "
                "and `Poisson` needs counts: use `Frobenius`, or keep the background (eq. 15)."
            )

    def _warn_of_scaled_counts(self) -> None:
        """Say that values are no counts: means, counts over a time, moved by interpolation."""
        data = self.dataset
        values = data.tensor if data.entries is None else data.entries.x
        if data.mask is not None and data.entries is None:
            values = values[~data.mask.expand(data.shape).to(values.device)]
        values = values.reshape(-1)[:: max(1, values.numel() // SAMPLE)]  # no copy of all to a host
        q = value_of_a_count(values.cpu().numpy())
        if q == 1:
            return
        what = "values are no whole numbers" if q is None else f"values are multiples of {q:.4g}"
        mend = "give the counts" if q is None else f"give the counts, the values over {q:.4g}"
        warnings.warn(
            f"`Poisson({data.name})`: {what}, so they are no counts, and their noise is not "
            f"that of counts: {mend}, or use `Frobenius` after `estimate_variance()`. Maps and "
            "spectra change little, error bars, ranks and priors by as much as the scale.",
            NoiseWarning,
            stacklevel=2,
        )

    def chi2_per_value(self, model: Model) -> Tensor | None:
        """Pearson's χ² per value: the variance of a count is its mean."""
        form, M = self.pair(model)
        if form.compiled and form.rank_one and not isinstance(M, Expanded):
            return form.residual_squares(*M.two_way(), LEAST).double().sum() / form.count()
        total = float(tally(self.dataset).rows.sum())
        return (elementwise.value(form, PEARSON, M) - 2 * total) / form.count()

    def mean_variances(self, model: Model) -> Means | None:
        """Of counts, whose variance is their mean: means of the prediction."""
        shape = self.dataset.matrix_shape
        weights = self.dataset.weights(shape, variance=False)
        return mean_variances.of_prediction(self.pair(model)[1], weights, shape)

    def formula(self) -> tuple[str, str]:
        name = self.dataset.name
        M, X = rf"M_{{\mathrm{{{name}}}}}", rf"X_{{\mathrm{{{name}}}}}"
        return f"Σ(M_{name} − {name} ln M_{name})", rf"\sum\left({M} - {X}\ln {M}\right)"


def by_channel(data: Dataset, power: float = 1.0) -> Frobenius:
    """Least squares, the variance of every channel as its mean to this power."""
    mean = torch.from_numpy(tally(data).means).nan_to_num()
    variance = (mean + 0.05 * mean.mean()).pow(power)
    variance = variance.reshape(data.shape[len(data.shape) - data.signal :])
    kept = {"axes": data.axes, "signal": data.signal, "mask": data.mask}
    return Frobenius(Dataset(data.name, data._array, variance=variance, **kept))

"""A family of fits between least squares, counts and relative errors."""

from math import isfinite, prod

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.language.term import State
from fusion.likelihood import elementwise
from fusion.likelihood.entry_losses import SQUARE, Elementwise
from fusion.losses.poisson import by_channel

FLOOR = 1e-9
"""Least prediction that is told from zero, a share of the data's mean."""


class _Beta(Elementwise):
    """d_β(x | m), m no less than a floor; +∞ where m ≤ 0 < x and β ≤ 1."""

    def __init__(self, beta: float, floor: float) -> None:
        self.beta, self.floor = beta, floor

    def value(self, x: Tensor, m: Tensor) -> Tensor:
        b, low = self.beta, m.clamp_min(self.floor)
        if b == 0:
            made = x / low - (x / low).log() - 1
        elif b == 1:
            made = torch.xlogy(x, x / low) - x + low
        else:
            made = (x.pow(b) + (b - 1) * low.pow(b) - b * x * low.pow(b - 1)) / (b * (b - 1))
        return torch.where((m <= 0) & (x > 0), torch.inf, made) if b <= 1 else made

    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        low = m.clamp_min(self.floor)
        return low.pow(self.beta - 2) * (low - x)

    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        # where ℓ is concave (β < 1 or β > 2, far from x): as strongly curved, upwards
        b, low = self.beta, m.clamp_min(self.floor)
        return (low.pow(b - 3) * ((b - 1) * low + (2 - b) * x)).abs()


class BetaDivergence(Fit):
    """Σ d_β(x | m), d_β = (x^β + (β − 1) m^β − β x m^(β−1)) / (β (β − 1)).

    β = 2 is ½ (x − m)², as `Frobenius`; β = 1 (the limit) is x ln(x/m) − x + m, as `Poisson` up to
    a constant; β = 0 (the limit) is Itakura–Saito, x/m − ln(x/m) − 1, which sees relative errors
    alone. Negative log-likelihood, up to its scale, of noise whose variance goes as m^(2−β): with
    β between 1 and 2 of counts with a gain that varies. The data set's mask counts; its variance
    for β = 2 alone. Where β is neither 1 nor 2 the minimum depends on the unit of the data.

    Args:
        dataset: the data, ≥ 0 unless β = 2, > 0 if β ≤ 0; the model predicts it under its name.
        beta: β, no unit.

    Raises:
        ValueError: if β is not finite; by `check`, if the data hold values that d_β has none for.

    References:
        Févotte & Idier, Neural Comput. 23:2421 (2011).

    Example:
        >>> counts = fu.Dataset("edxs", np.random.default_rng(0).poisson(9.0, (8, 10, 60)) + 1)
        >>> loss = fu.losses.BetaDivergence(counts, 0.5)
        >>> result = fu.fit(fu.models.NMF(counts, K=1), loss, starts=1, progress=False)
        >>> result.converged
        True
    """

    entrywise: Elementwise | None = SQUARE

    @checked_call
    def __init__(self, dataset: Dataset, beta: float) -> None:
        super().__init__(dataset)
        if not isfinite(beta):
            raise ValueError(f"`BetaDivergence({dataset.name}, {beta})`: give a finite number.")
        self.beta = float(beta)
        self.quadratic = self.weighted_by_variance = self.beta == 2
        self.noise = f"variance ∝ mean^{2 - self.beta:g}"
        if self.beta != 2:
            self.divergence = _Beta(self.beta, FLOOR * max(tally(dataset).mean, 0.0))
            self.entrywise = self.divergence

    def value(self, model: Model, state: State) -> Tensor:
        if self.beta == 2:
            return self.half_squares(model)
        form, M = self.pair(model)
        return elementwise.value(form, self.divergence, M)

    def curvature(self, model: Model, state: State) -> Tensor:
        if self.beta == 2:
            return self.half_products(model)
        form, M = self.pair(model)
        return elementwise.curvature(form, self.divergence, M)

    def stand_in(self) -> Fit | None:
        """Least squares, every channel weighed by its variance, where small values count most."""
        return None if self.beta >= 2 else by_channel(self.dataset, 2 - self.beta)

    def check(self, model: Model) -> None:
        super().check(model)
        if self.beta == 2:
            return
        told = tally(self.dataset)
        lowest = f"{told.minimum:.3g}"
        self.check_values(negatives=told.negatives, zeros=told.zeros, lowest=lowest)

    def check_values(self, *, negatives: int, zeros: int, lowest: str) -> None:
        bad, what = negatives, "negative"
        if self.beta <= 0:
            bad, what = bad + zeros, "0 or below"
        if bad and self.beta != 2:
            raise ValueError(
                f"`{self}`: {bad} of {prod(self.dataset.shape)} values are {what} "
                f"(lowest {lowest}), for which d_β has no value: "
                "use β = 2 (`Frobenius`), or mask them."
            )

    def __str__(self) -> str:
        return f"BetaDivergence({self.dataset.name}, {self.beta:g})"

    def formula(self) -> tuple[str, str]:
        name = self.dataset.name
        M, X = rf"M_{{\mathrm{{{name}}}}}", rf"X_{{\mathrm{{{name}}}}}"
        plain = f"Σ d_{self.beta:g}({name} | M_{name})"
        return plain, rf"\sum d_{{{self.beta:g}}}\left({X} \mid {M}\right)"

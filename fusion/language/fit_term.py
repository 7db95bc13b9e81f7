"""Fits: the terms that read data."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.arrays import defined_beside
from fusion.algebra.calls import checked_call
from fusion.algebra.prediction import Expanded, Prediction
from fusion.algebra.threads import library_threads
from fusion.data.dataset import Dataset, check_dataset
from fusion.forms.compressed import compressed
from fusion.forms.contract import Form
from fusion.language import mean_variances
from fusion.language.mean_variances import Means
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.language.term import State
from fusion.likelihood import elementwise, metric
from fusion.likelihood.entry_losses import SQUARE, SQUARE_OF_PREDICTION, Elementwise


class Fit(Surrogate):
    """How well a prediction meets a data set: a negative log-likelihood.

    A subclass writes `value`, with `half_squares` or `fusion.likelihood.elementwise.value` of its
    `pair`; what else it says below gives it closed forms, compression and an easier start.
    """

    dataset: Dataset
    weighted_by_variance = True
    """Whether the data set's variance weighs its entries; a likelihood with its own says False."""
    noise = "of its own kind"
    """What is assumed of the noise, in a word or two."""
    entrywise: Elementwise | None = None
    """ℓ, where the fit bends as Σ w ℓ(x, m) times `scale` does: then curvature has closed forms."""

    instead: Any = None
    """A form that is read in place of the data set's own."""

    def scale(self, state: State) -> Tensor | float:
        """Factor before Σ w ℓ, given the lagged pieces; a number, or one a start."""
        return 1.0

    def value_of_squares(self, half: Tensor, form: Form, state: State) -> Tensor:
        """`value`, where it is a function of `half_squares` alone that grows with `scale` of it.

        For speed alone, and so is `refresh_of_squares`; each is used where it stands in the class
        of `value` and `refresh`, or in one derived from that.

        Args:
            half: ½ Σ (x − m)² / v of all starts at once, (start,).
            form: the data.
            state: the lagged pieces, (start, …) each.
        """
        raise NotImplementedError

    def refresh_of_squares(self, half: Tensor, form: Form, state: State) -> State:
        """`refresh`, where it needs nothing but `half_squares`; the same arguments."""
        raise NotImplementedError

    @property
    def in_units_of_noise(self) -> bool:
        """Whether its value says how probable the data are; False where σ = 1 is but assumed."""
        return True

    def chi2_per_value(self, model: Model) -> Tensor | None:
        """Mean of (x − m)² over the variance, outside the mask, a scalar; 1 where all is right.

        None where no variance is known.
        """
        known = self.weighted_by_variance and self.dataset.variance is not None
        if self.entrywise is not SQUARE or not known:
            return None
        return 2 * self.half_squares(model) / self.pair(model)[0].count()

    def mean_variances(self, model: Model) -> Means | None:
        """Mean variance of every pixel's and of every channel's values, outside the mask.

        ((pixel,), (channel,)), in the data's units squared, NaN where all is masked; None where no
        variance is known.
        """
        known = self.weighted_by_variance and self.dataset.variance is not None
        if self.entrywise is not SQUARE or not known:
            return None
        shape = self.dataset.matrix_shape
        return mean_variances.of_inverse(self.dataset.weights(shape), shape)

    @checked_call
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = check_dataset(f"{type(self).__name__}({type(dataset).__name__})", dataset)

    def pair(self, model: Model) -> tuple[Form, Prediction]:
        """The data in the form in which they meet the model's prediction, and that prediction."""
        predictions = model.predict()
        if self.dataset.name not in predictions:
            raise ValueError(
                f"`{self}`: the model predicts {', '.join(map(repr, predictions))}, "
                f"not {self.dataset.name!r}: "
                "use one name in `forward` and in the data set."
            )
        prediction = predictions[self.dataset.name]
        if self.instead is not None:
            return self.instead, prediction
        shape = self.dataset.matching(prediction.shape)
        if shape is None:
            axes = ", ".join(axis.name for axis in self.dataset.axes)
            raise ValueError(
                f"`{self}`: the model predicts {prediction.shape}, "
                f"the data set is {self.dataset.shape} ({axes}), "
                f"as a matrix {self.dataset.matrix_shape}: build the model from this data set."
            )
        like = prediction.like
        return self.form(shape, like.device, like.dtype), prediction

    def form(self, shape: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Form:
        """The data in two-way shape, as they are read beside factors there, in that precision."""
        if self.instead is not None:
            return self.instead
        return self.dataset.form(shape, device, dtype, variance=self.weighted_by_variance)

    def check(self, model: Model) -> None:
        self.dataset.check()
        with torch.no_grad(), model.once(), library_threads(1):
            self.pair(model)

    def check_values(self, *, negatives: int, zeros: int, lowest: str) -> None:
        """Complain of values that this likelihood cannot have.

        Args:
            negatives, zeros: how many values outside the mask are below 0, and 0.
            lowest: the least of all and, where that is known, its place, in words.

        Raises:
            ValueError: saying how many, and what to do.
        """

    def stand_in(self) -> Fit | None:
        """An easier fit with nearly the same minimum, to come near the data with; None: itself."""
        return None

    def closed(self, model: Model) -> tuple[Form, type, tuple[Tensor, ...]] | None:
        """(form of the data, metric, tensors) of a curvature in closed form; None: `curvature`."""
        if self.entrywise is None or not defined_beside(type(self), "entrywise", "curvature"):
            return None
        form, M = self.pair(model)
        made = metric.closed_form(form, M, self.entrywise)
        return None if made is None else (form, *made)

    def compressed(self, model: Model) -> Fit | None:
        """The same fit to compressed data, where it is one of least squares and that pays."""
        if self.instead is not None:
            return self
        if self.entrywise is not SQUARE:
            return None
        with torch.no_grad(), model.once():
            form = compressed(*self.pair(model))
        if form is None:
            return None
        return self._reading(form)

    def with_form(self, form: Form) -> Fit:
        """The same fit to data that are kept in a form of one's own.

        Args:
            form: of the shape of the data set's matrix, (pixel, channel), masked and weighted.

        Raises:
            ValueError: if the shape is another.
        """
        if form.shape != self.dataset.matrix_shape:
            raise ValueError(
                f"`{self}.with_form(…)`: the form is {form.shape}, "
                f"the data set as a matrix {self.dataset.matrix_shape}: give all of its pixels."
            )
        return self._reading(form)

    def _reading(self, form: Any) -> Fit:
        """A copy that reads this form."""
        other = copy(self)
        other.instead = form
        return other

    def symbols(self) -> tuple[str, str]:
        """Data and prediction, plain and LaTeX."""
        name = self.dataset.name
        return f"{name} − M_{name}", rf"X_{{\mathrm{{{name}}}}} - M_{{\mathrm{{{name}}}}}"

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.dataset.name})"

    def half_squares(self, model: Model) -> Tensor:
        """½ Σ (x − m)² / v, float64."""
        form, M = self.pair(model)
        if not form.rank_one:
            return elementwise.value(form, SQUARE, M)
        # No residual is formed: large numbers cancel in value and gradient, so both are made in
        # float64 whatever the factors are, and rounded once.
        M = M.map(torch.Tensor.double)
        return 0.5 * (form.norm2() + _products(form, M, M)) - form.overlap(M)

    def half_products(self, model: Model) -> Tensor:
        """½⟨M, M⟩ − ⟨M, M₀⟩ (weighted), M₀ = M here: its Hessian is the Gauss–Newton matrix."""
        form, M = self.pair(model)
        if not form.rank_one:
            return elementwise.curvature(form, SQUARE, M)
        return 0.5 * _products(form, M, M) - _products(form, M, M.map(torch.detach))

    def products_over_size(self, model: Model) -> Tensor:
        """(½⟨M, M⟩ − ⟨M, M₀⟩) / ‖X‖² (weighted): how M turns and grows, whatever the data."""
        return self.half_products(model) / _size(self.pair(model)[0])

    def likeness(self, model: Model) -> tuple[Tensor, Tensor, Tensor]:
        """How far the sizes of M and X are apart, all over ‖X‖², under the weights of the data.

        (½‖X − M‖², ½⟨M, M⟩ − ⟨M, M₀⟩, whose Hessian is the Gauss–Newton matrix, ½⟨M, M⟩).
        """
        form, M = self.pair(model)
        size = _size(form)
        products = self.products_over_size(model) * size
        if form.rank_one:
            half = -products.detach()
        else:
            half = elementwise.value(form, SQUARE_OF_PREDICTION, M.map(torch.detach))
        return self.half_squares(model) / size, products / size, half / size


def _size(form: Form) -> Tensor:
    """‖X‖²; 1 where there is nothing, as in a block of pixels without counts."""
    size = form.norm2()
    return torch.where(size > 0, size, 1)


def _products(form: Form, M: Prediction, other: Prediction) -> Tensor:
    """⟨M, M'⟩ under rank-one weights, float64."""
    if isinstance(M, Expanded) and isinstance(other, Expanded):
        w = form.weights.chunk(slice(None), form.shape)
        return ((M.matrix if w is None else w * M.matrix) * other.matrix).sum(dtype=torch.float64)
    if form.weights.rows is None and form.weights.cols is None:
        return M.inner(other)
    L, R = form.weighted(*M.two_way())
    L2, R2 = other.two_way()
    return ((L.double().T @ L2.double()) * (R.double().T @ R2.double())).sum()

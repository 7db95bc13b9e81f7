"""Least squares with an unknown noise level."""

import warnings
from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from fusion.algebra.cautions import NoiseWarning
from fusion.algebra.prediction import Expanded
from fusion.forms.contract import Form
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.language.surrogate import FitInformation
from fusion.language.term import State
from fusion.likelihood.entry_losses import SQUARE
from fusion.prepare.image_noise import neighbour_variance

EXACT = torch.finfo(torch.float32).eps ** 2
"""Squares left of an exact fit, as a share of the data's: what rounding leaves of them."""


class Gaussian(Fit):
    """Gaussian noise of one unknown variance: (n/2) (ln σ² + 1), σ² = Σ (x − m)² / (v n).

    v is the data set's variance, else 1; n counts the entries outside the mask. σ² is taken at its
    best value at every outer step and held within it: n/2 ln σ² + Σ (x − m)² / (2 v σ²). Where the
    model can meet the data exactly (an image, fewer channels than components) that would fall
    without bound: there σ² is 1 if the data set has a variance, else that of neighbouring pixels
    (channels, where there are more of these).

    Args:
        dataset: the data; the model predicts it under the data set's name.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Gaussian(data) + fu.losses.ARD("C")  # the noise is learned
        Gaussian(net) + ARD('C')
          = (n/2) ln‖net − M_net‖² + (n + a + 1) Σₖ ln(b + ‖Cₖ‖₁)
    """

    quadratic = True

    noise = "gaussian, size unknown"
    known_variance: float | None = None
    """σ² where the model can meet the data exactly, and what is left tells nothing of noise."""
    entrywise = SQUARE

    def check(self, model: Model) -> None:
        super().check(model)
        if self.instead is None:  # of this model: the next one may have fewer components
            met = self._can_be_met(model)
            self.known_variance = self._variance_from_outside() if met else None

    def _can_be_met(self, model: Model) -> bool:
        """Whether the model may fit the data exactly: by its rank, and by its unknowns."""
        with torch.enable_grad(), model.once():
            form, M = self.pair(model)
            if isinstance(M, Expanded):
                return False
            left, right = M.two_way()
            if min(form.shape) > right.shape[-1]:
                return False
            return _unknowns(model, left.sum() + right.sum()) >= prod(form.shape)

    def _variance_from_outside(self) -> float:
        """From the data set, or from neighbouring pixels or channels, and say so."""
        if self.dataset.variance is not None:
            return 1.0
        pixels, channels = self.dataset.matrix_shape
        neighbours = "pixels" if pixels >= channels else "channels"
        variance = neighbour_variance(self.dataset, neighbours)
        warnings.warn(
            f"`{self}`: the model meets data of {(pixels, channels)} (pixel, channel) exactly, "
            "noise and all, so what a fit leaves tells nothing of the noise: it is taken "
            f"from neighbouring {neighbours}, variance {variance:.4g}. Give variance=… if you "
            f"know it (on the command line --variance {self.dataset.name}=…).",
            NoiseWarning,
            stacklevel=2,
        )
        return variance

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        return self.refresh_of_squares(self.half_squares(model), self.pair(model)[0], state)

    def refresh_of_squares(self, half: Tensor, form: Form, state: State) -> State:
        if self.known_variance is not None:
            return {"variance": torch.full_like(half, self.known_variance)}
        # an exact fit has no noise, but a loss all the same; below this squares are rounding
        floor = EXACT * form.norm2()
        return {"variance": torch.maximum(2 * half, floor).detach() / form.count()}

    def learned(self, state: State) -> Mapping[str, Tensor]:
        return {"σ²": state["variance"]}

    def value(self, model: Model, state: State) -> Tensor:
        return self.value_of_squares(self.half_squares(model), self.pair(model)[0], state)

    def value_of_squares(self, half: Tensor, form: Form, state: State) -> Tensor:
        return half / state["variance"] + 0.5 * form.count() * state["variance"].log()

    def scale(self, state: State) -> Tensor:
        return 1 / state["variance"]

    def curvature(self, model: Model, state: State) -> Tensor:
        return self.half_products(model) / state["variance"]

    def formula(self) -> tuple[str, str]:
        text, latex = self.symbols()
        return f"(n/2) ln‖{text}‖²", rf"\tfrac{{n}}{{2}}\ln\left\|{latex}\right\|_F^2"


def _unknowns(model: Model, value: Tensor) -> int:
    """How many unknowns a value depends on."""
    factors = list(model.factor_modules().values())
    gradients = torch.autograd.grad(value, [f.raw for f in factors], allow_unused=True)
    return sum(
        f.raw.numel() - (0 if f.known is None else int(f.known.sum()))
        for f, gradient in zip(factors, gradients, strict=True)
        if gradient is not None
    )

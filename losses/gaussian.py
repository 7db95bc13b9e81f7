"""Least squares with an unknown noise level."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.language.surrogate import FitInformation
from fusion.language.term import State
from fusion.likelihood.elementwise import SQUARE

EXACT = torch.finfo(torch.float32).eps ** 2
"""Squares left of an exact fit, as a share of the data's: what rounding leaves of them."""


class Gaussian(Fit):
    """Gaussian noise of one unknown variance: (n/2) (ln σ² + 1), σ² = Σ (x − m)² / (v n).

    v is the data set's variance, else 1; n counts the entries outside the mask. σ² is taken at its
    best value at every outer step and held within it: n/2 ln σ² + Σ (x − m)² / (2 v σ²).

    Args:
        dataset: the data; the model predicts it under the data set's name.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Gaussian(data) + fu.losses.ARD("C")  # the noise is learned
        (n/2) ln‖net − M_net‖² + (n + a + 1) Σₖ ln(b + ‖Cₖ‖₁)
    """

    quadratic = True

    noise = "gaussian, size unknown"
    entrywise = SQUARE

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        form, _ = self.pair(model)
        # an exact fit has no noise, but a loss all the same; below this squares are rounding
        floor = EXACT * form.norm2()
        return {
            "variance": torch.maximum(2 * self.half_squares(model), floor).detach() / form.count()
        }

    def learned(self, state: State) -> Mapping[str, Tensor]:
        return {"σ²": state["variance"]}

    def value(self, model: Model, state: State) -> Tensor:
        n, variance = self.pair(model)[0].count(), state["variance"]
        return self.half_squares(model) / variance + 0.5 * n * variance.log()

    def scale(self, state: State) -> Tensor:
        return 1 / state["variance"]

    def curvature(self, model: Model, state: State) -> Tensor:
        return self.half_products(model) / state["variance"]

    def formula(self) -> tuple[str, str]:
        text, latex = self.symbols()
        return f"(n/2) ln‖{text}‖²", rf"\tfrac{{n}}{{2}}\ln\left\|{latex}\right\|_F^2"

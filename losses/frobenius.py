"""Least squares."""

from torch import Tensor

from fusion.forms.contract import Form
from fusion.language.fit_term import Fit
from fusion.language.model import Model
from fusion.language.term import State
from fusion.likelihood.entry_losses import SQUARE


class Frobenius(Fit):
    """Gaussian noise of known size: ½ Σ (x − m)² / v.

    v is the data set's variance, else 1. Negative log-likelihood up to a constant. Review, eq. (4).

    Args:
        dataset: the data; the model predicts it under the data set's name.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Frobenius(data) + 0.1 * fu.losses.L1("C")
        Frobenius(net) + 0.1 * L1('C')
          = ½‖net − M_net‖² + 0.1·‖C‖₁
    """

    quadratic = True

    noise = "gaussian"
    entrywise = SQUARE

    @property
    def in_units_of_noise(self) -> bool:
        return self.dataset.variance is not None

    def value(self, model: Model, state: State) -> Tensor:
        return self.half_squares(model)

    def value_of_squares(self, half: Tensor, form: Form, state: State) -> Tensor:
        return half

    def curvature(self, model: Model, state: State) -> Tensor:
        return self.half_products(model)

    def formula(self) -> tuple[str, str]:
        text, latex = self.symbols()
        if self.dataset.variance is None:
            return f"½‖{text}‖²", rf"\tfrac12\left\|{latex}\right\|_F^2"
        return f"½‖({text})/σ‖²", rf"\tfrac12\left\|({latex})/\sigma\right\|_F^2"

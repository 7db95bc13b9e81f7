"""Few entries that are not zero."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fusion.language.model import Model
from fusion.language.penalty import FactorTerm
from fusion.language.surrogate import Surrogate
from fusion.language.term import State


class L1(FactorTerm, Surrogate):
    """Σ |x| of a non-negative factor: an exponential prior of one scale, exact zeros.

    Linear on x ≥ 0, so a bound that is kept by projection reaches its zeros. Its partner's scale
    must be fixed (`UnitColumns`), or the penalty shrinks away into it. Of a factor of fixed scale
    the sum is constant (`Simplex`, `UnitNorm(1)`) or depends on the norm that was chosen: refused.

    Args:
        factor: name of a factor, or a function of the model with values ≥ 0.

    Raises:
        ValueError: by `check`, if the factor can be negative, or its scale is fixed.

    References:
        Hoyer, J. Mach. Learn. Res. 5:1457 (2004).

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Frobenius(data) + 0.1 * fu.losses.L1("C")
        Frobenius(net) + 0.1 * L1('C')
          = ½‖net − M_net‖² + 0.1·‖C‖₁
    """

    falls_with_scale = True

    quadratic = True

    def value(self, model: Model, state: State) -> Tensor:
        return self.of(model).sum(dtype=torch.float64)  # |x| = x: its slope at 0 is 1

    def batched_value(
        self, model: Model, values: Mapping[str, Tensor], state: State
    ) -> Tensor | None:
        if self.factor is None:
            return None
        return values[self.factor].flatten(1).sum(1, dtype=torch.float64)

    def curvature(self, model: Model, state: State) -> None:
        return None

    def check(self, model: Model) -> None:
        super().check(model)
        if self.factor is None:
            with torch.no_grad(), model.once():
                values = self.of(model)
        else:
            module = model.factor(self.factor)
            if module.scale_free:
                raise ValueError(
                    f"`{self}`: the scale of {self.factor!r} is fixed, "
                    "so its sum says nothing of the amount: penalise its partner."
                )
            values = module.sample(torch.Generator().manual_seed(0))
        if bool((values < 0).any()):
            raise ValueError(
                f"`{self}`: {self.symbol!r} can be negative, and |x| has no slope at 0: "
                "use `NonNegative`, or `Norm`."
            )

    def formula(self) -> tuple[str, str]:
        return f"‖{self.symbol}‖₁", rf"\|{self.symbol}\|_1"

"""What is known of unknowns that a model brings with it, or of what follows from them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.language.term import State


class Expected(Surrogate):
    """½ Σ u²: unknowns in standard deviations from what is expected of them.

    Args:
        names: of factors, each with the constraint `Standardised`.
    """

    quadratic = True

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def value(self, model: Model, state: State) -> Tensor:
        parts = [model.factor(name)().square().sum(dtype=torch.float64) for name in self.names]
        return 0.5 * torch.stack(parts).sum()

    def check(self, model: Model) -> None:
        for name in self.names:
            model.factor(name)

    @property
    def symbol(self) -> str:
        """Of whose unknowns: "lines"."""
        owners = {name.rpartition(".")[0] for name in self.names}
        return owners.pop() if len(owners) == 1 and owners != {""} else ", ".join(self.names)

    def __str__(self) -> str:
        return f"Expected({self.symbol})"

    def formula(self) -> tuple[str, str]:
        return f"½‖{self.symbol}‖²", rf"\tfrac12\|\mathrm{{{self.symbol}}}\|^2"


class ExpectedQuantity(Surrogate):
    """½ u²: one number that follows from unknowns, u standard deviations from what is expected."""

    @abstractmethod
    def deviation(self, model: Model) -> Tensor:
        """u, a 0-d tensor."""

    def value(self, model: Model, state: State) -> Tensor:
        return 0.5 * self.deviation(model).square().to(torch.float64)

    def curvature(self, model: Model, state: State) -> Tensor:
        """½ (u − u here)², whose Hessian is ∇u ∇uᵀ here, however u itself bends."""
        u = self.deviation(model)
        return 0.5 * (u - u.detach()).square().to(torch.float64)

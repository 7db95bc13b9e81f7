"""What is known of unknowns that a model brings with it, in standard deviations."""

from __future__ import annotations

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

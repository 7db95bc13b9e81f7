"""Norms of a factor: how far a deviation may go."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm, expected_size
from fusion.language.prior import Move, Prior
from fusion.language.surrogate import FactorCurvature, FitInformation, Surrogate
from fusion.language.term import State


class SquaredNorm(FactorTerm, Surrogate):
    """½ Σ n² / s²: n is expected to be of size s. The γ of (14) and (15) with a square.

    Args:
        factor: name of a factor, or a function of the model.
        scale: s, the expected size of an entry, > 0, in the unit of the factor.

    Raises:
        ValueError: if the scale is not positive.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Frobenius(data) + fu.losses.SquaredNorm("N", 0.002)
        Frobenius(net) + SquaredNorm('N', 0.002)
          = ½‖net − M_net‖² + ½‖N/0.002‖²
    """

    falls_with_scale = True

    quadratic = True

    @checked_call
    def __init__(self, factor: str | Callable[[Any], Tensor], scale: float = 1.0) -> None:
        super().__init__(factor)
        self.scale = expected_size(f"SquaredNorm({factor!r}, {scale})", scale)

    def value(self, model: Model, state: State) -> Tensor:
        return 0.5 * (self.of(model) / self.scale).square().sum(dtype=torch.float64)

    def batched_value(
        self, model: Model, values: Mapping[str, Tensor], state: State
    ) -> Tensor | None:
        if self.factor is None:
            return None
        return 0.5 * _squares(values[self.factor] / self.scale)

    def factor_curvature(self, model: Model, value: Tensor, state: State) -> FactorCurvature:
        return _same_for_all(value.new_full((len(value),), self.scale**-2), value)

    def __str__(self) -> str:
        return f"SquaredNorm({self.symbol!r}, {self.scale:g})"

    def formula(self) -> tuple[str, str]:
        if self.scale == 1:
            return f"½‖{self.symbol}‖²", rf"\tfrac12\|{self.symbol}\|_F^2"
        return f"½‖{self.symbol}/{self.scale:g}‖²", rf"\tfrac12\|{self.symbol}/{self.scale:g}\|_F^2"


class Norm(FactorTerm, Prior):
    """‖N‖_F, as (14) and (15) print it: a group lasso: a large weight switches N off exactly.

    N = 0 is kept if and only if the fits pull at it with ‖∂fit/∂N‖_F ≤ weight. Held within an outer
    step as the parabola ½‖N‖²/s + s/2 that touches it from above, s = ‖N‖_F at its start; N = 0
    itself is tried where the descent has ended.

    Args:
        factor: name of a factor, or a function of the model.
    """

    falls_with_scale = True

    quadratic = True

    def refresh(self, model: Model, state: State, fits: Mapping[str, FitInformation]) -> State:
        N = self.of(model).detach()
        return {
            "size": torch.linalg.vector_norm(N, dtype=torch.float64).clamp_min(
                torch.finfo(N.dtype).eps ** 2
            )
        }

    def value(self, model: Model, state: State) -> Tensor:
        return (
            0.5 * self.of(model).square().sum(dtype=torch.float64) / state["size"]
            + 0.5 * state["size"]
        )

    def batched_refresh(
        self,
        model: Model,
        values: Mapping[str, Tensor],
        state: State,
        fits: Mapping[str, FitInformation],
    ) -> State | None:
        if self.factor is None:
            return None
        N = values[self.factor].detach()
        size = torch.linalg.vector_norm(N.flatten(1), dim=1, dtype=torch.float64)
        return {"size": size.clamp_min(torch.finfo(N.dtype).eps ** 2)}

    def batched_value(
        self, model: Model, values: Mapping[str, Tensor], state: State
    ) -> Tensor | None:
        if self.factor is None:
            return None
        return 0.5 * (_squares(values[self.factor]) / state["size"] + state["size"])

    def factor_curvature(self, model: Model, value: Tensor, state: State) -> FactorCurvature:
        return _same_for_all(1 / state["size"].to(value), value)

    def moves(self, model: Model) -> Sequence[Move]:
        if self.factor is None or not bool(self.of(model).any()):
            return ()
        off = torch.zeros_like(self.of(model))
        return (Move(f"{self.factor} switched off", {self.factor: off}, simpler=True),)

    def finish(self, model: Model) -> Mapping[str, Tensor]:
        if self.factor is None:
            return {}
        N = self.of(model)
        gone = torch.linalg.vector_norm(N) <= 100 * torch.finfo(N.dtype).eps ** 2
        return {self.factor: torch.zeros_like(N)} if bool(gone) else {}

    def formula(self) -> tuple[str, str]:
        return f"‖{self.symbol}‖", rf"\|{self.symbol}\|_F"


def _squares(value: Tensor) -> Tensor:
    """Σ n² of every start, (start,)."""
    return value.square().flatten(1).sum(1, dtype=torch.float64)


def _same_for_all(bend: Tensor, value: Tensor) -> FactorCurvature:
    """Every entry by itself, all alike: `bend` of every start, (start,)."""
    unit = torch.eye(value.shape[-1], dtype=value.dtype, device=value.device)
    every = bend.reshape(-1, *[1] * (value.ndim - 1))
    return FactorCurvature(lambda v: every * v, bend[:, None, None, None] * unit)

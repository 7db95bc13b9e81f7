"""Neighbours are alike."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm
from fusion.language.surrogate import FactorCurvature, Surrogate
from fusion.language.term import State
from fusion.losses.neighbour_differences import Differences, bending


class Smoothness(FactorTerm, Surrogate):
    """½ Σ (f_{i+1} − f_i)² along one axis, free ends: a slope pays, a constant does not.

    Args:
        factor: name of a factor, or a function of the model; (n, K).
        order: 1 for differences, 2 for second differences (curvature: a straight line is free).
        axis: the mode along which neighbours are compared.

    Raises:
        ValueError: by `check`, if the axis is shorter than order + 1.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Frobenius(data) + 10 * fu.losses.Smoothness("S", order=2)
        Frobenius(net) + 10 * Smoothness('S')
          = ½‖net − M_net‖² + 10·½‖D² S‖²
    """

    falls_with_scale = True

    @checked_call
    def __init__(
        self, factor: str | Callable[[Any], Tensor], *, order: int = 1, axis: int = 0
    ) -> None:
        super().__init__(factor)
        if order < 1:
            raise ValueError(f"`Smoothness({factor!r}, order={order})`: give 1 or more.")
        self.order, self.axis = int(order), int(axis)

    def value(self, model: Model, state: State) -> Tensor:
        return 0.5 * torch.diff(self.of(model), n=self.order, dim=self.axis).square().sum(
            dtype=torch.float64
        )

    def factor_curvature(self, model: Model, value: Tensor, state: State) -> FactorCurvature | None:
        if value.ndim != 3 or self.axis not in (0, -2):
            return None
        return bending(value, value.shape[1:2], [Differences(-2, self.order)])

    def check(self, model: Model) -> None:
        super().check(model)
        with torch.no_grad(), model.once():
            shape = tuple(self.of(model).shape)
        if not -len(shape) <= self.axis < len(shape) or shape[self.axis] <= self.order:
            raise ValueError(
                f"`{self}`: a tensor of shape {shape} has no {self.order + 1} neighbours "
                f"along axis {self.axis}."
            )

    def formula(self) -> tuple[str, str]:
        power = "" if self.order == 1 else f"^{self.order}"
        return (
            f"½‖D{'²' if self.order == 2 else ''} {self.symbol}‖²",
            rf"\tfrac12\|D{power} {self.symbol}\|_F^2",
        )


class SpatialSmoothness(FactorTerm, Surrogate):
    """½ Σ_{i~j} ‖c_i − c_j‖² over neighbouring pixels: ½ tr(Cᵀ L C).

    L is the Laplacian of the factor's own pixel grid. Every scan axis counts (4 neighbours in a
    map, 2 in a line scan), with free edges.

    Args:
        factor: name of a factor built from a data set's `.pixels`.

    Raises:
        ValueError: by `check`, if the factor was not built from axes.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> fu.losses.Frobenius(data) + 10 * fu.losses.SpatialSmoothness("C")
        Frobenius(net) + 10 * SpatialSmoothness('C')
          = ½‖net − M_net‖² + 10·½ tr(Cᵀ L C)
    """

    falls_with_scale = True

    @checked_call
    def __init__(self, factor: str) -> None:
        if not isinstance(factor, str):
            raise ValueError(
                "`SpatialSmoothness`: give a factor's name: its axes say where the pixels are."
            )
        super().__init__(factor)

    def value(self, model: Model, state: State) -> Tensor:
        grid = on_grid(self, model)
        steps = [
            torch.diff(grid, dim=d).square().sum(dtype=torch.float64) for d in range(grid.ndim - 1)
        ]
        return 0.5 * torch.stack(steps).sum()

    def factor_curvature(self, model: Model, value: Tensor, state: State) -> FactorCurvature:
        grid = grid_of(self, model)
        return bending(value, grid, [Differences(d) for d in range(-1 - len(grid), -1)])

    def check(self, model: Model) -> None:
        super().check(model)
        on_grid(self, model)

    def formula(self) -> tuple[str, str]:
        C = self.symbol
        return f"½ tr({C}ᵀ L {C})", rf"\tfrac12\operatorname{{tr}}({C}^\top L\, {C})"


def on_grid(term: FactorTerm, model: Model) -> Tensor:
    """A factor on the axes that its rows were built from, (…, K).

    Raises:
        ValueError: if it was not built from axes.
    """
    C = term.of(model)
    return C.reshape(*grid_of(term, model), C.shape[-1])


def grid_of(term: FactorTerm, model: Model) -> tuple[int, ...]:
    """Lengths of the axes that the rows of a factor were built from.

    Raises:
        ValueError: if it was not built from axes.
    """
    axes = model.factor(term.factor or "").axes[0]
    if not axes:
        raise ValueError(
            f"`{term}`: the factor was built from a number, not from axes: "
            "`Factor((data.pixels, K))` tells where its pixels are."
        )
    return tuple(axis.size or 1 for axis in axes)

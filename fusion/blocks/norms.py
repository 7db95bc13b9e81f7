"""Unit columns of factors over pixels: blocks see them free, their norms are set between passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fusion.constraints import Constraint
from fusion.engine.objective import Objective
from fusion.language.factor import FactorModule
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.language.term import State
from fusion.solvers.gauge import Gauge, gauges, rescale_factors, set_by_known


class ColumnNorms:
    """The norms of factors over pixels that have unit columns, and who takes them up.

    The rows of such a factor meet in their norm alone. A block leaves it free, and between passes
    the norms of all rows go to the factors that take them up. A penalty on one of these, N, would
    let both shrink: so far as it pulls, μ_k = −Σ N ∂p/∂N, rows have the term ½ Σ μ_k c², the
    multiplier of ‖c_k‖ = 1.

    Args:
        objective: of some pixels, with the model's own constraints.
        names: of the factors over pixels.
    """

    def __init__(self, objective: Objective, names: Sequence[str]) -> None:
        free = {n for n in names if objective.model.factor(n).scale_free}
        made = gauges(objective) if free else {}
        self.gauges: dict[str, Gauge] = {n: g for n, g in made.items() if n in free}
        self.kept = {unit: set_by_known(objective, unit) for unit in self.gauges}

    def rescaled(
        self, values: Mapping[str, Tensor], weights: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Values with unit columns, the predictions as they were.

        Args:
            values: of all factors, without a start in front.
            weights: how many rows each row stands for, by factor.
        """
        made = {n: v[None] for n, v in values.items()}
        for unit, gauge in self.gauges.items():
            squares = made[unit].square()
            if weights is not None:
                squares = squares * weights[unit].to(squares)[:, None]
            norm = squares.sum(1).sqrt()
            norm = torch.where((norm > 0) & ~self.kept[unit].to(norm.device), norm, 1)
            made = rescale_factors(made, unit, 1 / norm, gauge)
        return {n: v[0] for n, v in made.items()}

    def multipliers(
        self, values: Mapping[str, Tensor], slopes: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """μ of every factor with unit columns, given the slopes of the penalties by the values."""
        made = {}
        for unit, gauge in self.gauges.items():
            total = torch.zeros_like(values[unit][0])
            for name, (power, mode) in gauge.items():
                if name in slopes and mode == 2:
                    total = total - power * (slopes[name] * values[name]).sum(0)
            if unit in slopes:
                total = total - (slopes[unit] * values[unit]).sum(0)
            made[unit] = total
        return made


class ColumnSquares(Surrogate):
    """½ Σ μ_k c_ik² of a factor: the multipliers of its columns' norms.

    Args:
        factor: its name; mu: (K,).
    """

    quadratic = True

    def __init__(self, factor: str, mu: Tensor) -> None:
        self.factor, self.mu = factor, mu.detach()

    def value(self, model: Model, state: State) -> Tensor:
        squares = model.factor(self.factor)().square().sum(0)
        return 0.5 * (self.mu.to(squares) * squares).sum(dtype=torch.float64)


class ColumnsOfNorm(Constraint):
    """Columns of a given norm over rows that stand for more: ‖c_k‖² = Σ w c_ik².

    Args:
        weights: how many rows each row stands for, (row,); norms: (K,).
    """

    kind, scale_free, words = "scale", True, "of a norm"

    def __init__(self, weights: Tensor, norms: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.register_buffer("norms", norms)
        self.weights: Tensor
        self.norms: Tensor

    def forward(self, raw: Tensor) -> Tensor:
        norm = (self.weights[:, None] * raw.square()).sum(0).sqrt()
        return raw * (self.norms / torch.where(norm > 0, norm, 1))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def with_norms(model: Model, weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Give factors of a sample the norms that they have, over all pixels that they stand for."""
    for name, w in weights.items():
        module, value = model.factor(name), values[name].to(w)
        norms = (w[:, None] * value.square()).sum(0).sqrt()
        module.constraints = nn.ModuleList([*module.chain, ColumnsOfNorm(w, norms)])


def in_place(model: Model, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values of some factors as the model's constraints have them."""
    made = {}
    for name, value in values.items():
        module = model.factor(name)
        raw = module.unconstrain(value.to(module.raw))
        made[name] = module.constrain(raw).detach().to(value)
    return made


def without_norms(model: Model, names: Sequence[str]) -> Model:
    """The model itself, its factors of these names without unit columns."""
    for name in names:
        module = model.factor(name)
        if unit_columns_alone(module):
            module.constraints = nn.ModuleList(c for c in module.chain if c.unit_norm != 2)
    return model


def unit_columns_alone(module: FactorModule) -> bool:
    """Whether a factor has ℓ2 unit columns, and is its raw variable otherwise."""
    norms = [c for c in module.chain if c.unit_norm == 2]
    return len(norms) == 1 and all(c.identity or c.unit_norm == 2 for c in module.chain)

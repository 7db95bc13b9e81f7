"""Columns of unit norm: ℓ2, as the solvers know it, or ℓp."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import torch
from torch import Generator, Tensor

from fusion.algebra.calls import checked_call
from fusion.constraints.contract import Constraint


class UnitColumns(Constraint):
    """Every column has ℓ2 norm 1, whatever its sign; a zero column stays zero. Review, eq. (10).

    Example:
        >>> from fusion.constraints import Free, UnitColumns
        >>> model = fu.Model()
        >>> model.C = fu.Factor((4, 2), Free(), UnitColumns())
        >>> model.C = [[1, 0], [1, 0], [1, 0], [1, 2]]
        >>> model.C[:, 0].tolist()
        [0.5, 0.5, 0.5, 0.5]
    """

    kind, scale_free, unit_norm = "scale", True, 2.0

    def forward(self, raw: Tensor) -> Tensor:
        norm2 = raw.square().sum(0)
        return raw / torch.where(norm2 > 0, norm2, 1).sqrt()

    def batched(self, raw: Tensor) -> Tensor:
        norm2 = raw.square().sum(1, keepdim=True)
        return raw / torch.where(norm2 > 0, norm2, 1).sqrt()

    def right_inverse(self, value: Tensor) -> Tensor:
        return self(value)

    def derivative(self, raw: Tensor) -> Callable[[Tensor], Tensor]:
        norm = torch.linalg.vector_norm(raw, dim=1, keepdim=True)
        norm = torch.where(norm > 0, norm, 1)
        unit = raw / norm
        return lambda v: (v - unit * (unit * v).sum(1, keepdim=True)) / norm

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return self(torch.randn(shape, generator=generator, dtype=torch.float64))


class UnitNorm(Constraint):
    """Every column has ℓp norm 1, whatever its sign; a zero column stays zero. Review, eq. (10).

    p = 1: spectra of equal area; a large p: nearly of equal height. For p = 2 prefer `UnitColumns`,
    which the solvers know. The answer is the same but for the scale of the columns, which matters
    to penalties on the partner: that holds the amounts.

    Args:
        p: 1 or more, finite: the largest value alone has no slope that a solver could follow.

    Raises:
        ValueError: if p is below 1 or infinite.
    """

    kind, scale_free = "scale", True

    @checked_call
    def __init__(self, p: float) -> None:
        super().__init__()
        if not 1 <= p < inf:
            raise ValueError(f"`UnitNorm({p})`: give a finite number of 1 or more.")
        self.p = self.unit_norm = float(p)
        self.words = f"columns of ℓ{p:g} norm 1"

    def forward(self, raw: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(raw, self.p, dim=0)
        return raw / torch.where(norm > 0, norm, 1)

    def right_inverse(self, value: Tensor) -> Tensor:
        return self(value)

    def sample(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        return self(torch.randn(shape, generator=generator, dtype=torch.float64))

    def __str__(self) -> str:
        return f"UnitNorm({self.p:g})"

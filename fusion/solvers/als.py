"""Alternating least squares with negatives set to zero, plain and with a ridge that decays."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.engine.variables import Slot
from fusion.solvers.least_squares import LeastSquares


class ClippedLeastSquares(LeastSquares):
    """Steps that know nothing of the bound: negatives are set to zero afterwards."""

    @property
    def descends(self) -> bool:
        return False


@checked_class
@dataclass(frozen=True)
class ALS(ClippedLeastSquares):
    """Least squares for one factor at a time, negatives set to zero. Review, (5), (6).

    C ← [X S (SᵀS)⁻¹]₊, S ← [Xᵀ C (CᵀC)⁻¹]₊, and so for every factor of any model that is linear in
    each by itself. The other components do not make up for what is cut off, so the loss may rise,
    and the end is near a minimum, not in one: this is the method as published. The best point on
    the way is returned. `HALS` and `GaussNewton` mind the bound within the step.

    Args:
        initial: I_init of the review: steps of every start, after which the best one goes on alone;
            None: every start goes on to its end.
        tolerance: stop when no factor changes by more than the square root of this.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.
    """

    initial: int | None = None
    tolerance: float = 1e-9
    window: int = 10
    max_steps: int = 1000

    def step(self, slot: Slot, x: Tensor, g: Tensor, blocks: Tensor) -> Tensor:
        return x - solve_rows(blocks, g)


@checked_class
@dataclass(frozen=True)
class MALS(ClippedLeastSquares):
    """`ALS` with ridge weights that decay as the negative parts shrink. Review, (7), (8).

    C ← [X S (SᵀS + W_S)⁻¹]₊, S ← [Xᵀ C (CᵀC + W_C)⁻¹]₊ with diagonal W_S, W_C. With C̃ = X S (SᵀS)⁻¹
    the weight is (W_S)_kk = ridge · (SᵀS)_kk ‖[c̃_k]₋‖² / ‖c̃_k‖², a law of decay of our own that has
    no unit: a component is held back by the share of it that would be cut off, and not at all once
    none is. Noise always leaves a little, so this, too, ends near a minimum, not in one.

    Args:
        ridge: weight at a negative part of one, ≥ 0; 0 is `ALS`.
        initial: I_init of the review: steps of every start, after which the best one goes on alone;
            None: every start goes on to its end.
        tolerance: stop when no factor changes by more than the square root of this.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.

    Raises:
        ValueError: if the ridge is negative.

    References:
        Wang, Hopke, Hancewicz & Zhang, Anal. Chim. Acta 476:93 (2003).
    """

    ridge: float = 1.0
    initial: int | None = None
    tolerance: float = 1e-9
    window: int = 10
    max_steps: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.ridge < float("inf"):
            raise ValueError(f"`MALS(ridge={self.ridge})`: give a finite number ≥ 0.")

    def step(self, slot: Slot, x: Tensor, g: Tensor, blocks: Tensor) -> Tensor:
        free = x - solve_rows(blocks, g)
        if slot.module is None or slot.module.lower is None:
            return free  # nothing is cut off
        size = free.square().sum(1, keepdim=True)
        negative = free.clamp_max(0).square().sum(1, keepdim=True)
        share = negative / torch.where(size > 0, size, 1)  # (start, 1, component)
        W = self.ridge * share * blocks.diagonal(dim1=-2, dim2=-1)
        # (B + W) x⁺ = B x − g
        return x - solve_rows(blocks + torch.diag_embed(W), g + W * x)


def solve_rows(blocks: Tensor, g: Tensor) -> Tensor:
    """B⁻¹g row by row, (start, row, width); an entry that does not matter does not move.

    Where B is singular, what it leaves open does not move either.
    """
    diagonal = blocks.diagonal(dim1=-2, dim2=-1)
    info = torch.finfo(g.dtype)
    floor = info.eps * diagonal.amax((-1, -2), keepdim=True) + info.tiny
    dead = diagonal <= floor
    g, B = torch.where(dead, 0, g), blocks + torch.diag_embed(torch.where(dead, 1, 0).to(g))
    L, failed = torch.linalg.cholesky_ex(B)
    if bool(failed.any()):
        ridge = torch.where(failed > 0, info.eps**0.5, 0)[..., None] * diagonal.abs()
        L = torch.linalg.cholesky_ex(B + torch.diag_embed(ridge))[0]
    return torch.cholesky_solve(g[..., None], L)[..., 0]

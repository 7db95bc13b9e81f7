"""Fits whose predictions are linear in the rows of some factors: what each says of these rows.

M = L Rᵀ, the rows of L those of the factors side by side, z, times a small matrix A.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fusion.engine import compiled_rows
from fusion.engine.column_maps import Entering
from fusion.engine.variables import Values
from fusion.forms.compressed import Compressed


@dataclass
class Side:
    """One fit at the present point."""

    place: int  # in the loss
    form: Any
    weight: float
    L: Tensor  # (row, K)
    R: Tensor  # (channel, K), with its graph from the other factors where these are not known
    entering: Entering | None  # the other factors in R
    A: dict[str, Tensor]  # (k, K), of the factors that are in L

    @cached_property
    def right(self) -> Tensor:
        """V R, (column, K)."""
        R, cols = self.R.detach()[0], self.form.weights.cols
        return R if cols is None else R * cols[:, None]

    @cached_property
    def met(self) -> Tensor:
        """(W ∘ X) R, (row, K)."""
        return _met(self)


@dataclass
class Equation:
    """What rows of one fit are found from, whatever its data."""

    rows: compiled_rows.LeastRows
    A: Tensor  # (Σ k, K)
    empty: Tensor  # (Σ k,), which unknowns nothing bends

    @classmethod
    def of(cls, side: Side, A: Tensor, H: Tensor, empty: Tensor) -> Equation:
        right = side.right.to(side.form.native)
        rows = compiled_rows.LeastRows(right, H, A, side.weight * A.T * ~empty)
        return cls(rows, A, empty)


def curvature(sides: Sequence[Side], widths: Sequence[tuple[str, int]]) -> Tensor:
    """H, one for all rows or one each.

    Args:
        sides: fits of the same rows.
        widths: (factor, its columns), side by side.
    """
    made = []
    for side in sides:
        A, rows = entered(side, widths), side.form.weights.rows
        own = side.weight * A @ (side.R.detach()[0].T @ side.right) @ A.T
        made.append(own if rows is None else own * rows[:, None, None])
    return sum(made[1:], made[0])


def slope(sides: Sequence[Side], widths: Sequence[tuple[str, int]]) -> Tensor:
    """b, (row, Σ k)."""
    made = [side.weight * side.met @ entered(side, widths).T for side in sides]
    return sum(made[1:], made[0])


def entered(side: Side, widths: Sequence[tuple[str, int]]) -> Tensor:
    """A of all factors, one below the other, (Σ k, K)."""
    K = side.R.shape[-1]
    nothing = [side.L.new_zeros(k, K) for _, k in widths]
    return torch.cat([side.A.get(name, z) for (name, _), z in zip(widths, nothing, strict=True)])


def half_and_gradient(side: Side, found: Values) -> tuple[Tensor, Tensor]:
    """What `_told` says of rows that are found."""
    L = sum(found[name][0] @ A for name, A in side.A.items())
    assert isinstance(L, Tensor)
    left = L if side.form.weights.rows is None else L * side.form.weights.rows[:, None]
    overlap = (side.met.double() * L.double()).sum()
    back = side.form.rmatmul(left.to(side.form.native))
    return told(side, left.T.double() @ L.double(), overlap, back)


def told(side: Side, inner: Tensor, overlap: Tensor | float, back: Tensor) -> tuple[Tensor, Tensor]:
    """½ Σ w (m² − 2 x m) times the weight of the fit, float64, and its gradient by R.

    Args:
        side: the fit.
        inner: Lᵀ W L, (K, K); overlap: Σ w x m; back: (W ∘ X)ᵀ L without weights of columns.
    """
    R, cols = side.R.detach()[0], side.form.weights.cols
    half = 0.5 * ((R.T.double() @ side.right.double()) * inner).sum() - overlap
    back = back.to(R) if cols is None else back.to(R) * cols[:, None]
    return side.weight * half, side.weight * (side.right @ inner.to(R) - back)


def _met(side: Side) -> Tensor:
    """(W ∘ X) R, the product in the least precision that holds the data exactly."""
    form, R = side.form, side.R.detach()[0]
    if isinstance(form, Compressed):
        return form.met(R[None].to(form.core))[0].to(R)
    made, rows = form.matmul(side.right.to(form.native)).to(R), form.weights.rows
    return made if rows is None else made * rows[:, None]

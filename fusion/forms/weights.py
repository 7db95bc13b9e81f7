"""Weights of the entries: a product of rows and columns where that is all, else a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Weights:
    """Weight of every entry: rows ⊗ cols (None = ones) if that is all, else `full` (row, col)."""

    rows: Tensor | None = None
    cols: Tensor | None = None
    full: Tensor | None = None

    @classmethod
    def of(cls, weight: tuple[Tensor, Tensor] | Tensor | None) -> Weights:
        """From (row, column) vectors or a matrix."""
        if weight is None:
            return cls()
        if isinstance(weight, Tensor):
            return cls(full=weight)
        return cls(*(None if bool((w == 1).all()) else w for w in weight))

    def __mul__(self, other: Weights) -> Weights:
        vectors = []
        for mine, theirs in ((self.rows, other.rows), (self.cols, other.cols)):
            vectors.append(theirs if mine is None else mine if theirs is None else mine * theirs)
        full = [w.full for w in (self, other) if w.full is not None]
        return Weights(
            *vectors, full=full[0] if len(full) == 1 else full[0] * full[1] if full else None
        )

    def to(self, device: torch.device, dtype: torch.dtype) -> Weights:
        """Moved and converted."""
        move = (
            None if w is None else w.to(device, dtype) for w in (self.rows, self.cols, self.full)
        )
        return Weights(*move)

    def applied(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
        """The factors of W ∘ (L Rᵀ), W of rank one."""
        L = L if self.rows is None else L * self.rows[:, None]
        return L, R if self.cols is None else R * self.cols[:, None]

    def some(self, index: Tensor) -> Weights:
        """Of some of the rows."""
        rows, full = (None if w is None else w[index] for w in (self.rows, self.full))
        return Weights(rows, self.cols, full)

    def chunk(self, rows: slice, shape: tuple[int, int]) -> Tensor | None:
        """The weights of some rows, broadcastable to (row, column); None = ones."""
        weight = None if self.full is None else self.full[rows]
        if self.rows is not None:
            part = self.rows[rows, None]
            weight = part if weight is None else weight * part
        if self.cols is not None:
            weight = self.cols[None] if weight is None else weight * self.cols
        return weight


def separable(matrix: Tensor) -> tuple[Tensor, Tensor] | Tensor:
    """(row, column) vectors whose product the matrix ≥ 0 is, to rounding; else the matrix."""
    rows, cols = matrix.sum(1), matrix.sum(0)
    total = rows.sum()
    if total <= 0:
        return rows, cols
    cols = cols / total
    if torch.allclose(matrix, rows[:, None] * cols, rtol=1e-9, atol=1e-12 * float(matrix.max())):
        scale = cols.max()
        return rows * scale, cols / scale
    return matrix

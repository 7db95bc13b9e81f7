"""A kind of storage for data: what is written for another one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from fusion.forms.reading import Reading
from fusion.forms.weights import Weights


class Form(Reading):
    """An array (row, column) with its weights, as it is kept.

    A subclass writes `blocks`, and the two products where it knows better ways. What losses read
    (`Reading`: norms, sums, entries, inner products) is made of them, each of which may be
    written, too, where that is faster. `fusion.testing.FormContract` is the suite for it.

    Args:
        shape: (rows, columns).
        weights: on the data's device, in `dtype`.
        dtype: precision of the factors and of every product.
    """

    @abstractmethod
    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """(rows, values (row, column) in this type): to be read only; the next may overwrite it."""

    def matmul(self, B: Tensor) -> Tensor:
        """X B, without weights: (column, n) → (row, n)."""
        product = B.new_empty(self.shape[0], B.shape[1])
        for rows, x in self.blocks(B.dtype):
            product[rows] = x @ B
        return product

    def rmatmul(self, G: Tensor) -> Tensor:
        """Xᵀ G, without weights: (row, n) → (column, n)."""
        total = torch.zeros(self.shape[1], G.shape[1], dtype=torch.float64, device=G.device)
        for rows, x in self.blocks(G.dtype):
            total += x.T @ G[rows]
        return total.to(G.dtype)

    def rows(self, index: Tensor) -> Form:
        """Some of the rows, gathered in memory."""
        gathered = torch.empty(len(index), self.shape[1], dtype=self.native, device=self.device)
        for rows, x in self.blocks(self.native):
            inside = (index >= rows.start) & (index < rows.stop)
            gathered[inside] = x[index[inside] - rows.start]
        return Gathered(gathered, self.weights.some(index), self.dtype)


class Gathered(Form):
    """A few rows in memory."""

    def __init__(self, values: Tensor, weights: Weights, dtype: torch.dtype) -> None:
        super().__init__((values.shape[0], values.shape[1]), weights, dtype)
        self.values = values

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        yield slice(0, self.shape[0]), self.values.to(dtype)

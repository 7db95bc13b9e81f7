"""Arrays in memory, as fits read them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fusion.forms import CHUNK, Form, Weights
from fusion.sparse import Entries

RESIDENT = 2**25
"""Up to this many entries data are kept in the factors' precision; above, chunks are converted."""


class Dense(Form):
    """An array in the precision it came in.

    Args:
        array: (row, column), any real type, finite (masked entries hold zeros).
        weights: on the same device, in `dtype`.
        dtype: precision of the factors and of every product.
    """

    def __init__(self, array: Tensor, weights: Weights, dtype: torch.dtype) -> None:
        super().__init__((array.shape[0], array.shape[1]), weights, dtype)
        self.array = array.to(dtype) if array.numel() <= RESIDENT else array

    @property
    def device(self) -> torch.device:
        return self.array.device

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        step = max(1, CHUNK // self.shape[1])
        buffer = self.array.new_empty((min(step, self.shape[0]), self.shape[1]), dtype=dtype)
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            yield rows, buffer[: rows.stop - rows.start].copy_(self.array[rows])

    def chunks(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        if self.array.dtype != self.dtype:
            yield from super().chunks()
            return
        step = max(1, CHUNK // self.shape[1])
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            yield rows, self.array[rows], self.weights.chunk(rows, self.shape)

    def whole(self) -> Tensor:
        return self.array.to(self.dtype)

    def rows(self, index: Tensor) -> Dense:
        return Dense(self.array[index], self.weights.some(index), self.dtype)

    def matmul(self, B: Tensor) -> Tensor:
        if self.array.dtype == B.dtype:
            return self.array @ B
        made = B.new_empty(self.shape[0], B.shape[1])
        for rows, x in self.blocks(B.dtype):
            torch.mm(x, B, out=made[rows])
        return made

    def rmatmul(self, G: Tensor) -> Tensor:
        if self.array.dtype == G.dtype:
            return (G.T @ self.array).T  # several times faster than Xᵀ G where X is tall
        total = G.new_zeros(G.shape[1], self.shape[1])
        for rows, x in self.blocks(G.dtype):
            total.addmm_(G[rows].T, x)
        return total.T

    def sums(self) -> tuple[Tensor, Tensor]:
        if self._sums is None:
            ones = torch.ones(self.shape[1], dtype=torch.float64, device=self.device)
            c = ones if self.weights.cols is None else self.weights.cols.double()
            squares, total = [], torch.zeros_like(ones)
            for _, x in self.blocks(torch.float64):
                total += x.sum(0)
                squares.append(x.square_() @ c)
            self._sums = torch.cat(squares), total
        return self._sums

    def nonzeros(self) -> Entries:
        found = [
            (x if w is None else x * w).nonzero() + torch.tensor([rows.start, 0], device=x.device)
            for rows, x, w in self.chunks()
        ]
        i, j = torch.cat(found).T.contiguous()
        return Entries(i, j, self.array[i, j].to(self.dtype), self.shape)

    @property
    def density(self) -> float:
        if self._density is None:
            found = sum(int(torch.count_nonzero(x)) for _, x, _ in self.chunks())
            self._density = found / (self.shape[0] * self.shape[1])
        return self._density

"""Counts most of which are zero, as fits read them: the values that are not, with their places."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from fusion.forms.contract import CHUNK, Form
from fusion.forms.weights import Weights

PART = 2**16
"""Non-zero entries that are looked at together."""


class Sparse(Form):
    """The values that are not zero, as a list; the array itself is never made.

    Args:
        held: the values with their positions.
        weights: of rank one, on the same device, in `dtype`.
        dtype: precision of the factors and of every product.
    """

    def __init__(self, held: Entries, weights: Weights, dtype: torch.dtype) -> None:
        super().__init__(held.shape, weights, dtype)
        self.held = held

    @property
    def device(self) -> torch.device:
        return self.held.x.device

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        step = max(1, CHUNK // self.shape[1])
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            part = slice(int(self.held.start[rows.start]), int(self.held.start[rows.stop]))
            block = self.held.x.new_zeros((rows.stop - start, self.shape[1]), dtype=dtype)
            i, j = self.held.i[part].long() - start, self.held.j[part].long()
            block[i, j] = self.held.x[part].to(dtype)
            yield rows, block

    def matmul(self, B: Tensor) -> Tensor:
        return self.held.matrix(self.held.x.to(B.dtype)) @ B

    def rmatmul(self, G: Tensor) -> Tensor:
        return self.held.transposed(self.held.x.to(G.dtype)) @ G

    def sums(self) -> tuple[Tensor, Tensor]:
        if self._sums is None:
            x = self.held.x.double()
            c = torch.ones(self.shape[1]) if self.weights.cols is None else self.weights.cols
            ones = x.new_ones(self.shape[0], 1)
            squares = self.held.matrix(x.square()) @ c.to(x)[:, None]
            self._sums = squares[:, 0], (self.held.transposed(x) @ ones)[:, 0]
        return self._sums

    def nonzeros(self) -> Entries:
        return self.held

    def rows(self, index: Tensor) -> Sparse:
        place = self.held.i.new_full((self.shape[0],), -1)
        place[index] = torch.arange(len(index), dtype=place.dtype, device=place.device)
        i = place.index_select(0, self.held.i)
        keep = i >= 0
        shape = (len(index), self.shape[1])
        held = Entries(i[keep], self.held.j[keep], self.held.x[keep], shape)
        return Sparse(held, self.weights.some(index), self.dtype)

    @property
    def density(self) -> float:
        return len(self.held.x) / (self.shape[0] * self.shape[1])


class Entries:
    """Values x at positions (i, j) of a matrix, sorted by row, then column; all else is zero."""

    def __init__(self, i: Tensor, j: Tensor, x: Tensor, shape: tuple[int, int]) -> None:
        self.shape = shape
        small = max(*shape, len(x)) < 2**31
        index = torch.int32 if small else torch.int64
        self.i, self.j, self.x = i.to(index), j.to(index), x
        self.start = self._ends(self.i, shape[0])

    @staticmethod
    def _ends(index: Tensor, n: int) -> Tensor:
        """Where every row begins in a sorted list of rows."""
        rows = torch.arange(n + 1, dtype=index.dtype, device=index.device)
        return torch.searchsorted(index, rows, out_int32=index.dtype is torch.int32)

    @cached_property
    def order(self) -> Tensor:
        """The entries sorted by column."""
        return torch.argsort(self.j, stable=True).to(self.j.dtype)

    @cached_property
    def turned(self) -> Entries:
        """The transpose."""
        columns, rows, x = (a.index_select(0, self.order) for a in (self.j, self.i, self.x))
        return Entries(columns, rows, x, (self.shape[1], self.shape[0]))

    def to(self, device: torch.device, dtype: torch.dtype) -> Entries:
        """Moved and converted."""
        if (self.x.device, self.x.dtype) == (device, dtype):
            return self
        return Entries(self.i.to(device), self.j.to(device), self.x.to(device, dtype), self.shape)

    def matrix(self, h: Tensor) -> Tensor:
        """The sparse matrix that holds h at the positions."""
        return _csr(self.start, self.j, h, self.shape)

    def transposed(self, h: Tensor) -> Tensor:
        """Its transpose."""
        return self.turned.matrix(h.index_select(0, self.order))

    def sample(self, L: Tensor, R: Tensor) -> Tensor:
        """(L Rᵀ) at the positions, shape (entry,).

        In parts that stay in the cache of a CPU, in room that is asked for once: fresh pages cost
        more than what is written on them.
        """
        n = len(self.x)
        step = min(n, PART if L.device.type == "cpu" else 64 * PART)
        made, room = L.new_empty(n), L.new_empty(2, step, L.shape[1])
        for part in (slice(a, min(a + step, n)) for a in range(0, n, max(1, step))):
            left, right = room[:, : part.stop - part.start]
            torch.index_select(L, 0, self.i[part], out=left)
            torch.index_select(R, 0, self.j[part], out=right)
            torch.sum(left.mul_(right), 1, out=made[part])
        return made

    def spread(self, h: Tensor, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
        """(H R, Hᵀ L) for the matrix H that holds h at the positions and zero elsewhere."""
        return self.matrix(h) @ R, self.transposed(h) @ L


def _csr(start: Tensor, column: Tensor, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A sparse matrix by rows; its parts are right by construction."""
    with warnings.catch_warnings():  # torch says once that its CSR tensors are in beta
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(start, column, value, shape, check_invariants=False)

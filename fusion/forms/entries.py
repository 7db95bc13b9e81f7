"""Values of a matrix that are not zero, with their places."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import Tensor

PART = 2**16
"""Non-zero entries that are looked at together."""


_MOVED: WeakKeyDictionary[Entries, WeakValueDictionary[Any, Entries]] = WeakKeyDictionary()
"""Copies of entries on other devices, in other types."""


class Entries:
    """Values x at positions (i, j) of a matrix, sorted by row, then column; all else is zero."""

    def __init__(self, i: Tensor, j: Tensor, x: Tensor, shape: tuple[int, int]) -> None:
        self.shape = shape
        small = max(*shape, len(x)) < 2**31
        index = torch.int32 if small else torch.int64
        self.i, self.j, self.x = i.to(index), j.to(index), x

    @cached_property
    def start(self) -> Tensor:
        """Where every row begins, (row + 1,)."""
        return self._ends(self.i, self.shape[0])

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

    def parts(self) -> Iterator[Entries]:
        """They in order, some at a time: few on a CPU, whose cache they should not leave."""
        step = 4 * PART if self.x.device.type == "cpu" else 256 * PART
        for part in (slice(a, a + step) for a in range(0, len(self.x), step)):
            yield Entries(self.i[part], self.j[part], self.x[part], self.shape)

    def to(self, device: torch.device, dtype: torch.dtype) -> Entries:
        """Moved and converted; one copy serves all who ask while one of them has it."""
        if (self.x.device, self.x.dtype) == (device, dtype):
            return self
        kept = _MOVED.setdefault(self, WeakValueDictionary())
        moved = kept.get((device, dtype))
        if moved is None:
            i, j, x = self.i.to(device), self.j.to(device), self.x.to(device, dtype)
            kept[device, dtype] = moved = Entries(i, j, x, self.shape)
        return moved

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

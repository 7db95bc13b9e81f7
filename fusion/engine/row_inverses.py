"""Inverses of the damped blocks of rows, and what is summed and multiplied with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

import torch
from torch import Tensor

TOGETHER = 32
"""Rows of one pattern that are multiplied at once."""
WORTH, LEAST = 8, 4096
"""So many rows there must be to a pattern, and in all, else each is given its own inverse."""
CHUNK = 2**20
"""Numbers of intermediate arrays."""


class RowInverses(ABC):
    """A symmetric matrix A of every row, (start, row, w, w), zero on what is not free.

    Attributes:
        width: w.
    """

    width: int

    @abstractmethod
    def times(self, v: Tensor) -> Tensor:
        """A v of every row, (start, row, w)."""

    @abstractmethod
    def summed(self, mine: Tensor, its: Tensor) -> Tensor:
        """Σ_row mine_a its_b A, (start, a, b, w, w) in float64, of (start, row, a) and (…, b)."""

    @abstractmethod
    def whole(self) -> Tensor:
        """All of them, (start, row or 1, w, w)."""


class EachRow(RowInverses):
    """One a row, or one for all rows.

    Args:
        matrix: (start, row or 1, w, w).
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix, self.width = matrix, matrix.shape[-1]

    def times(self, v: Tensor) -> Tensor:
        if self.matrix.shape[1] == 1:
            return v @ self.matrix[:, 0]
        return torch.matmul(self.matrix, v[..., None])[..., 0]

    def whole(self) -> Tensor:
        return self.matrix

    def summed(self, mine: Tensor, its: Tensor) -> Tensor:
        (starts, rows, r), q, w = mine.shape, its.shape[-1], self.width
        if self.matrix.shape[1] == 1:
            met = (mine.mT @ its).double()
            return met[..., None, None] * self.matrix[:, :, None].double()
        left, right, back = _pairs(r, q, mine is its, mine.device)
        kept, spread = _upper(w, mine.device)
        total = mine.new_zeros(starts, len(left), len(kept), dtype=torch.float64)
        step = max(1, CHUNK // (starts * max(r, q, w) ** 2))
        for at in range(0, rows, step):
            part = slice(at, at + step)
            pairs = mine[:, part].index_select(2, left) * its[:, part].index_select(2, right)
            total += pairs.mT @ self.matrix[:, part].flatten(2).index_select(2, kept)
        return total[:, back][:, :, spread].reshape(starts, r, q, w, w)


class ByPattern(RowInverses):
    """Few that many rows share: rows are sorted by theirs, and multiplied some at a time.

    Args:
        few: (pattern, w, w), sorted by start.
        which: (start, row), the pattern of every row.
        owner: (pattern,) the start whose rows have it.
        weight: (row,) by which a row's own is divided; None: by 1.
    """

    def __init__(self, few: Tensor, which: Tensor, owner: Tensor, weight: Tensor | None) -> None:
        self.few, self.which, self.weight, self.width = few, which, weight, few.shape[-1]
        self._rows = which.numel()
        held, order = torch.sort(which.flatten())
        count = torch.bincount(held, minlength=len(few))
        parts = (count + TOGETHER - 1) // TOGETHER
        self._pattern = torch.repeat_interleave(parts)  # of every part
        # a part that is not full ends with places of no row
        place = (parts.cumsum(0) - parts)[held] * TOGETHER
        place += torch.arange(self._rows, device=held.device) - (count.cumsum(0) - count)[held]
        places = len(self._pattern) * TOGETHER
        self._from = held.new_zeros(places).index_copy(0, place, order)
        self._filled = few.new_zeros(places, 1).index_fill(0, place, 1)
        self._place = torch.empty_like(place).index_copy(0, order, place)
        self._spread = few[self._pattern]
        first = torch.bincount(owner, minlength=len(which)).cumsum(0)
        first = torch.cat([first.new_zeros(1), first])
        self._at = owner, torch.arange(len(few), device=held.device) - first[owner]
        self._most = int(first.diff().max())

    def times(self, v: Tensor) -> Tensor:
        sorted_ = v.reshape(self._rows, -1).index_select(0, self._from)
        made = sorted_.unflatten(0, (-1, TOGETHER)) @ self._spread
        out = made.flatten(0, 1).index_select(0, self._place).view(v.shape)
        return out if self.weight is None else out / self.weight[:, None]

    def whole(self) -> Tensor:
        full = self.few[self.which]
        return full if self.weight is None else full / self.weight[:, None, None]

    def summed(self, mine: Tensor, its: Tensor) -> Tensor:
        left = mine if self.weight is None else mine / self.weight[:, None]
        left = self._parts(left)
        right = left if mine is its and self.weight is None else self._parts(its)
        r, q, w = mine.shape[-1], its.shape[-1], self.width
        met = self.few.new_zeros(len(self.few), r * q, dtype=torch.float64)
        met.index_add_(0, self._pattern, (left.mT @ right).flatten(1).double())
        # patterns of every start side by side
        shape = len(mine), self._most
        pairs, inverses = met.new_zeros(*shape, r * q), met.new_zeros(*shape, w * w)
        pairs[self._at], inverses[self._at] = met, self.few.flatten(1).double()
        return (pairs.mT @ inverses).reshape(len(mine), r, q, w, w)

    def _parts(self, rows: Tensor) -> Tensor:
        """(part, row, a) of (start, row, a), zeros in places of no row."""
        picked = rows.reshape(self._rows, -1).index_select(0, self._from)
        return (picked * self._filled).unflatten(0, (-1, TOGETHER))


@lru_cache(maxsize=64)
def _upper(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Places of the upper triangle in a flattened (n, n), and which of them every place is."""
    i, j = torch.triu_indices(n, n, device=device)
    which = torch.zeros(n, n, dtype=torch.long, device=device)
    which[i, j] = which[j, i] = torch.arange(len(i), device=device)
    return i * n + j, which.flatten()


@lru_cache(maxsize=64)
def _pairs(r: int, q: int, same: bool, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Columns to multiply, left and right, and which of these every pair of columns is."""
    if same:
        places, which = _upper(r, device)
        return places // r, places % r, which
    every = torch.arange(r * q, device=device)
    return every // q, every % q, every

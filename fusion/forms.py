"""The data as the losses read them: ‖X‖², ⟨X, M⟩ with its gradient, and chunks of entries.

M is a structured prediction in its two-way shape, M = L Rᵀ with L (row, R) and R (column, R). The
products with X are the only places where the data are touched; they fold the start axis of a batch
into columns.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fusion.prediction import Expanded, Prediction

CHUNK = 2**20
"""Entries that a pass over the data holds at once in the factors' precision: 8 MiB in float64."""
PART = 2**16
"""Non-zero entries that are looked at together."""
RESIDENT = 2**25
"""Up to this many entries data are kept in the factors' precision; above, chunks are converted."""


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


class Form(ABC):
    """An array (row, column) with its weights, as fits read it.

    Args:
        shape: (rows, columns).
        weights: on the data's device, in `dtype`.
        dtype: precision of the factors and of every product.
    """

    def __init__(self, shape: tuple[int, int], weights: Weights, dtype: torch.dtype) -> None:
        self.shape, self.weights, self.dtype = shape, weights, dtype
        self._norm2: Tensor | None = None
        self._sums: tuple[Tensor, Tensor] | None = None
        self._entries: Entries | None = None
        self._density: float | None = None

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the data are."""

    @abstractmethod
    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """(rows, values (row, column) in this type); the next block may take over the memory."""

    @abstractmethod
    def matmul(self, B: Tensor) -> Tensor:
        """X B, without weights: (column, n) → (row, n)."""

    @abstractmethod
    def rmatmul(self, G: Tensor) -> Tensor:
        """Xᵀ G, without weights: (row, n) → (column, n)."""

    @abstractmethod
    def nonzeros(self) -> Entries:
        """The values that are not zero, without weights, as a list."""

    @property
    @abstractmethod
    def density(self) -> float:
        """Share of the values that are not zero."""

    @abstractmethod
    def sums(self) -> tuple[Tensor, Tensor]:
        """Σ_j x_ij² with the weights of the columns, (row,), and Σ_i x_ij, (column,); float64."""

    @abstractmethod
    def rows(self, index: Tensor) -> Form:
        """Some of the rows."""

    @property
    def rank_one(self) -> bool:
        """Whether the weights are a product of rows and columns, so that Gram matrices serve."""
        return self.weights.full is None

    @property
    def unweighted(self) -> bool:
        """Whether every entry has weight 1."""
        w = self.weights
        return w.rows is None and w.cols is None and w.full is None

    def chunks(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """(rows, values (row, column) in `dtype`, weights or None), every entry once."""
        for rows, x in self.blocks(self.dtype):
            yield rows, x, self.weights.chunk(rows, self.shape)

    def whole(self) -> Tensor:
        """All values at once, (row, column), for a prediction that is expanded anyway."""
        return torch.cat([x.clone() for _, x in self.blocks(self.dtype)])

    def entries(self) -> Entries:
        """The non-zero values with weight, as a list."""
        if self._entries is None:
            self._entries = self.nonzeros()
        return self._entries

    def count(self) -> int:
        """Number of entries with weight."""
        if self.rank_one:
            rows = (
                self.shape[0] if self.weights.rows is None else int((self.weights.rows > 0).sum())
            )
            return rows * (
                self.shape[1] if self.weights.cols is None else int((self.weights.cols > 0).sum())
            )
        return sum(
            int((weight.expand(x.shape) > 0).sum())
            for _, x, weight in self.chunks()
            if weight is not None
        )

    def norm2(self) -> Tensor:
        """Σ w x², a float64 scalar."""
        if self._norm2 is None:
            if self.rank_one:
                squares = self.sums()[0]
                rows = self.weights.rows
                self._norm2 = (squares if rows is None else squares * rows.double()).sum()
            else:
                parts = [
                    (x.square_() * self.weights.chunk(rows, self.shape)).sum()
                    for rows, x in self.blocks(torch.float64)
                ]
                self._norm2 = torch.stack(parts).sum()
        return self._norm2

    def inner(self, L: Tensor, R: Tensor) -> Tensor:
        """⟨X, L Rᵀ⟩ with rank-one weights, float64; its gradient costs one more product with X."""
        L, R = self.weighted(L, R)
        return (Product.apply(self, R, False) * L).sum(dtype=torch.float64)

    def overlap(self, M: Prediction) -> Tensor:
        """⟨X, M⟩ under rank-one weights, float64."""
        if isinstance(M, Expanded):
            w, x = self.weights.chunk(slice(None), self.shape), self.whole()
            return ((x if w is None else w * x) * M.matrix).sum(dtype=torch.float64)
        return self.inner(*M.two_way())

    def weighted(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
        """The factors of W ∘ (L Rᵀ), W of rank one."""
        return self.weights.applied(L, R)


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
        return Entries(columns, rows, x, self.shape[::-1])

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
        """(L Rᵀ) at the positions, shape (entry,); parts stay in the cache of a CPU."""
        made = L.new_empty(len(self.x))
        step = PART if L.device.type == "cpu" else 64 * PART
        for part in (slice(a, a + step) for a in range(0, len(made), step)):
            left, right = L.index_select(0, self.i[part]), R.index_select(0, self.j[part])
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


class Product(torch.autograd.Function):
    """X B, or Xᵀ B: the products with the data in a gradient, starts batched as columns."""

    @staticmethod
    def forward(form: Any, B: Tensor, transposed: bool) -> Tensor:
        return form.rmatmul(B) if transposed else form.matmul(B)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.form, _, ctx.transposed = inputs

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, G: Tensor
    ) -> tuple[None, Tensor, None]:
        return None, Product.apply(ctx.form, G, not ctx.transposed), None

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any, in_dims: tuple, form: Any, B: Tensor, transposed: bool
    ) -> tuple[Tensor, int]:
        columns = B.movedim(in_dims[1], 1)  # (n, start, R): starts are more columns of one product
        out = Product.apply(form, columns.flatten(1), transposed)
        return out.unflatten(1, columns.shape[1:]), 1

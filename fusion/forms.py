"""The data as the losses read them: ‖X‖², ⟨X, M⟩ with its gradient, and chunks of entries.

M is a structured prediction in its two-way shape, M = L Rᵀ with L (row, R) and R (column, R). The
products with X are the only places where the data are touched; they fold the start axis of a batch
into columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CHUNK = 2**22
"""Entries that a pass over the data holds at once in the factors' precision: 32 MiB in float64."""
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


class Dense:
    """An array (row, column) in the precision it came in, with its weights.

    Args:
        array: (row, column), any real type, finite (masked entries hold zeros).
        weights: on the same device, in `dtype`.
        dtype: precision of the factors and of every product.
    """

    def __init__(self, array: Tensor, weights: Weights, dtype: torch.dtype) -> None:
        self.weights, self.dtype, self.shape = weights, dtype, (array.shape[0], array.shape[1])
        self.array = array.to(dtype) if array.numel() <= RESIDENT else array
        self._norm2: Tensor | None = None
        self._entries: Entries | None = None
        self._density: float | None = None

    @property
    def rank_one(self) -> bool:
        """Whether the weights are a product of rows and columns, so that Gram matrices serve."""
        return self.weights.full is None

    def chunks(self) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """(rows, values (row, column) in `dtype`, weights or None), every entry once."""
        step = max(1, CHUNK // self.shape[1])
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            yield rows, self.array[rows].to(self.dtype), self.weights.chunk(rows, self.shape)

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
            parts = (
                x.double().square() if w is None else w.double() * x.double().square()
                for _, x, w in self.chunks()
            )
            self._norm2 = torch.stack([part.sum() for part in parts]).sum()
        return self._norm2

    def matmul(self, B: Tensor) -> Tensor:
        """X B, without weights: (column, n) → (row, n)."""
        if self.array.dtype == B.dtype:
            return self.array @ B
        return torch.cat([x.to(B.dtype) @ B for _, x, _ in self.chunks()])

    def rmatmul(self, G: Tensor) -> Tensor:
        """Xᵀ G, without weights: (row, n) → (column, n)."""
        if self.array.dtype == G.dtype:
            return self.array.T @ G
        total = G.new_zeros(self.shape[1], G.shape[1])
        for rows, x, _ in self.chunks():
            total.addmm_(x.to(G.dtype).T, G[rows])
        return total

    def inner(self, L: Tensor, R: Tensor) -> Tensor:
        """⟨X, L Rᵀ⟩ with rank-one weights, float64; its gradient costs one more product with X."""
        L, R = self.weighted(L, R)
        return (Product.apply(self, R, False) * L).sum(dtype=torch.float64)

    def weighted(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
        """The factors of W ∘ (L Rᵀ), W of rank one."""
        L = L if self.weights.rows is None else L * self.weights.rows[:, None]
        return L, R if self.weights.cols is None else R * self.weights.cols[:, None]

    def entries(self) -> Entries:
        """The non-zero values alone, as a list."""
        if self._entries is None:
            found = [
                (x * (1 if w is None else w)).nonzero()
                + torch.tensor([rows.start, 0], device=x.device)
                for rows, x, w in self.chunks()
            ]
            i, j = torch.cat(found).T.contiguous()
            self._entries = Entries(i, j, self.array[i, j].to(self.dtype), self.shape)
        return self._entries


class Entries:
    """Values x at positions (i, j) of a matrix, sorted by row; everything else is absent."""

    def __init__(self, i: Tensor, j: Tensor, x: Tensor, shape: tuple[int, int]) -> None:
        self.i, self.j, self.x, self.shape = i, j, x, shape
        self.start = torch.searchsorted(i, torch.arange(shape[0] + 1, device=i.device))
        self.by_column = torch.argsort(j, stable=True)
        self.column_start = torch.searchsorted(
            j[self.by_column], torch.arange(shape[1] + 1, device=i.device)
        )
        self.column_rows = i[self.by_column]
        self.pattern = _csr(self.start, j, torch.zeros_like(x), shape)

    def sample(self, L: Tensor, R: Tensor) -> Tensor:
        """(L Rᵀ) at the positions, shape (entry,)."""
        return torch.sparse.sampled_addmm(self.pattern, L, R.T, beta=0.0).values()

    def spread(self, h: Tensor, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
        """(H R, Hᵀ L) for the matrix H that holds h at the positions and zero elsewhere."""
        H = _csr(self.start, self.j, h, self.shape)
        Ht = _csr(self.column_start, self.column_rows, h[self.by_column], self.shape[::-1])
        return H @ R, Ht @ L


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

"""The data as the losses read them: ‖X‖², ⟨X, M⟩ with its gradient, and chunks of entries.

M is a structured prediction in its two-way shape, M = L Rᵀ with L (row, R) and R (column, R). The
products with X are the only places where the data are touched; they fold the start axis of a batch
into columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.prediction import Expanded, Prediction
from fusion.forms.entries import Entries
from fusion.forms.weights import Weights

CHUNK = 2**20
"""Entries that a pass over the data holds at once in the factors' precision: 8 MiB in float64."""


class Reading(ABC):
    """What losses read of an array (row, column) with weights; all of it is made of three products.

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
        self._kept: dict[tuple[int, ...], Any] | None = None
        """What readings beside predictions told, while nothing changes."""

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Within, predictions and data stay as they are: what one reading tells is kept."""
        self._kept = {}
        try:
            yield
        finally:
            self._kept = None

    @abstractmethod
    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """(rows, values (row, column) in this type)."""

    @abstractmethod
    def matmul(self, B: Tensor) -> Tensor:
        """X B, without weights: (column, n) → (row, n)."""

    @abstractmethod
    def rmatmul(self, G: Tensor) -> Tensor:
        """Xᵀ G, without weights: (row, n) → (column, n)."""

    def met(self, R: Tensor) -> Tensor:
        """(W ∘ X) R for weights of rank one: (start, column, n) → (start, row, n)."""
        w = self.weights
        right = R if w.cols is None else R * w.cols[:, None]
        made = _folded(self.matmul, right)
        return made if w.rows is None else made * w.rows[:, None]

    def met_back(self, L: Tensor) -> Tensor:
        """(W ∘ X)ᵀ L for weights of rank one: (start, row, n) → (start, column, n)."""
        w = self.weights
        left = L if w.rows is None else L * w.rows[:, None]
        made = _folded(self.rmatmul, left)
        return made if w.cols is None else made * w.cols[:, None]

    @abstractmethod
    def rows(self, index: Tensor) -> Reading:
        """Some of the rows."""

    @property
    def device(self) -> torch.device:
        """Where the data are."""
        return next(iter(self.blocks(self.dtype)))[1].device

    @property
    def native(self) -> torch.dtype:
        """The least precision that holds the data exactly."""
        return self.dtype

    @property
    def compiled(self) -> bool:
        """Whether values are converted as they are read: residuals cost no more than a product."""
        return False

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

    def nonzeros(self) -> Entries:
        """The values that are not zero, without weights, as a list."""
        places, values = [], []
        for rows, x, w in self.chunks():
            place = (x if w is None else x * w).nonzero()
            values.append(x[place[:, 0], place[:, 1]])
            places.append(place + torch.tensor([rows.start, 0], device=x.device))
        i, j = torch.cat(places).T.contiguous()
        return Entries(i, j, torch.cat(values), self.shape)

    @property
    def density(self) -> float:
        """Share of the values that are not zero."""
        if self._density is None:
            nonzero = sum(int(torch.count_nonzero(x)) for _, x, _ in self.chunks())
            self._density = nonzero / (self.shape[0] * self.shape[1])
        return self._density

    def sums(self) -> tuple[Tensor, Tensor]:
        """Σ_j x_ij² with the weights of the columns, (row,), and Σ_i x_ij, (column,); float64."""
        if self._sums is None:
            ones = torch.ones(self.shape[1], dtype=torch.float64, device=self.device)
            c = ones if self.weights.cols is None else self.weights.cols.double()
            squares, total = c.new_empty(self.shape[0]), torch.zeros_like(ones)
            for rows, x in self.blocks(torch.float64):
                total += x.sum(0)
                squares[rows] = x.square() @ c
            self._sums = squares, total
        return self._sums

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
                parts = []
                for rows, x in self.blocks(torch.float64):
                    w = self.weights.chunk(rows, self.shape)
                    parts.append((x.square() if w is None else x.square() * w).sum())
                self._norm2 = torch.stack(parts).sum()
        return self._norm2

    def residual_squares(self, L: Tensor, R: Tensor, damped: float | None = None) -> Tensor:
        """Σ_j w (x − m)² of every row for M = L Rᵀ, (row,).

        Args:
            L: (row, K); R: (column, K).
            damped: each is divided by max(m, 0) plus this; None: by nothing.
        """
        squares, rooms = L.new_empty(self.shape[0]), None
        for rows, x, w in self.chunks():
            rooms = rooms or (torch.empty_like(x), torch.empty_like(x))
            m, off = (room[: len(x)] for room in rooms)  # new room each time would pile up
            torch.mm(L[rows], R.T, out=m)
            torch.sub(x, m, out=off).square_()
            if damped is not None:
                off /= m.clamp_(min=0).add_(damped)
            if w is not None:
                off *= w
            torch.sum(off, 1, out=squares[rows])
        return squares

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


def _folded(product: Callable[[Tensor], Tensor], B: Tensor) -> Tensor:
    """A product with a matrix, starts as more of its columns."""
    columns = B.movedim(0, 1).flatten(1)
    return product(columns).unflatten(1, (len(B), -1)).movedim(1, 0)

"""Counts as the compiled passes read them, by the rows of either factor, on several threads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import inf
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.threads import Workers
from fusion.forms.contract import Form
from fusion.forms.entries import Entries
from fusion.likelihood import count_kernels

Array = NDArray[np.float64]
BLOCKS = 64
"""Ranges of rows that threads take, at most: a held-up thread holds up no more than one of them."""
ROOMS = 8
"""The same where every range has a room for the other factor."""
LEAST = 20_000
"""Counts of a range, at least: what handing it over costs is small beside it."""
PART = 2**18
"""Counts that are looked at together."""
FEW = 2**16
"""Counts below which passes for any number of components serve: others take longer to compile."""
WHOLE = 2**24
"""Largest count that single precision holds exactly, as it does all below."""


class Side(NamedTuple):
    """Counts sorted by the rows of one factor."""

    start: NDArray  # (row + 1,) where every row begins
    column: NDArray  # (count,) row of the other factor
    x: NDArray  # (count,) counts times their weights
    bounds: NDArray  # (block + 1,) ranges of rows with about as many counts each
    coarse: NDArray  # the same, fewer: each adds up rows of the other factor in a room of its own


_KEPT: WeakKeyDictionary[Form, CountRows] = WeakKeyDictionary()


def count_rows(form: Form) -> CountRows:
    """The counts of a form, sorted once for all that read it."""
    if form not in _KEPT:
        _KEPT[form] = CountRows(form)
    return _KEPT[form]


class CountRows:
    """The counts of a data set, with weights of rank one, for M = L Rᵀ and ℓ = −x ln m.

    The weights are in the counts: Σ w (m − x ln m) has them in its linear part beside that.

    Args:
        form: counts on a CPU, weights of rank one.
    """

    def __init__(self, form: Form) -> None:
        self._entries = _weighted(form)
        self.least = _least(self._entries.x)
        """The smallest count times its weight."""

    def _passes(self, K: int) -> count_kernels.Kernels:
        """For K components, K padded."""
        return count_kernels.kernels(0 if len(self._entries.x) < FEW else K)

    @cached_property
    def sides(self) -> tuple[Side, Side]:
        """By the rows of L, and by those of R."""
        from scipy.sparse import csr_matrix  # here, as fits of other data do without scipy

        entries = self._entries
        start, column, x = (a.numpy() for a in (entries.start, entries.j, entries.x))
        turned = csr_matrix((x, column, start), entries.shape).tocsc()
        return _side(start, column, x), _side(turned.indptr, turned.indices, turned.data)

    def bend(
        self,
        j: int,
        mine: Array,
        other: Array,
        workers: Workers,
        into: tuple[Array, Array],
        *,
        loss: bool = False,
    ) -> float:
        """Gradient and packed curvature of every row, written into (row, K), (row, K (K + 1) / 2).

        Args:
            j: 0 by the rows of L, 1 by those of R.
            mine: that factor (row, K), K padded.
            other: the other one, likewise.
            workers: threads.
            into: where gradient and curvature go.
            loss: whether Σ ℓ is asked for.

        Returns:
            Σ ℓ, or nothing of meaning.
        """
        side, run = self.sides[j], self._passes(mine.shape[1]).bend
        losses = np.zeros(len(side.bounds) - 1)

        def task(b: int) -> None:
            rows = side.bounds[b], side.bounds[b + 1]
            losses[b] = run(*side[:3], mine, other, *rows, *into, loss)

        workers.share(task, len(losses))
        return float(losses.sum())

    def loss(self, L: Array, R: Array, workers: Workers) -> float:
        """Σ ℓ alone; factors as of `slopes`."""
        side, run = self.sides[0], self._passes(L.shape[1]).slopes
        losses = np.zeros(len(side.bounds) - 1)

        def task(b: int) -> None:
            losses[b] = run(*side[:3], L, R, side.bounds[b], side.bounds[b + 1], L, R, False)

        workers.share(task, len(losses))
        return float(losses.sum())

    def slopes(self, L: Array, R: Array, workers: Workers) -> tuple[float, Array, Array]:
        """(Σ ℓ, its gradient in L, its gradient in R), L and R (row, K), K padded."""
        side, run = self.sides[0], self._passes(L.shape[1]).slopes
        bounds, left = side.coarse, np.empty_like(L)
        sums = np.zeros((len(bounds) - 1, *R.shape))
        losses = np.zeros(len(sums))

        def task(b: int) -> None:
            losses[b] = run(*side[:3], L, R, bounds[b], bounds[b + 1], left, sums[b], True)

        workers.share(task, len(sums))
        return float(losses.sum()), left, sums.sum(0)

    def products(
        self, L: Array, R: Array, dL: Array, dR: Array, workers: Workers, *, whole: bool = False
    ) -> tuple[Array, Array]:
        """The curvature times a direction (dL, dR), by the rows of L and of R.

        Gauss–Newton's part, or the whole of it, with what the slope of ℓ makes of dL and dR.
        """
        side, run = self.sides[0], self._passes(L.shape[1]).products
        bounds, left = side.coarse, np.empty_like(L)
        sums = np.zeros((len(bounds) - 1, *R.shape))

        def task(b: int) -> None:
            rows = bounds[b], bounds[b + 1]
            run(*side[:3], L, R, dL, dR, *rows, left, sums[b], whole)

        workers.share(task, len(sums))
        return left, sums.sum(0)


def padded(values: Array) -> Array:
    """(row, K) with zeros up to a number of components that kernels are compiled for."""
    K = count_kernels.padded(values.shape[1])
    if values.shape[1] == K:
        return np.ascontiguousarray(values)
    full = np.zeros((len(values), K))
    full[:, : values.shape[1]] = values
    return full


def _weighted(form: Form) -> Entries:
    """The non-zero counts times their weights, in single precision where that is exact."""
    entries, w = form.entries(), form.weights
    x = entries.x
    if w.rows is None and w.cols is None:
        narrow = x.dtype == torch.float32 or all(
            bool((part == part.round()).all()) and float(part.max()) <= WHOLE for part in _parts(x)
        )
        return Entries(entries.i, entries.j, x.float() if narrow else x.double(), entries.shape)
    x = x.double()
    for weights, index in ((w.rows, entries.i), (w.cols, entries.j)):
        x = x if weights is None else x * weights.double().index_select(0, index)
    seen = x > 0
    return Entries(entries.i[seen], entries.j[seen], x[seen], entries.shape)


def _parts(x: Tensor) -> Sequence[Tensor]:
    return x.split(PART) if len(x) else ()


def _least(x: Tensor) -> float:
    """The smallest of those above zero, 1 without any; looked at in parts."""
    least = [float(torch.where(part > 0, part, torch.inf).min()) for part in _parts(x)]
    return min((value for value in least if value < inf), default=1.0)


def _side(start: NDArray, column: NDArray, x: NDArray) -> Side:
    return Side(start, column, x, _ranges(start, BLOCKS), _ranges(start, ROOMS))


def _ranges(start: NDArray, most: int) -> NDArray:
    """Ranges of rows that hold about as many counts each, (range + 1,)."""
    rows, total = len(start) - 1, int(start[-1])
    count = max(1, min(most, total // LEAST, rows))
    inner = np.searchsorted(start, np.linspace(0, total, count + 1)[1:-1])
    return np.unique(np.concatenate([[0], inner, [rows]])).astype(np.int64)

"""Rows at their least squares while their data are read, compiled.

A few rows stay in the nearest cache from the product with what is held, through their least
squares, to the product back: data are read from memory once for both.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.compiling import compiled, written
from fusion.engine.batched_nnls import BITS, FULL, MOST, slack_of
from fusion.engine.compiled_nnls import by_root, inverse_of, pivot_rows, table_of
from fusion.forms.compiled_products import (
    LANES,
    PART,
    add_back,
    hand_over,
    meet,
    multiplies,
)
from fusion.forms.compiled_reading import in_order, in_parts
from fusion.forms.dense import Dense

Array = NDArray[Any]
BYTES = 2**17
"""Of the data that are read together: they and what is held fit in the second cache."""


class Found(NamedTuple):
    """Rows at their least squares, and the sums that they leave.

    Attributes:
        z: (row, k) ≥ 0.
        overlap: Σ (X R) ∘ L of L = z A; back: Xᵀ L, (column, K).
    """

    z: Tensor
    overlap: float
    back: Tensor


class LeastRows:
    """min over z ≥ 0 of ½ z H zᵀ − b z with b = X R E + e, row by row of any X.

    Args:
        R: (column, K), in the precision of the product.
        H: (k, k), positive definite.
        A, E: (k, K) and (K, k), how rows of L are made of z, and b of X R.
    """

    def __init__(self, R: Tensor, H: Tensor, A: Tensor, E: Tensor) -> None:
        size = H.diagonal().sqrt()
        self.size, self.columns = size.numpy(), A.shape[1]
        self.right = np.zeros((-(-self.columns // LANES) * LANES, len(R)), R.numpy().dtype)
        self.right[: self.columns] = R.numpy().T
        self.gram = np.ascontiguousarray((H / size[:, None] / size)[None].numpy())
        self.out = np.ascontiguousarray((A / size[:, None]).numpy())
        self.into = np.ascontiguousarray((E / size).numpy())

    def of(self, array: Tensor, likely: Tensor, more: Tensor | None = None) -> Found:
        """The rows of an array (row, column), of a type that `multiplies` takes.

        Args:
            array: X.
            likely: (row, k) bool, which unknowns are likely to be above 0. For speed alone.
            more: e, (k,) for all rows or (row, k); None: 0.
        """
        x, k = array.numpy(), len(self.size)
        extra = np.zeros((1, k)) if more is None else more.numpy().reshape(-1, k) / self.size
        free, z, backs, overlaps = likely.numpy().copy(), np.empty((len(x), k)), {}, {}
        tile = max(4, BYTES // max(x[0].nbytes, 1) // 4 * 4)
        held = self.right, self.gram, self.into, self.out
        run, slack = _kernel(), slack_of(k)

        def task(first: int, end: int) -> None:
            rows, back = slice(first, end), np.zeros((len(self.right), x.shape[1]))
            own = extra if len(extra) == 1 else extra[rows]
            most = FULL, MOST, slack
            overlaps[first] = run(x[rows], *held, own, z[rows], free[rows], back, tile, *most)
            backs[first] = back

        in_parts(len(x), task)
        overlap, back = sum(overlaps[first] for first in sorted(overlaps)), in_order(backs)
        z /= self.size
        return Found(torch.from_numpy(z), overlap, torch.from_numpy(back[: self.columns].T))


def serves(form: Any, R: Tensor, unknowns: int) -> bool:
    """Whether data are read in this way, as they were stored: on a CPU, all rows of one weight.

    Args:
        form: of the data; R: (column, K), which they meet.
        unknowns: of a row.
    """
    dense = isinstance(form, Dense) and form.weights.full is None and form.weights.rows is None
    few = unknowns <= BITS and R.dtype == torch.float64
    return dense and few and multiplies(form.array, R.to(form.native))


@cache
def _kernel() -> Any:
    from numba.extending import register_jitable

    parts = meet, add_back, hand_over, by_root, inverse_of, table_of, pivot_rows
    for part in parts:
        register_jitable(part)
    return compiled(_least_rows(written(parts)))


def _least_rows(parts):
    def rows_of(x, right, gram, into, out, extra, z, free, back, tile, full, most, slack):
        """Σ (X R) ∘ L; `z` in units in which the diagonal of the Gram matrix is 1."""
        rows, (k, K) = len(x), out.shape
        met, left = np.empty((tile, K), right.dtype), np.zeros((len(right), tile), right.dtype)
        b, room = np.empty((tile, k)), np.zeros(back.shape, right.dtype)
        (table, there), overlap, added, _ = table_of(gram, k), 0.0, 0, parts
        for begin in range(0, rows, tile):
            n = min(tile, rows - begin)
            part, found, bounds = (
                x[begin : begin + n],
                z[begin : begin + n],
                free[begin : begin + n],
            )
            meet(part, right, met[:n])
            for i in range(n):
                for j in range(k):
                    total = extra[begin + i if len(extra) > 1 else 0, j]
                    for l in range(K):  # noqa: E741
                        total += np.float64(met[i, l]) * into[l, j]
                    b[i, j] = total
            pivot_rows(gram, b, found, bounds, 0, n, full, most, slack, table, there)
            for i in range(n):
                for l in range(K):  # noqa: E741
                    total = 0.0
                    for j in range(k):
                        total += found[i, j] * out[j, l]
                    left[l, i] = total
                    overlap += total * np.float64(met[i, l])
            add_back(part, left[:, :n], room)
            added += n
            if added >= PART or begin + n == rows:
                hand_over(room, back)
                added = 0
        return overlap

    return rows_of

"""The losses that all methods are judged by: float64, in chunks, one function for everybody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Array = NDArray[np.floating]

CHUNK = 1 << 22
"""Numbers of a residual that are held at once: 32 MiB."""


def half_squares(X: Array, L: Array, R: Array, variance: Array | None = None) -> float:
    """½ Σ (x − m)² / v with M = L Rᵀ.

    Args:
        X: data, (row, column).
        L: (row, K).
        R: (column, K).
        variance: v, one for every column; None: 1.
    """
    left, right, total = L.astype(float), R.astype(float).T, 0.0
    step = max(1, CHUNK // X.shape[1])
    for first in range(0, len(X), step):
        rows = slice(first, first + step)
        E = left[rows] @ right
        E -= X[rows]
        if variance is not None:
            E /= np.sqrt(variance)
        total += float(np.vdot(E, E))
    return 0.5 * total


def poisson(X: csr_matrix, L: Array, R: Array) -> float:
    """Σ m − Σ x ln m over the counts x > 0, with M = L Rᵀ; +∞ where a count is predicted as 0.

    Args:
        X: counts, (row, column).
        L: (row, K).
        R: (column, K).
    """
    left, right = L.astype(float), R.astype(float)
    total = float(left.sum(0) @ right.sum(0))
    step = max(1, CHUNK // left.shape[1])
    for first in range(0, X.nnz, step):
        counts = np.arange(first, min(first + step, X.nnz))
        rows = np.searchsorted(X.indptr, counts, side="right") - 1
        m = np.einsum("nk,nk->n", left[rows], right[X.indices[counts]])
        if not m.min() > 0:
            return float("inf")
        total -= float(X.data[counts].astype(float) @ np.log(m))
    return total


def khatri_rao(B: Array, C: Array) -> Array:
    """All products of a row of B and a row of C, (rows of B · rows of C, K)."""
    return np.einsum("jk,lk->jlk", B, C).reshape(-1, B.shape[1])

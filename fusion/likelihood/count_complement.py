"""Compiled Schur complement of counts: the curvature by one factor, the rows of the other out.

For M = L Rᵀ and the curvature h = x / m² of every count, row i of L meets row j of R by
u_(jl),k = h_ij R_jk L_il. Without the rows of L that leaves S = H_RR − Σ_i U_i A_i⁻¹ U_iᵀ by the
rows of R, U_i as sparse as the counts of row i.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.threads import shared_workers
from fusion.likelihood.compiling import compiled

if TYPE_CHECKING:
    from fusion.likelihood.count_rows import Array, Side


def take_out(side: Side, L: Array, R: Array, scale: float, inverse: Array, S: Array) -> None:
    """Σ_i U_i A_i⁻¹ U_iᵀ taken off S, in place.

    Args:
        side: the counts by the rows of L.
        L: (n, K).
        R: (m, K).
        scale: of the curvature.
        inverse: A⁻¹ of every row of L, zero where it is held, (n, K, K).
        S: (m K, m K), by (row of R, component).
    """
    _kernels()[0](*side[:3], L, R, scale, inverse, S)
    upper = np.triu_indices(len(S), 1)
    S.T[upper] = S[upper]


def brought_back(
    side: Side, L: Array, R: Array, scale: float, inverse: Array, covariance: Array
) -> Array:
    """Diagonal of A_i⁻¹ U_iᵀ Σ U_i A_i⁻¹ of every row of L, (n, K), Σ the covariance by R."""
    made, bounds, run = np.empty_like(L), side.bounds, _kernels()[1]

    def task(b: int) -> None:
        rows = slice(bounds[b], bounds[b + 1])
        start = side.start[bounds[b] : bounds[b + 1] + 1]
        made[rows] = run(start, *side[1:3], L[rows], R, scale, inverse[rows], covariance)

    shared_workers().share(task, len(bounds) - 1)
    return made


@cache
def _kernels() -> tuple[Any, Any]:
    return compiled(_take_out), compiled(_brought_back)


def _take_out(start, column, x, L, R, scale, inverse, S):
    K, widest = L.shape[1], 0
    for i in range(len(start) - 1):
        widest = max(widest, start[i + 1] - start[i])
    u, z, pair = np.empty((widest, K)), np.empty((widest, K)), np.empty((K, K))
    for i in range(len(start) - 1):
        first, n = start[i], start[i + 1] - start[i]
        for a in range(K):
            for b in range(K):
                pair[a, b] = L[i, a] * L[i, b]
        for s in range(n):
            j = column[first + s]
            mean = 0.0
            for k in range(K):
                mean += L[i, k] * R[j, k]
            h = scale * x[first + s] / (mean * mean)
            for k in range(K):
                u[s, k] = h * R[j, k]
            for a in range(K):
                z[s, a] = 0.0
                for b in range(K):
                    z[s, a] += inverse[i, a, b] * u[s, b]
        for s in range(n):
            j = column[first + s]
            for t in range(s, n):
                c = column[first + t]
                met = 0.0
                for k in range(K):
                    met += z[s, k] * u[t, k]
                low, high = (j, c) if j <= c else (c, j)
                for a in range(K):
                    for b in range(K):
                        S[low * K + a, high * K + b] -= met * pair[a, b]


def _brought_back(start, column, x, L, R, scale, inverse, covariance):
    K, widest = L.shape[1], 0
    for i in range(len(start) - 1):
        widest = max(widest, start[i + 1] - start[i])
    made, u, w = np.zeros((len(start) - 1, K)), np.empty((widest, K)), np.empty(K)
    inner, pair = np.empty((K, K)), np.empty((K, K))
    for i in range(len(start) - 1):
        first, n = start[i], start[i + 1] - start[i]
        inner[:] = 0.0  # U_i^T (covariance) U_i
        for a in range(K):
            for b in range(K):
                pair[a, b] = L[i, a] * L[i, b]
        for s in range(n):
            j = column[first + s]
            mean = 0.0
            for k in range(K):
                mean += L[i, k] * R[j, k]
            h = scale * x[first + s] / (mean * mean)
            for k in range(K):
                u[s, k] = h * R[j, k]
        for s in range(n):
            j = column[first + s]
            w[:] = 0.0
            for t in range(n):
                c = column[first + t]
                met = 0.0
                for a in range(K):
                    for b in range(K):
                        met += pair[a, b] * covariance[j * K + a, c * K + b]
                for k in range(K):
                    w[k] += met * u[t, k]
            for a in range(K):
                for b in range(K):
                    inner[a, b] += u[s, a] * w[b]
        for a in range(K):
            for b in range(K):
                for k in range(K):
                    made[i, a] += inverse[i, a, b] * inner[b, k] * inverse[i, k, a]
    return made

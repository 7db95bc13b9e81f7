"""Covariance of spectra by a dense inverse, literally."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def jacobian(C: Array, S: Array) -> Array:
    """Of M_ij = Σ_k C_ik S_jk by all entries of C and S, (n·m, n·K + m·K)."""
    (n, K), m = C.shape, len(S)
    J = np.zeros((n, m, n * K + m * K))
    for k in range(K):
        for i in range(n):
            J[i, :, i * K + k] = S[:, k]
        for j in range(m):
            J[:, j, n * K + j * K + k] = C[:, k]
    return J.reshape(n * m, -1)


def literal_covariance(C: Array, S: Array, D: Array) -> Array:
    """Of all entries of S, (m·K, m·K), X ≈ C Sᵀ, all of C and S varying; `D` (n, m) bends.

    Entries at 0 are held, columns of S move at right angles to themselves.
    """
    n, K = C.shape
    free = np.concatenate([C.ravel(), S.ravel()]) > 0
    J = jacobian(C, S)[:, free]
    rules = []
    for k in range(K):
        along = np.zeros_like(S)
        along[:, k] = S[:, k]
        rules.append(np.concatenate([np.zeros(n * K), along.ravel()])[free])
    Z = np.linalg.svd(np.array(rules))[2][K:].T
    made = np.zeros((len(free), len(free)))
    made[np.ix_(free, free)] = Z @ np.linalg.solve(Z.T @ (J.T * D.ravel()) @ J @ Z, Z.T)
    return made[n * K :, n * K :]

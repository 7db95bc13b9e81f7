"""Compiled passes over counts: each count is read once, nothing of their number is stored.

For M = L Rᵀ and ℓ = −x ln m on the counts alone. A pass goes by the rows of L (counts sorted by
row); by the rows of R it is the same pass over the transpose. The counts of a row are taken in
parts: what they need of R is gathered side by side, and all that follows runs over counts at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from fusion.algebra.compiling import installed as installed
from fusion.likelihood.compiling import PART, compiled, fall, gather
from fusion.likelihood.kernels_of_many import products_of_many, slopes_of_many

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Numbers of components that kernels are compiled for; others are padded with zeros."""


class Kernels(NamedTuple):
    """For one number of components; all take rows a … b − 1 and release the interpreter."""

    bend: (
        Any  # gradient and curvature of every row; returns Σ ℓ of these rows where it is asked for
    )
    slopes: Any  # gradient of both factors where asked for, that of R added up; returns Σ ℓ
    products: Any  # curvature times a direction of both factors, that of R added up


def padded(K: int) -> int:
    """The number of components that kernels for K have."""
    return next((size for size in SIZES if size >= K), K)


@cache
def kernels(K: int) -> Kernels:
    """The passes for K components, K from `padded`; above the sizes, and of 0, those for any K."""
    if K in SIZES:
        return Kernels(_bend(K), _slopes(K), _products(K))
    return Kernels(_bend(0), slopes_of_many(), products_of_many())


def _bend(K: int) -> Any:
    P = K * (K + 1) // 2

    def bend(start, column, x, L, R, a, b, gradient, curvature, with_loss):
        k_of = K if K else L.shape[1]
        pairs = P if K else k_of * (k_of + 1) // 2
        near, counts = np.empty((k_of, PART)), np.empty(PART)
        m, q, w = np.empty(PART), np.empty(PART), np.empty(PART)
        g, h, loss = np.empty(k_of), np.empty(pairs), 0.0
        for i in range(a, b):
            g[:] = 0.0
            h[:] = 0.0
            begin, end = start[i], start[i + 1]
            while begin < end:
                n = min(PART, end - begin)
                gather(column, x, R, begin, n, near, counts, k_of)
                for t in range(n):
                    mean = 0.0
                    for k in range(k_of):
                        mean += L[i, k] * near[k, t]
                    m[t] = mean
                    inverse = 1.0 / mean
                    q[t] = counts[t] * inverse
                    w[t] = q[t] * inverse
                p = 0
                for k in range(k_of):
                    total = 0.0
                    for t in range(n):
                        total += q[t] * near[k, t]
                    g[k] -= total
                    for l in range(k + 1):  # noqa: E741
                        total = 0.0
                        for t in range(n):
                            total += w[t] * near[k, t] * near[l, t]
                        h[p] += total
                        p += 1
                if with_loss:
                    loss -= fall(counts, m, n)
                begin += n
            for k in range(k_of):
                gradient[i, k] = g[k]
            for p in range(pairs):
                curvature[i, p] = h[p]
        return loss

    return compiled(bend)


def _slopes(K: int) -> Any:
    def slopes(start, column, x, L, R, a, b, gradient, other, with_slopes):
        near, counts = np.empty((K, PART)), np.empty(PART)
        m, q, loss = np.empty(PART), np.empty(PART), 0.0
        for i in range(a, b):
            if with_slopes:
                for k in range(K):
                    gradient[i, k] = 0.0
            begin, end = start[i], start[i + 1]
            while begin < end:
                n = min(PART, end - begin)
                gather(column, x, R, begin, n, near, counts, K)
                for t in range(n):
                    mean = 0.0
                    for k in range(K):
                        mean += L[i, k] * near[k, t]
                    m[t] = mean
                    q[t] = counts[t] / mean
                loss -= fall(counts, m, n)
                if with_slopes:
                    for k in range(K):
                        total = 0.0
                        for t in range(n):
                            total += q[t] * near[k, t]
                        gradient[i, k] -= total
                    for t in range(n):
                        c = column[begin + t]
                        for k in range(K):
                            other[c, k] -= q[t] * L[i, k]
                begin += n
        return loss

    return compiled(slopes)


def _products(K: int) -> Any:
    def products(start, column, x, L, R, dL, dR, a, b, moved, other, whole):
        near, moving = np.empty((K, PART)), np.empty((K, PART))
        h, q, counts = np.empty(PART), np.empty(PART), np.empty(PART)
        for i in range(a, b):
            for k in range(K):
                moved[i, k] = 0.0
            begin, end = start[i], start[i + 1]
            while begin < end:
                n = min(PART, end - begin)
                gather(column, x, R, begin, n, near, counts, K)
                gather(column, x, dR, begin, n, moving, counts, K)
                for t in range(n):
                    mean, change = 0.0, 0.0
                    for k in range(K):
                        mean += L[i, k] * near[k, t]
                        change += dL[i, k] * near[k, t] + L[i, k] * moving[k, t]
                    inverse = 1.0 / mean
                    q[t] = counts[t] * inverse
                    h[t] = q[t] * inverse * change
                for k in range(K):
                    total = 0.0
                    for t in range(n):
                        total += h[t] * near[k, t]
                    moved[i, k] += total
                for t in range(n):
                    c = column[begin + t]
                    for k in range(K):
                        other[c, k] += h[t] * L[i, k]
                if whole:  # the slope −x / m meets both directions
                    for k in range(K):
                        total = 0.0
                        for t in range(n):
                            total += q[t] * moving[k, t]
                        moved[i, k] -= total
                    for t in range(n):
                        c = column[begin + t]
                        for k in range(K):
                            other[c, k] -= q[t] * dL[i, k]
                begin += n

    return compiled(products)

"""Compiled passes over counts: each count is read once, nothing of their number is stored.

For M = L Rᵀ and ℓ = −x ln m on the counts alone. A pass goes by the rows of L (counts sorted by
row); by the rows of R it is the same pass over the transpose. The counts of a row are taken in
parts: what they need of R is gathered side by side, and all that follows runs over counts at once.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Numbers of components that kernels are compiled for; others are padded with zeros."""
PART = 64
"""Counts of a row that are taken together: all they need stays in the first cache."""
WHOLE = 0.9
"""Reach up to which a whole step may be made: it leaves every mean a tenth of what it was."""
ROUNDING = 1e-8
TINY = 1e-300
MATHS = {"contract", "reassoc", "nsz", "arcp"}
"""What the compiler may do with sums and products; infinities and what is no number stay."""


class Kernels(NamedTuple):
    """For one number of components; all take rows a … b − 1 and release the interpreter."""

    bend: (
        Any  # gradient and curvature of every row; returns Σ ℓ of these rows where it is asked for
    )
    slopes: Any  # gradient of both factors, that of R added up, and Σ ℓ
    newton: Any  # bounded Newton step of every row
    products: Any  # Gauss–Newton product with a direction of both factors, that of R added up


def padded(K: int) -> int:
    """The number of components that kernels for K have."""
    return next((size for size in SIZES if size >= K), K)


@cache
def installed() -> bool:
    """Whether numba is there, which compiles them (extra `fast`)."""
    return find_spec("numba") is not None


@cache
def kernels(K: int) -> Kernels:
    """The passes for K components, K from `padded`; above the sizes one that takes any K."""
    size = K if K in SIZES else 0
    return Kernels(_bend(size), _slopes(size), _newton(size), _products(size))


def compiled(function: Any) -> Any:
    """Compiled at the first call, kept on disk where a folder can be written."""
    from numba import njit

    options = {"nogil": True, "fastmath": MATHS, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in
        return njit(**options)(function)


def _bend(K: int) -> Any:
    P = K * (K + 1) // 2

    def bend(start, column, x, L, R, a, b, gradient, curvature, with_loss):
        k_of = K if K else L.shape[1]
        pairs = P if K else k_of * (k_of + 1) // 2
        near = np.empty((k_of, PART))
        m, q, w = np.empty(PART), np.empty(PART), np.empty(PART)
        g, h = np.empty(k_of), np.empty(pairs)
        loss, product = 0.0, 1.0
        for i in range(a, b):
            g[:] = 0.0
            h[:] = 0.0
            begin, end = start[i], start[i + 1]
            while begin < end:
                n = min(PART, end - begin)
                for k in range(k_of):
                    for t in range(n):
                        near[k, t] = R[k, column[begin + t]]
                for t in range(n):
                    mean = 0.0
                    for k in range(k_of):
                        mean += L[i, k] * near[k, t]
                    m[t] = mean
                    inverse = 1.0 / mean
                    q[t] = x[begin + t] * inverse
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
                    for t in range(n):
                        # one logarithm for many single counts
                        if x[begin + t] == 1.0 and m[t] > 0.0:
                            product *= m[t]
                            if product < 1e-150 or product > 1e150:
                                loss -= np.log(product)
                                product = 1.0
                        elif m[t] > 0.0:
                            loss -= x[begin + t] * np.log(m[t])
                        else:
                            loss = np.inf
                begin += n
            for k in range(k_of):
                gradient[i, k] = g[k]
            for p in range(pairs):
                curvature[i, p] = h[p]
        return loss - np.log(product)

    return compiled(bend)


def _slopes(K: int) -> Any:
    def slopes(start, column, x, L, R, a, b, gradient, other):
        k_of = K if K else L.shape[1]
        near = np.empty((k_of, PART))
        m, q = np.empty(PART), np.empty(PART)
        loss, product = 0.0, 1.0
        for i in range(a, b):
            for k in range(k_of):
                gradient[i, k] = 0.0
            begin, end = start[i], start[i + 1]
            while begin < end:
                n = min(PART, end - begin)
                for k in range(k_of):
                    for t in range(n):
                        near[k, t] = R[k, column[begin + t]]
                for t in range(n):
                    mean = 0.0
                    for k in range(k_of):
                        mean += L[i, k] * near[k, t]
                    m[t] = mean
                    q[t] = x[begin + t] / mean
                for k in range(k_of):
                    total = 0.0
                    for t in range(n):
                        total += q[t] * near[k, t]
                    gradient[i, k] -= total
                for t in range(n):
                    for k in range(k_of):
                        other[column[begin + t], k] -= q[t] * L[i, k]
                    if x[begin + t] == 1.0 and m[t] > 0.0:
                        product *= m[t]
                        if product < 1e-150 or product > 1e150:
                            loss -= np.log(product)
                            product = 1.0
                    elif m[t] > 0.0:
                        loss -= x[begin + t] * np.log(m[t])
                    else:
                        loss = np.inf
                begin += n
        return loss - np.log(product)

    return compiled(slopes)


def _products(K: int) -> Any:
    def products(start, column, x, L, R, dL, dR, a, b, moved, other):
        k_of = K if K else L.shape[1]
        near, moving = np.empty((k_of, PART)), np.empty((k_of, PART))
        h = np.empty(PART)
        for i in range(a, b):
            for k in range(k_of):
                moved[i, k] = 0.0
            begin, end = start[i], start[i + 1]
            while begin < end:
                n = min(PART, end - begin)
                for k in range(k_of):
                    for t in range(n):
                        near[k, t] = R[k, column[begin + t]]
                        moving[k, t] = dR[k, column[begin + t]]
                for t in range(n):
                    mean, change = 0.0, 0.0
                    for k in range(k_of):
                        mean += L[i, k] * near[k, t]
                        change += dL[i, k] * near[k, t] + L[i, k] * moving[k, t]
                    h[t] = x[begin + t] * change / (mean * mean)
                for k in range(k_of):
                    total = 0.0
                    for t in range(n):
                        total += h[t] * near[k, t]
                    moved[i, k] += total
                for t in range(n):
                    for k in range(k_of):
                        other[column[begin + t], k] += h[t] * L[i, k]
                begin += n

    return compiled(products)


def _newton(K: int) -> Any:
    def newton(x, gradient, curvature, a, b, least, sweeps, inner, into):
        k_of = K if K else x.shape[1]
        h, d = np.empty((k_of, k_of)), np.empty(k_of)
        for i in range(a, b):
            p, largest = 0, 0.0
            for k in range(k_of):
                d[k] = 0.0
                for l in range(k + 1):  # noqa: E741
                    h[k, l] = curvature[i, p]
                    h[l, k] = curvature[i, p]
                    p += 1
                largest = max(largest, h[k, k])
            flat = largest * 2.3e-16 + TINY
            first = 0.0
            for sweep in range(sweeps):  # coordinate descent within the bounds
                change = 0.0
                for k in range(k_of):
                    slope = gradient[i, k]
                    for l in range(k_of):  # noqa: E741
                        slope += h[k, l] * d[l]
                    if h[k, k] > flat:
                        new = max(d[k] - slope / h[k, k], -x[i, k])
                    else:  # nothing bends: a slope leads to the bound, or nowhere
                        new = -x[i, k] if slope > 0.0 else d[k]
                    change = max(change, abs(new - d[k]) * np.sqrt(h[k, k]))
                    d[k] = new
                if sweep == 0:
                    first = change
                if change <= inner * first:
                    break
            # how far the likelihood can be trusted to be what its curvature says
            bend, drop, far = 0.0, 0.0, 0.0
            for k in range(k_of):
                drop += gradient[i, k] * d[k]
                for l in range(k_of):  # noqa: E741
                    bend += d[k] * h[k, l] * d[l]
                if d[k] != 0.0 and h[k, k] > flat:
                    far = max(far, abs(d[k]) / x[i, k] if x[i, k] > 0.0 else np.inf)
            reach = min(far, np.sqrt(bend / least)) if least > 0.0 else far
            whole = reach <= WHOLE
            if whole and reach > ROUNDING:
                rest = bend / reach**2 * (reach + np.log1p(-reach))
                whole = drop <= rest  # what the slope promises exceeds what curvature can take
            step = 1.0 if whole else 1.0 / (1.0 + reach)
            for k in range(k_of):
                share = 1.0 if h[k, k] <= flat else step
                into[i, k] = max(x[i, k] + share * d[k], 0.0)

    return compiled(newton)

"""Bounded Newton steps of the rows of a factor, from their gradients and curvatures."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.threads import Workers
from fusion.likelihood.compiling import compiled
from fusion.likelihood.count_kernels import SIZES

Array = NDArray[np.float64]
BLOCKS, ROWS = 64, 2000
"""Ranges of rows that threads take, at most, and rows of each, at least."""
WHOLE = 0.9
"""Reach up to which a whole step may be made: it leaves every mean a tenth of what it was."""
ROUNDING = 1e-8
TINY = 1e-300


def newton_rows(
    x: Array,
    bends: tuple[Array, Array],
    least: float,
    workers: Workers,
    *,
    sweeps: int = 6,
    inner: float = 0.1,
) -> Array:
    """A bounded Newton step x ≥ 0 of every row that never raises its loss, (row, K).

    Coordinate descent on the K numbers of a row gives the step d within the bounds. −x ln m is
    self-concordant: by how much the curvature can change on the way is bounded by the largest
    relative change of an entry, or by λ = √(dᵀHd) over √(least weighted count), whichever is less;
    the whole step is made where that bound proves a descent, else the share 1 / (1 + bound) of it.

    Args:
        x: (row, K) ≥ 0, K padded.
        bends: gradient (row, K) and packed curvature (row, K (K + 1) / 2) there.
        least: smallest weighted count.
        workers: threads.
        sweeps: of coordinate descent, at most.
        inner: a row is done when one changes it by less than this share of the first.

    References:
        Nesterov & Nemirovskii, Interior-Point Polynomial Algorithms (1994), chapter 2.
    """
    run, rows, into = _kernel(x.shape[1]), len(x), np.empty_like(x)
    blocks = min(BLOCKS, max(1, rows // ROWS))
    bounds = np.linspace(0, rows, blocks + 1).astype(np.int64)

    def task(b: int) -> None:
        run(x, *bends, bounds[b], bounds[b + 1], least, sweeps, inner, into)

    workers.share(task, blocks)
    return into


@cache
def _kernel(K: int) -> Any:
    return _newton(K if K in SIZES else 0)


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

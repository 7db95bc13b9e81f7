"""Non-negative least squares row by row, compiled: nothing of the number of rows is stored."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.threads import shared_workers
from fusion.likelihood.compiling import compiled

ROWS = 16384
"""Rows that a thread takes at a time."""
TABLE = 10
"""Unknowns up to which inverses are kept of all sets that occur, where rows share one matrix."""


def pivoted(
    G: Tensor, b: Tensor, free: Tensor, full: int, most: int, slack: float
) -> tuple[Tensor, Tensor]:
    """min over x ≥ 0 of ½ xᵀ G x − bᵀ x for every row of b, by block principal pivoting.

    Args:
        G: (K, K), one for all rows, or (n, K, K); of unit diagonal, on a CPU, in double precision.
        b: (n, K).
        free: (n, K) bool, unknowns that are likely to be free.
        full: exchanges of all infeasible unknowns without progress, before the last one alone is
            exchanged; most: of any, after which a row may be only rounding away.
        slack: of the largest number of a row of b: what counts as zero.

    Returns:
        x (n, K), NaN where there is none, and which unknowns are free (n, K).
    """
    grams = np.ascontiguousarray((G if G.ndim == 3 else G[None]).detach().numpy())
    sides = np.ascontiguousarray(b.detach().numpy())
    x, held = np.empty_like(sides), free.detach().contiguous().clone().numpy()
    run = _kernel()

    def task(block: int) -> None:
        first = block * ROWS
        run(grams, sides, x, held, first, min(first + ROWS, len(sides)), full, most, slack)

    shared_workers().share(task, -(-len(sides) // ROWS))
    return torch.from_numpy(x), torch.from_numpy(held)


@cache
def _kernel() -> Any:
    from numba.extending import register_jitable

    for part in (by_root, inverse_of, table_of, pivot_rows):
        register_jitable(part)
    return compiled(_pivot_all)


def _pivot_all(G, b, x, free, first, end, full, most, slack):
    table, made = table_of(G, b.shape[1])
    pivot_rows(G, b, x, free, first, end, full, most, slack, table, made)


def table_of(G, K):
    """Room for the inverses of all sets that occur, and which are there; none where rows differ."""
    sets = 1 << K if len(G) == 1 and K <= TABLE else 0
    return np.empty((sets, K, K)), np.zeros(sets, np.bool_)


def pivot_rows(G, b, x, free, first, end, full, most, slack, table, made):
    """Rows first … end − 1 of x, and of which unknowns are free, which holds a guess.

    A set of unknowns is a number here, a bit for each. What is done for every row stands in line:
    arrays handed to other functions are counted, which takes longer than the products.
    """
    K = b.shape[1]
    kept = len(made) > 0
    places, root, side, z = np.empty(K, np.int64), np.empty((K, K)), np.empty(K), np.empty(K)
    c, r, y = np.empty(K), np.empty(K), np.empty(K)
    for i in range(first, end):
        at, zero, now = i if len(G) > 1 else 0, 0.0, 0
        for k in range(K):
            c[k] = b[i, k]
            now |= free[i, k] << k
            zero = max(zero, slack * abs(c[k]))
        fewest, patience, step = K + 1, full, 0
        while True:
            if not kept:
                for k in range(K):
                    side[k] = c[k]
                by_root(G, at, side, now, places, root, z)
                for k in range(K):
                    y[k] = z[k]
            else:
                if not made[now]:
                    inverse_of(G, now, places, root, side, z, table)
                    made[now] = True
                for k in range(K):
                    y[k], r[k] = 0.0, c[k]
                for j in range(K):
                    here = r[j]
                    for k in range(K):
                        y[k] += table[now, j, k] * here
                for k in range(K):  # an inverse alone is less exact than with one step more
                    r[k] = c[k]
                for j in range(K):
                    here = y[j]
                    for k in range(K):
                        r[k] -= G[at, j, k] * here
                for j in range(K):
                    here = r[j]
                    for k in range(K):
                        y[k] += table[now, j, k] * here
            for k in range(K):
                r[k] = c[k]
            for j in range(K):
                here = y[j]
                for k in range(K):
                    r[k] -= G[at, j, k] * here
            left, wrong, last = 0, 0, 0
            for k in range(K):
                bit = 1 << k
                beyond = y[k] if now & bit else -r[k]
                if beyond < -zero:
                    left, wrong, last = left + 1, wrong | bit, bit
            if left == 0:
                break
            patience = full if left < fewest else patience - 1
            fewest = min(left, fewest)
            now ^= wrong if patience >= 0 else last
            if step >= most:
                zero *= 10.0
            step += 1
        for k in range(K):
            x[i, k], free[i, k] = (0.0 if y[k] < 0.0 else y[k]), now >> k & 1


def inverse_of(G, free, places, root, unit, y, table):
    """Of G_FF, 0 elsewhere."""
    K = len(unit)
    for k in range(K):
        for j in range(K):
            unit[j] = 0.0
        unit[k] = free >> k & 1
        by_root(G, 0, unit, free, places, root, y)
        for j in range(K):
            table[free, k, j] = y[j]


def by_root(G, at, b, free, places, root, y):
    """y with (G y)_F = b_F and 0 elsewhere, by Cholesky; NaN where there is none."""
    n = 0
    for k in range(len(b)):
        y[k] = 0.0
        if free >> k & 1:
            places[n], n = k, n + 1
    for i in range(n):
        total = G[at, places[i], places[i]]
        for j in range(i):
            over = G[at, places[i], places[j]]
            for k in range(j):
                over -= root[i, k] * root[j, k]
            root[i, j] = over * root[j, j]
            total -= root[i, j] * root[i, j]
        root[i, i] = 1.0 / np.sqrt(total)
    for i in range(n):
        total = b[places[i]]
        for k in range(i):
            total -= root[i, k] * y[places[k]]
        y[places[i]] = total * root[i, i]
    for i in range(n - 1, -1, -1):
        total = y[places[i]]
        for k in range(i + 1, n):
            total -= root[k, i] * y[places[k]]
        y[places[i]] = total * root[i, i]

"""The one of a few points that is nearest to each of very many, compiled where numba is there."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.compiling import compiled, installed

Array = NDArray[Any]
MANY = 2**14
"""Points from which on compiling pays."""
TOGETHER = 16
"""Of the few, that are compared at a time."""


def nearest(points: Array, few: Array) -> Array:
    """The number of the nearest of `few` (m, k) for each of `points` (n, k); the first of alike."""
    if len(points) < MANY or not installed():
        from scipy.spatial import KDTree

        return np.asarray(KDTree(few).query(points)[1])
    n, k = points.shape
    padded = np.zeros((n, k + k % 2), np.float32)
    padded[:, :k] = points
    twice = np.zeros((k + k % 2, -(-len(few) // TOGETHER) * TOGETHER), np.float32)
    twice[:k, : len(few)] = 2 * few.T
    squares = np.full(twice.shape[1], np.inf, np.float32)  # of what is no point
    squares[: len(few)] = np.square(few).sum(1)
    made = np.zeros(n, np.int64)  # the first of them where a point is no number
    _kernel()(padded, twice, squares, made)
    return made


@cache
def _kernel() -> Any:
    return compiled(_nearest)


def _nearest(points, twice, squares, made):
    k, m = twice.shape
    apart = np.empty(m, np.float32)  # squared distances, but for what is the same for all
    for i in range(len(points)):
        for g in range(m):
            apart[g] = squares[g]
        for l in range(0, k, 2):  # noqa: E741
            a, b, one, two = points[i, l], points[i, l + 1], twice[l], twice[l + 1]
            for g in range(m):
                apart[g] -= one[g] * a + two[g] * b
        least, first = apart[0], 0
        for start in range(0, m, TOGETHER):
            part = apart[start : start + TOGETHER]
            here = part[0]
            for g in range(TOGETHER):
                here = part[g] if part[g] < here else here
            if here < least:
                least, first = here, start
        for g in range(first, first + TOGETHER):
            if apart[g] == least:
                made[i] = g
                break

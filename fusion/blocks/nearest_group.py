"""The group that is most like each of very many pixels, compiled where numba is there.

Pixels lie at the roots of their shares (Hellinger's distance). Those that have the same components
are more alike than any others, so that a pixel is held against the groups of its own kind alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.compiling import compiled, installed

Array = NDArray[Any]
NOTHING = 1e-9
"""Share below which a pixel does not have a component."""
APART = 3.0
"""Distance of pixels of which one alone has a component; shares are 2^½ apart at most."""
MANY = 2**11
"""Pixels from which on compiling pays, where blocks are read that have so many each."""
TOGETHER = 16
"""Groups that are compared at a time."""
BITS = 62
"""Components up to which those that a pixel has are one whole number."""


class Placed(NamedTuple):
    """Groups where they lie, and those that have the same components side by side.

    Attributes:
        places: (group, 2 K), as of pixels.
        kinds: in order; starts: where each begins, and the last ends.
        number: of the group at each place.
        twice: their coordinates twice, (2 K, place), K up to whole fours.
        squares: Σ of their squares, (place,).
    """

    places: Array
    kinds: Array
    starts: Array
    number: Array
    twice: Array
    squares: Array

    @classmethod
    def of(cls, groups: Array) -> Placed:
        """Of counts of the components in each group, (group, K) ≥ 0."""
        few = _placed(groups)
        return cls(few, *_by_kind(few))


def nearest(amounts: Array, groups: Placed) -> Array:
    """The number of the group that is nearest to each pixel, (pixel,); the first of alike.

    Args:
        amounts: counts of the components in each pixel, (pixel, K) ≥ 0.
        groups: where these lie.
    """
    if len(amounts) < MANY or amounts.shape[1] > BITS or not installed():
        from scipy.spatial import KDTree

        return np.asarray(KDTree(groups.places).query(_placed(amounts))[1])
    made = np.zeros(len(amounts), np.int64)
    _kernel()(np.ascontiguousarray(amounts, np.float64), *groups[1:], made)
    return made


def _placed(amounts: Array) -> Array:
    """Where pixels lie, (pixel, 2 K): roots of shares, and apart where there is no component."""
    total = amounts.sum(1, keepdims=True)
    shares = amounts / np.where(total > 0, total, 1)
    return np.hstack([np.sqrt(shares), APART * (shares <= NOTHING)])


def _by_kind(few: Array) -> tuple[Array, ...]:
    """Groups that have the same components side by side, as `Placed` has them."""
    K = few.shape[1] // 2
    kind = (few[:, K:] > 0) @ (1 << np.arange(K))
    kinds, sizes = np.unique(kind, return_counts=True)
    number = np.argsort(kind, kind="stable")
    twice = np.zeros((2, -(-K // 4) * 4, len(few)), np.float32)
    twice[:, :K] = 2 * few[number].T.reshape(2, K, -1)
    squares = np.square(few[number]).sum(1).astype(np.float32)
    return kinds, np.append(0, np.cumsum(sizes)), number, twice.reshape(-1, len(few)), squares


@cache
def _kernel() -> Any:
    return compiled(_nearest)


def _nearest(amounts, kinds, starts, number, twice, squares, made):
    width, m = len(twice) // 2, len(squares)
    at, off = np.zeros(2 * width, np.float32), np.empty(m + TOGETHER, np.float32)
    for i in range(len(amounts)):
        total, kind = 0.0, 0
        for k in range(amounts.shape[1]):
            total += amounts[i, k]
        for k in range(amounts.shape[1]):
            share = amounts[i, k] / total if total > 0.0 else amounts[i, k]
            nothing = share <= NOTHING
            at[k] = np.sqrt(share)
            at[width + k] = APART if nothing else 0.0
            kind |= nothing << k
        low, high = 0, len(kinds)
        while low < high:
            middle = (low + high) // 2
            if kinds[middle] < kind:
                low = middle + 1
            else:
                high = middle
        first, n, own = 0, m, 2 * width
        if low < len(kinds) and kinds[low] == kind:
            first, n, own = starts[low], starts[low + 1] - starts[low], width
        sizes = squares[first : first + n]
        for g in range(n):  # squared distances, but for what is the same for all
            off[g] = sizes[g]
        for k in range(0, own, 4):
            a, b, c, d = at[k], at[k + 1], at[k + 2], at[k + 3]
            one, two = twice[k, first : first + n], twice[k + 1, first : first + n]
            three, four = twice[k + 2, first : first + n], twice[k + 3, first : first + n]
            for g in range(n):
                off[g] -= one[g] * a + two[g] * b + (three[g] * c + four[g] * d)
        off[n : n + TOGETHER] = np.inf
        least, place = off[0], 0
        for start in range(0, n, TOGETHER):
            part = off[start : start + TOGETHER]
            here = part[0]
            for g in range(TOGETHER):
                here = part[g] if part[g] < here else here
            if here < least:
                least, place = here, start
        for g in range(place, min(place + TOGETHER, n)):
            if off[g] == least:
                made[i] = number[first + g]
                break

"""How passes over counts are compiled, and what all of them share."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fusion.algebra.compiling import compiled as plainly_compiled

PART = 128
"""Counts of a row that are taken together: all they need stays in the first cache."""
ROOT_HALF, LN_2 = 0x3FE6A09E667F3BCD, 0.6931471805599453
"""√½ as a computer writes it in 64 bits, and ln 2."""


def compiled(function: Any) -> Any:
    """Compiled at the first call, with what kernels of counts share."""
    _parts_in_line()
    return plainly_compiled(function)


@cache
def _parts_in_line() -> None:
    """What kernels share becomes a part of each: calls would keep it from running at once."""
    from numba.extending import register_jitable

    for part in (gather, fall):
        register_jitable(inline="always")(part)


def gather(column, x, R, begin, n, near, counts, k_of):
    """Counts begin … begin + n − 1, and their rows of R side by side."""
    for t in range(n):
        c = column[begin + t]
        for k in range(k_of):
            near[k, t] = R[c, k]
        counts[t] = x[begin + t]


def fall(counts, m, n):
    """Σ x ln m; −∞ where a mean is not positive, or no number.

    By the series of 2 artanh in s = (f − 1) / (f + 1), m = 2^e f, f from √½ to √2: |s| ≤ 0.172, so
    that ten terms are exact to rounding. In line it runs over counts at once, as calls do not.
    """
    total, wrong = 0.0, 0
    for t in range(n):
        bits = np.float64(m[t]).view(np.int64)
        power = (bits - ROOT_HALF) >> 52
        f = np.int64(bits - (power << 52)).view(np.float64)
        s = (f - 1.0) / (f + 1.0)
        z = s * s
        y = 1 / 21
        y = y * z + 1 / 19
        y = y * z + 1 / 17
        y = y * z + 1 / 15
        y = y * z + 1 / 13
        y = y * z + 1 / 11
        y = y * z + 1 / 9
        y = y * z + 1 / 7
        y = y * z + 1 / 5
        y = y * z + 1 / 3
        total += counts[t] * (power * LN_2 + 2 * s + 2 * s * z * y)
        wrong += 0 if 0.0 < m[t] < np.inf else 1
    return total if wrong == 0 else -np.inf

"""Compiled products of a dense array with factors of few columns: converted as it is read."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.compiling import compiled, installed
from fusion.forms import compiled_reading
from fusion.forms.compiled_reading import NARROW, in_order, in_parts

Array = NDArray[Any]
LARGE, LOADED = 2**28, 2**25
"""Values from which on compiling pays where they are not narrow: a fit that loads what compiles
takes 120 MB more; where that is loaded already, fewer are enough."""
MOST = {torch.float32: 8, torch.float64: 24}
"""Columns of a factor up to which products are compiled: of more, converting first is faster."""
HELD: dict[torch.dtype, tuple[torch.dtype, ...]] = {
    torch.float32: (*NARROW, torch.float32),
    torch.float64: (*NARROW, torch.float32, torch.int32, torch.float64),
}
"""Types that the precision of a factor holds exactly."""
LANES, PART = 4, 256
"""Columns, or rows, that are read together; rows that are added up in the factor's precision."""


def multiplies(array: Tensor, factor: Tensor) -> bool:
    """Whether a product of an array (row, column) with a factor of few columns is one of these.

    torch takes twice as long: it converts first.
    """
    if array.dtype not in HELD.get(factor.dtype, ()) or array.device.type != "cpu":
        return False
    wide = LOADED if "numba" in sys.modules else LARGE
    least = compiled_reading.MANY if array.dtype in NARROW else wide
    few = factor.shape[1] <= MOST[factor.dtype]
    return few and array.is_contiguous() and array.numel() >= least and installed()


def product(array: Tensor, B: Tensor) -> Tensor:
    """X B in the precision of B: (column, n) → (row, n)."""
    turned, x = _turned(B), array.numpy()
    made = np.empty((len(x), B.shape[1]), turned.dtype)
    kernel = _products()[0]

    def task(first: int, end: int) -> None:
        kernel(x[first:end], turned, made[first:end])

    in_parts(len(x), task)
    return torch.from_numpy(made)


def product_back(array: Tensor, G: Tensor) -> Tensor:
    """Xᵀ G, sums over many rows in double precision: (row, n) → (column, n)."""
    turned, x, parts = _turned(G), array.numpy(), {}
    kernel = _products()[1]

    def task(first: int, end: int) -> None:
        parts[first] = np.zeros((len(turned), x.shape[1]))
        kernel(x[first:end], np.ascontiguousarray(turned[:, first:end]), parts[first])

    in_parts(len(x), task)
    return torch.from_numpy(in_order(parts)[: G.shape[1]].T)


def _turned(B: Tensor) -> Array:
    """(n, row) with zeros up to whole lanes."""
    values = B.detach().numpy()
    made = np.zeros((-(-B.shape[1] // LANES) * LANES, B.shape[0]), values.dtype)
    made[: B.shape[1]] = values.T
    return made


@cache
def _products() -> tuple[Any, Any]:
    """X B and Xᵀ G, in the precision of what they multiply with."""
    from numba.extending import register_jitable

    for part in (add_back, hand_over):
        register_jitable(part)
    return compiled(meet), compiled(meet_back)


def meet(x, right, made):
    """X B of some rows: `right` is Bᵀ with zeros up to whole lanes, `made` (row, n)."""
    kind, (rows, p) = right.dtype.type, x.shape
    for i in range(0, rows, 2):
        # loops begin at zero, of rows taken before: only those are turned into vectors
        one, two = x[i], x[min(i + 1, rows - 1)]
        for k in range(0, len(right), 4):
            r, s, t, u = right[k], right[k + 1], right[k + 2], right[k + 3]
            a, b, c, d = kind(0), kind(0), kind(0), kind(0)
            e, f, g, h = kind(0), kind(0), kind(0), kind(0)
            for j in range(p):
                v, w = kind(one[j]), kind(two[j])
                a, b, c, d = a + v * r[j], b + v * s[j], c + v * t[j], d + v * u[j]
                e, f, g, h = e + w * r[j], f + w * s[j], g + w * t[j], h + w * u[j]
            some, other = (a, b, c, d), (e, f, g, h)
            for l in range(min(4, made.shape[1] - k)):  # noqa: E741
                made[i, k + l] = some[l]
                if i + 1 < rows:
                    made[i + 1, k + l] = other[l]


def meet_back(x, left, total):
    """Xᵀ G of some rows, added to `total`: `left` is Gᵀ with zeros up to whole lanes."""
    room = np.zeros(total.shape, left.dtype)
    for begin in range(0, len(x), PART):
        end = min(begin + PART, len(x))
        add_back(x[begin:end], left[:, begin:end], room)
        hand_over(room, total)


def add_back(x, left, room):
    """The same of a few rows, added up in the precision of G."""
    kind, (rows, p) = left.dtype.type, x.shape
    whole = rows // 4 * 4
    for i in range(0, whole, 4):
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        for k in range(0, len(left), 4):
            a, b, c, d = left[k], left[k + 1], left[k + 2], left[k + 3]
            a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
            b0, b1, b2, b3 = b[i], b[i + 1], b[i + 2], b[i + 3]
            c0, c1, c2, c3 = c[i], c[i + 1], c[i + 2], c[i + 3]
            d0, d1, d2, d3 = d[i], d[i + 1], d[i + 2], d[i + 3]
            r, s, t, u = room[k], room[k + 1], room[k + 2], room[k + 3]
            for j in range(p):
                v0, v1 = kind(x0[j]), kind(x1[j])
                v2, v3 = kind(x2[j]), kind(x3[j])
                r[j] += (v0 * a0 + v1 * a1) + (v2 * a2 + v3 * a3)
                s[j] += (v0 * b0 + v1 * b1) + (v2 * b2 + v3 * b3)
                t[j] += (v0 * c0 + v1 * c1) + (v2 * c2 + v3 * c3)
                u[j] += (v0 * d0 + v1 * d1) + (v2 * d2 + v3 * d3)
    for i in range(whole, rows):
        for k in range(len(left)):
            for j in range(p):
                room[k, j] += kind(x[i, j]) * left[k, i]


def hand_over(room, total):
    """What a few rows add up to, added to what all do."""
    for k in range(len(room)):
        own, of_all = room[k], total[k]
        for j in range(len(own)):
            of_all[j] += own[j]
    room[:] = room.dtype.type(0)

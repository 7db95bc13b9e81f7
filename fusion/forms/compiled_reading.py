"""Compiled passes over a dense array: every value is converted as it is read, none is copied."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.compiling import compiled, installed
from fusion.algebra.threads import shared_workers

Array = NDArray[Any]
ROWS = 4096
"""Rows that a thread takes at a time; what they add up to does not depend on who takes them."""
MANY = 2**20
"""Values from which on compiling pays."""
MOST = 16
"""Columns of a factor up to which products are compiled: of more, converting first is faster."""
LANES, PART, TOGETHER = 4, 256, 512
"""Columns, or rows, that are read together; rows, and channels, that are added up in single
precision."""
NARROW = torch.uint8, torch.int8, torch.uint16, torch.int16
"""Types that are converted as they are read, exactly."""


def serves(array: Tensor) -> bool:
    """Whether an array (row, column) is read by these."""
    narrow = array.dtype in NARROW and array.device.type == "cpu" and array.is_contiguous()
    return narrow and array.numel() >= MANY and installed()


def product(array: Tensor, B: Tensor) -> Tensor:
    """X B in single precision: (column, n) → (row, n)."""
    made = np.empty((array.shape[0], B.shape[1]), np.float32)
    turned, x = _turned(B), array.numpy()

    def task(first: int, end: int) -> None:
        _kernels()[0](x[first:end], turned, made[first:end])

    _in_parts(len(x), task)
    return torch.from_numpy(made)


def product_back(array: Tensor, G: Tensor) -> Tensor:
    """Xᵀ G, sums over many rows in double precision: (row, n) → (column, n)."""
    turned, x, parts = _turned(G), array.numpy(), {}

    def task(first: int, end: int) -> None:
        parts[first] = np.zeros((len(turned), x.shape[1]))
        _kernels()[1](x[first:end], np.ascontiguousarray(turned[:, first:end]), parts[first])

    _in_parts(len(x), task)
    return torch.from_numpy(_in_order(parts)[: G.shape[1]].T)


def sums(array: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_j c_j x_ij², (row,), and Σ_i x_ij, (column,); double precision."""
    x, weights = array.numpy(), np.ascontiguousarray(c.double().numpy())
    squares, parts = np.empty(len(x)), {}

    def task(first: int, end: int) -> None:
        parts[first] = np.zeros(x.shape[1])
        _kernels()[2](x[first:end], weights, squares[first:end], parts[first])

    _in_parts(len(x), task)
    return torch.from_numpy(squares), torch.from_numpy(_in_order(parts))


def residual_squares(
    array: Tensor, L: Tensor, R: Tensor, c: Tensor | None, damped: float | None
) -> Tensor:
    """Σ_j c_j (x_ij − m_ij)² of M = L Rᵀ, each over max(m, 0) + `damped` where that is given.

    Each difference in single precision, which is much less than the noise of such values.

    Returns:
        (row,), double precision.
    """
    x, left, right = array.numpy(), _single(L), np.ascontiguousarray(_single(R).T)
    weights = np.ones(x.shape[1], np.float32) if c is None else _single(c)
    made, floor = np.empty(len(x)), np.float32(-1 if damped is None else damped)

    def task(first: int, end: int) -> None:
        _kernels()[3](x[first:end], left[first:end], right, weights, floor, made[first:end])

    _in_parts(len(x), task)
    return torch.from_numpy(made)


def _in_parts(rows: int, task: Callable[[int, int], None]) -> None:
    """The task on all rows, by as many threads as torch may have here."""

    def part(number: int) -> None:
        task(number * ROWS, min((number + 1) * ROWS, rows))

    count = -(-rows // ROWS)
    if torch.get_num_threads() > 1:
        shared_workers().share(part, count)
        return
    for number in range(count):
        part(number)


def _in_order(parts: dict[int, Array]) -> Array:
    """The sum of what parts add up to, the same however they were shared out."""
    total = parts[0]
    for first in sorted(parts)[1:]:
        total += parts[first]
    return total


def _single(values: Tensor) -> Array:
    return np.ascontiguousarray(values.detach().float().numpy())


def _turned(B: Tensor) -> Array:
    """(n, row) with zeros up to whole lanes."""
    made = np.zeros((-(-B.shape[1] // LANES) * LANES, B.shape[0]), np.float32)
    made[: B.shape[1]] = B.detach().numpy().T
    return made


@cache
def _kernels() -> tuple[Any, Any, Any, Any]:
    return tuple(map(compiled, (_meet, _meet_back, _add_up, _square)))  # type: ignore[return-value]


def _meet(x, right, made):
    p = x.shape[1]
    for i in range(len(x)):
        for k in range(0, len(right), 4):
            first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
            for begin in range(0, p, TOGETHER):
                a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for j in range(begin, min(begin + TOGETHER, p)):
                    value = np.float32(x[i, j])
                    a += value * right[k, j]
                    b += value * right[k + 1, j]
                    c += value * right[k + 2, j]
                    d += value * right[k + 3, j]
                first, second, third, fourth = first + a, second + b, third + c, fourth + d
            some = (first, second, third, fourth)
            for l in range(min(4, made.shape[1] - k)):  # noqa: E741
                made[i, k + l] = some[l]


def _meet_back(x, left, total):
    room, rows = np.empty(total.shape, np.float32), len(x)
    for begin in range(0, rows, PART):
        room[:] = np.float32(0)
        end = min(begin + PART, rows)
        whole = begin + (end - begin) // 4 * 4
        for i in range(begin, whole, 4):
            for k in range(len(left)):
                a, b, c, d = left[k, i], left[k, i + 1], left[k, i + 2], left[k, i + 3]
                for j in range(x.shape[1]):
                    one = np.float32(x[i, j]) * a + np.float32(x[i + 1, j]) * b
                    two = np.float32(x[i + 2, j]) * c + np.float32(x[i + 3, j]) * d
                    room[k, j] += one + two
        for i in range(whole, end):
            for k in range(len(left)):
                a = left[k, i]
                for j in range(x.shape[1]):
                    room[k, j] += np.float32(x[i, j]) * a
        for k in range(len(left)):
            for j in range(x.shape[1]):
                total[k, j] += room[k, j]


def _add_up(x, weights, squares, total):
    for i in range(len(x)):
        square = 0.0
        for j in range(x.shape[1]):
            value = np.float64(x[i, j])
            square += value * value * weights[j]
            total[j] += value
        squares[i] = square


def _square(x, left, right, weights, floor, made):
    m, zero = np.empty(x.shape[1], np.float32), np.float32(0)
    for i in range(len(x)):
        m[:] = zero
        for k in range(len(right)):
            a = left[i, k]
            for j in range(x.shape[1]):
                m[j] += a * right[k, j]
        total = zero
        if floor < zero:
            for j in range(x.shape[1]):
                off = np.float32(x[i, j]) - m[j]
                total += off * off * weights[j]
        else:
            for j in range(x.shape[1]):
                off = np.float32(x[i, j]) - m[j]
                total += off * off * weights[j] / (max(m[j], zero) + floor)
        made[i] = total

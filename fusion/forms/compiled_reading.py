"""Compiled passes over a dense array: every value is converted as it is read, none is copied."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.compiling import compiled, installed
from fusion.algebra.threads import shared_workers

Array = NDArray[Any]
ROWS = 4096
"""Rows that a thread takes at a time; what they add up to does not depend on who takes them."""
MANY = 2**16
"""Values from which on compiling pays, where blocks are read that have so many each."""
NARROW = torch.uint8, torch.int8, torch.uint16, torch.int16
"""Types that are converted as they are read, exactly."""


def serves(array: Tensor) -> bool:
    """Whether an array (row, column) is read by these."""
    narrow = array.dtype in NARROW and array.device.type == "cpu" and array.is_contiguous()
    return narrow and array.numel() >= MANY and installed()


def sums(array: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_j c_j x_ij², (row,), and Σ_i x_ij, (column,); double precision."""
    x, weights = array.numpy(), np.ascontiguousarray(c.double().numpy())
    squares, parts = np.empty(len(x)), {}

    def task(first: int, end: int) -> None:
        parts[first] = np.zeros(x.shape[1])
        _kernels()[0](x[first:end], weights, squares[first:end], parts[first])

    in_parts(len(x), task)
    return torch.from_numpy(squares), torch.from_numpy(in_order(parts))


class LookedOver(NamedTuple):
    """What one reading tells of an array beside a prediction M = L Rᵀ; double precision.

    Attributes:
        squares: Σ_j c_j (x_ij − m_ij)², (row,).
        damped: the same, each over max(m, 0) and what was given; None where nothing was.
        sums: what `sums` says; None where nobody asks.
    """

    squares: Tensor
    damped: Tensor | None
    sums: tuple[Tensor, Tensor] | None


def looked_over(
    array: Tensor, L: Tensor, R: Tensor, c: Tensor | None, damped: float | None, *, sums: bool
) -> LookedOver:
    """Each difference in single precision, which is much less than the noise of such values."""
    x, left, right = array.numpy(), _by_fours(L), np.ascontiguousarray(_by_fours(R).T)
    weights = np.ones(x.shape[1], np.float32) if c is None else _single(c)
    made, parts = np.empty((3, len(x))), {}
    floor = np.float32(-1 if damped is None else damped)

    def task(first: int, end: int) -> None:
        rows, total = slice(first, end), np.zeros(x.shape[1] * sums, np.int32)
        _kernels()[1](x[rows], left[rows], right, weights, floor, made[:, rows], total)
        parts[first] = total.astype(np.float64)

    in_parts(len(x), task)
    squares, over, own = map(torch.from_numpy, made)
    both = (own, torch.from_numpy(in_order(parts))) if sums else None
    return LookedOver(squares, None if damped is None else over, both)


def group_sums(array: Tensor, group: Array, groups: int) -> Array:
    """Rows added up to those of their groups.

    Args:
        array: (row, column), unsigned whole numbers; group: of each row, less than `groups`.

    Returns:
        (group, column), whole numbers.
    """
    x = array.numpy()
    largest = len(x) * np.iinfo(x.dtype).max
    total = np.zeros((groups, x.shape[1]), np.uint32 if largest < 2**32 else np.uint64)
    _kernels()[2](x, group, total)
    return total


def in_parts(rows: int, task: Callable[[int, int], None]) -> None:
    """The task on all rows, by as many threads as torch may have here."""

    def part(number: int) -> None:
        task(number * ROWS, min((number + 1) * ROWS, rows))

    count = -(-rows // ROWS)
    if torch.get_num_threads() > 1:
        shared_workers().share(part, count)
        return
    for number in range(count):
        part(number)


def in_order(parts: dict[int, Array]) -> Array:
    """The sum of what parts add up to, the same however they were shared out."""
    total = parts[0]
    for first in sorted(parts)[1:]:
        total += parts[first]
    return total


def _by_fours(values: Tensor) -> Array:
    """(row, K) in single precision, with zeros up to whole fours."""
    held = _single(values)
    more = -held.shape[1] % 4 if held.shape[1] else 4
    return np.pad(held, ((0, 0), (0, more))) if more else held


def _single(values: Tensor) -> Array:
    return np.ascontiguousarray(values.detach().float().numpy())


@cache
def _kernels() -> tuple[Any, ...]:
    return tuple(map(compiled, (_add_up, _look_over, _add_to_groups)))


def _add_up(x, weights, squares, total):
    for i in range(len(x)):
        square = 0.0
        for j in range(x.shape[1]):
            value = np.float64(x[i, j])
            square += value * value * weights[j]
            total[j] += value
        squares[i] = square


def _look_over(x, left, right, weights, floor, made, total):
    """Into the rows of `made`: squares, these damped, and those of the values; `total`: room for
    sums of as many rows of 16 bits as a thread takes, or none."""
    m, zero, last = np.zeros(x.shape[1], np.float32), np.float32(0), len(right) - 4
    for i in range(len(x)):
        row, of = x[i], left[i]
        for k in range(0, last, 4):
            a, b, c, d = of[k], of[k + 1], of[k + 2], of[k + 3]
            r, s, t, u = right[k], right[k + 1], right[k + 2], right[k + 3]
            if k == 0:
                for j in range(len(row)):
                    m[j] = (a * r[j] + b * s[j]) + (c * t[j] + d * u[j])
            else:
                for j in range(len(row)):
                    m[j] += (a * r[j] + b * s[j]) + (c * t[j] + d * u[j])
        a, b, c, d = of[last], of[last + 1], of[last + 2], of[last + 3]
        r, s, t, u = right[last], right[last + 1], right[last + 2], right[last + 3]
        square, damped, size = zero, zero, 0.0
        if floor < zero:
            for j in range(len(row)):
                mean = m[j] + ((a * r[j] + b * s[j]) + (c * t[j] + d * u[j]))
                off = np.float32(row[j]) - mean
                square += off * off * weights[j]
        else:
            for j in range(len(row)):
                mean = m[j] + ((a * r[j] + b * s[j]) + (c * t[j] + d * u[j]))
                off = np.float32(row[j]) - mean
                off = off * off * weights[j]
                square += off
                damped += off / ((mean if mean > zero else zero) + floor)
        if len(total):
            for j in range(len(row)):
                value = np.float64(row[j])
                size += value * value * np.float64(weights[j])
            for j in range(len(row)):
                total[j] += row[j]
        made[0, i], made[1, i], made[2, i] = square, damped, size


def _add_to_groups(x, group, total):
    for i in range(len(x)):
        row, own = x[i], total[group[i]]
        for j in range(len(row)):
            own[j] += row[j]

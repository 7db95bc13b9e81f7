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
        _kernels()[1](x[first:end], left[first:end], right, weights, floor, made[first:end])

    in_parts(len(x), task)
    return torch.from_numpy(made)


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


def _single(values: Tensor) -> Array:
    return np.ascontiguousarray(values.detach().float().numpy())


@cache
def _kernels() -> tuple[Any, ...]:
    return tuple(map(compiled, (_add_up, _square, _add_to_groups)))


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


def _add_to_groups(x, group, total):
    for i in range(len(x)):
        row, own = x[i], total[group[i]]
        for j in range(len(row)):
            own[j] += row[j]

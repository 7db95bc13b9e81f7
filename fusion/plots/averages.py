"""Means of neighbouring pixels, of images that have more than a figure can show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes, Axis

MANY = 1024
"""Pixels along an axis, above which means of neighbours are drawn."""

Array = NDArray[np.float64]


def few_enough(values: Array, axes: Axes) -> tuple[Array, Axes, tuple[int, int]]:
    """Means of neighbours where there are more than `MANY` pixels; what is NaN does not count.

    Args:
        values: (row, column, …); axes: of rows and columns.

    Returns:
        The means, their axes, and of how many rows and columns each is.
    """
    y, x = (-(-(a.size or 1) // MANY) if a.uniform else 1 for a in axes)
    if max(y, x) > 1:
        values = _means(values, (y, x))
    sizes = zip(axes, (y, x), values.shape, strict=False)
    return values, tuple(_coarser(a, n, size) for a, n, size in sizes), (y, x)


def say_means(panel: Any, by: tuple[int, int]) -> None:
    """Below an image, of how many pixels each of its pixels is the mean."""
    if max(by) > 1:
        panel.annotate(
            f"means of {by[0]} × {by[1]} pixels", (1.0, 0.0), (0, -2), "axes fraction",
            "offset points", ha="right", va="top", fontsize=6,
        )  # fmt: skip


def _coarser(axis: Axis, n: int, size: int) -> Axis:
    """The axis of means of n neighbours."""
    if n == 1:
        return axis
    middle = axis.offset + axis.scale * (n - 1) / 2
    return Axis(axis.name, axis.scale * n, middle, axis.units, size=size)


def _means(values: Array, by: tuple[int, int]) -> Array:
    """Means of neighbours along the first two axes, the last of what is left."""
    seen = np.isfinite(values)
    sums, counts = np.where(seen, values, 0.0), seen.astype(float)
    for i, n in enumerate(by):
        firsts = np.arange(0, values.shape[i], n)
        sums, counts = (np.add.reduceat(each, firsts, axis=i) for each in (sums, counts))
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)

"""Which components of two answers are the same, and how alike: spectral angle, correlation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.calls import checked_call

__all__ = ["match", "spectral_angle"]

Array = NDArray[np.float64]


@checked_call
def spectral_angle(a: ArrayLike, b: ArrayLike) -> Array:
    """Degrees between the columns of two arrays: 0 for the same shape, 90 for nothing in common.

    Exact also for small angles: 2 atan2(‖u − v‖, ‖u + v‖) of the unit columns u and v.

    Args:
        a: (n, K), or (n,) for one spectrum.
        b: the same, or (n,) for the angle of every column of a with one spectrum.

    Returns:
        (K,), over the rows that are finite in both; NaN where a column is zero.

    Raises:
        ValueError: if the shapes do not fit, or no row is finite in both.
    """
    u, v = (columns("`spectral_angle`: an array", x) for x in (a, b))
    if v.shape[1] not in (1, u.shape[1]):
        raise ValueError(
            f"`spectral_angle`: {u.shape[1]} and {v.shape[1]} columns: give one for one, or "
            "`match` them first."
        )
    rows = finite_rows("`spectral_angle`", u, v)
    return angle(u[rows], v[rows])


@checked_call
def match(
    a: ArrayLike | Mapping[str, ArrayLike], b: ArrayLike | Mapping[str, ArrayLike]
) -> NDArray[np.intp]:
    """For every component of a, the number of the same component of b; −1 where there is none.

    Args:
        a: (n, K), components in columns; or several such factors by name, matched together.
        b: the same, with its own number of components.

    Returns:
        (K,), of whole numbers from 0: `b[:, match(a, b)]` has the order of a.

    Raises:
        ValueError: if the names or lengths differ, or no row is finite in both.
    """
    a, b = (x if isinstance(x, Mapping) else {"factor": x} for x in (a, b))
    if a.keys() != b.keys():
        raise ValueError(
            f"`match`: factors {', '.join(a)} and {', '.join(b)}: give both the same names."
        )
    x, y = ({f: columns(f"`match`: {f}", v) for f, v in side.items()} for side in (a, b))
    return match_with_sign(x, y, {f: finite_rows(f"`match`: {f}", x[f], y[f]) for f in x})[0]


def match_with_sign(
    a: dict[str, Array], b: dict[str, Array], rows: dict[str, NDArray[np.bool_]]
) -> tuple[NDArray[np.intp], Array]:
    """(partner in b of every component of a, its sign), by these rows of every factor."""
    from scipy.optimize import linear_sum_assignment

    cosines = np.stack([unit(x[rows[f]]).T @ unit(b[f][rows[f]]) for f, x in a.items()])
    alike = np.abs(cosines).mean(0)
    i, j = linear_sum_assignment(-alike)
    partners, sign = np.full(len(alike), -1), np.ones(len(alike))
    partners[i] = np.where(alike[i, j] == 0, -1, j)
    sign[i] = np.where(cosines.sum(0)[i, j] < 0, -1.0, 1.0)
    return partners, sign


def finite_rows(what: str, a: Array, b: Array) -> NDArray[np.bool_]:
    """Which rows are finite in both."""
    if len(a) != len(b):
        raise ValueError(
            f"{what}: {len(a)} and {len(b)} rows: give both on the same pixels or channels."
        )
    rows = np.asarray(np.isfinite(a).all(1) & np.isfinite(b).all(1))
    if not rows.any():
        raise ValueError(
            f"{what}: none of {len(rows)} rows is finite in both: leave out what is NaN."
        )
    return rows


def angle(a: Array, b: Array) -> Array:
    """Degrees between columns; NaN where one is zero."""
    u, v = unit(a), unit(b)
    apart, together = np.linalg.norm(u - v, axis=0), np.linalg.norm(u + v, axis=0)
    return np.where(u.any(0) & v.any(0), np.degrees(2 * np.arctan2(apart, together)), np.nan)


def correlation(a: Array, b: Array) -> Array:
    """Pearson's correlation of columns; NaN where one is constant."""
    u, v = (x - x.mean(0) for x in (unit(a), unit(b)))
    constant = (np.linalg.norm(u, axis=0) < 1e-12) | (np.linalg.norm(v, axis=0) < 1e-12)
    return np.where(constant, np.nan, (unit(u) * unit(v)).sum(0))


def scale(a: Array, b: Array) -> Array:
    """Factors of the columns of b that bring them closest to those of a."""
    size = _one_for_zero(np.abs(b).max(0))
    return (a * (b / size)).sum(0) / _one_for_zero(np.square(b / size).sum(0)) / size


def unit(a: Array) -> Array:
    """Columns of norm 1, also where their squares would over- or underflow; zero stays zero."""
    a = a / _one_for_zero(np.abs(a).max(0))
    return a / _one_for_zero(np.linalg.norm(a, axis=0))


def _one_for_zero(sizes: Array) -> Array:
    return np.where(sizes == 0, 1.0, sizes)


def columns(what: str, values: Any) -> Array:
    """Columns (n, K) of anything array-like."""
    array = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.dtype.kind not in "fiub" or array.size == 0:
        kind = type(values).__name__ if array.dtype.kind in "OUS" else array.dtype
        raise ValueError(
            f"{what} is {kind} of shape {array.shape}: give real numbers (n, K), "
            "components in columns."
        )
    return array.astype(float)

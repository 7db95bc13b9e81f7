"""One field of view on other pixels: binned, shifted, blurred; a linear map of a factor's rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import pi, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes, Axis, as_axes
from fusion.algebra.calls import checked_call
from fusion.algebra.units import in_units

COVERED = 0.5
"""Share of an entry that must lie inside the other's field of view."""


@checked_call
def resample(
    values: Tensor,
    of: Axis | Axes,
    to: Axis | Axes,
    *,
    shift: float | Sequence[float] = 0.0,
    blur: float | Sequence[float] = 0.0,
) -> Tensor:
    """The values as a detector with other pixels sees them: means over what each pixel covers.

    For `forward`: `fu.cp(fu.resample(self.C, eels.pixels, edxs.pixels), self.S_edxs)`, maps of a
    fine scan seen by a coarse one. It is one small matrix an axis, so the prediction stays a
    product of factors. Every pixel is a box as wide as the step of its axis; at the border a blur
    sees what is inside. A mean, not a sum: a pixel of four that counts four times as much has
    spectra four times as large. Spectra on other channels work alike, with `.channels`.

    Args:
        values: (n, K), a factor over `of`.
        of: the axes that it runs along, such as `eels.pixels`.
        to: those of the detector that is predicted, as many and in units that convert.
        shift: the entry at x of `to` looks at x + shift; one number, or one an axis, in `of`'s
            unit. Where each has its own origin, put the difference here.
        blur: standard deviation of what an entry of `to` sees, beside its box; likewise.

    Returns:
        (m, K), m entries of `to`.

    Raises:
        ValueError: if axes do not pair or convert, or an entry of `to` lies outside of `of`.
    """
    of, to = as_axes(of) or (), as_axes(to) or ()
    shifts, blurs = _each("shift", shift, of), _each("blur", blur, of)
    sizes = tuple(axis.size or 0 for axis in of)
    if len(of) != len(to) or not of:
        raise ValueError(
            f"`resample`: from {len(of)} axes to {len(to)}: give as many, in the same order."
        )
    if values.shape[0] != int(np.prod(sizes)):
        raise ValueError(
            f"`resample`: values of shape {tuple(values.shape)} for axes of sizes {sizes}: give "
            "the axes that the factor was built from."
        )
    grid = values.reshape(*sizes, *values.shape[1:])
    for d, pair in enumerate(zip(of, to, shifts, blurs, strict=True)):
        W = _tensor(*pair, values.device, values.dtype)
        grid = (W @ grid.movedim(d, -2)).movedim(-2, d)
    return grid.flatten(0, len(of) - 1)


@lru_cache(maxsize=64)
def _tensor(
    of: Axis, to: Axis, shift: float, blur: float, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """`matrix` where the values are, moved there once."""
    return torch.from_numpy(matrix(of, to, shift, blur)).to(device, dtype)


def _each(name: str, given: float | Sequence[float], axes: Axes) -> tuple[float, ...]:
    """One number for every axis."""
    numbers = tuple(float(x) for x in np.broadcast_to(np.asarray(given, dtype=float), len(axes)))
    if not np.isfinite(numbers).all() or (name == "blur" and min(numbers, default=0) < 0):
        raise ValueError(f"`resample({name}={given})`: give finite numbers, of a blur ≥ 0.")
    return numbers


def matrix(of: Axis, to: Axis, shift: float = 0.0, blur: float = 0.0) -> NDArray[np.float64]:
    """(entries of `to`, entries of `of`), rows that sum to one: shares of what an entry sees."""
    low, high = (edge[:, None] + shift for edge in _edges(in_units(to, of.units, "resample")))
    below, above = _edges(of)
    inside = _overlap(low, high, below, above, 0.0).sum(1) / (high - low)[:, 0]
    if inside.min() < COVERED - 1e-9:
        raise ValueError(
            f"`resample`: {int((inside < COVERED).sum())} of {len(inside)} entries of {to.name} "
            f"lie outside: it runs from {low.min():g} to {high.max():g} {of.units}"
            f"{' with the shift' if shift else ''}, the values from {below.min():g} to "
            f"{above.max():g}: crop it, or correct offset and shift."
        )
    seen = _overlap(low, high, below, above, blur)
    return seen / seen.sum(1, keepdims=True)


def _edges(axis: Axis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper edge of every entry."""
    x = axis.values
    if len(x) == 1:
        half = abs(axis.scale) / 2
        return x - half, x + half
    middle = (x[1:] + x[:-1]) / 2
    edges = np.concatenate([[x[0] - (middle[0] - x[0])], middle, [x[-1] + (x[-1] - middle[-1])]])
    return np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])


def _overlap(
    low: NDArray, high: NDArray, below: NDArray, above: NDArray, blur: float
) -> NDArray[np.float64]:
    """∫ over [low, high] of the box [below, above] blurred by a Gaussian."""
    made = _ramp(high - below, blur) - _ramp(low - below, blur)
    made = made - _ramp(high - above, blur) + _ramp(low - above, blur)
    return np.maximum(made, 0)


def _ramp(t: NDArray, blur: float) -> NDArray[np.float64]:
    """max(t, 0) blurred: the second integral of a Gaussian."""
    if blur == 0:
        return np.maximum(t, 0)
    from scipy.special import ndtr

    u = t / blur
    return t * ndtr(u) + blur * np.exp(-0.5 * u * u) / sqrt(2 * pi)

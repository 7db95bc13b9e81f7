"""Energy drift of a scan, and spectra without it: `drifts` and `align`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.cautions import CutWarning, users_line
from fusion.algebra.cubic import REACH, cubic
from fusion.data.array_input import fits_in_memory
from fusion.data.dataset import Dataset
from fusion.data.preparing import Window
from fusion.data.suited_threads import threads_suit_data
from fusion.prepare.energy_window import SpectraInWindow, spectra_in_window
from fusion.prepare.lazily import by_block, whole_spectra
from fusion.prepare.moved_spectra import (
    move_like,
    moved_spectra,
    places_of,
    steps_along,
)

Array = NDArray[np.float64]

ROUNDS = 10  # of the reference from the drifts, and the drifts from the reference, at most
STILL = 0.005  # channels: the drifts have settled
FINE = 4  # positions a channel that are looked at; a parabola tells the rest
CLEAR = 5.0  # standard deviations by which the feature stands out where its place is believed
SHARPER = 1.1  # times the variance of the mean spectrum, by which peaks tell a better start
PEAK = 20.0  # usual steps between channels by which a peak stands above its surroundings
STEPS = np.arange(1 - REACH, 1 + REACH)  # samples about a place between two
PART = 2048  # spectra that are looked at together


@threads_suit_data
def drifts(data: Dataset, window: Mapping[str, Window], name: str = "drifts") -> Array:
    """See `fusion.prepare.drifts`."""
    call = f"{name}({', '.join(f'{key}={part}' for key, part in window.items())})"
    return _drifts(data, spectra_in_window(data, window, call), call)


def _drifts(data: Dataset, view: SpectraInWindow, call: str) -> Array:
    """The drift of every pixel, of the shape of the scan, in channels."""
    scan = data.shape[:-1]
    drift = _peak_start(view)
    clear = np.ones(len(drift), dtype=bool)
    for _ in range(ROUNDS if len(drift) > 1 else 0):
        before = drift
        drift, clear = _best_shifts(view, _aligned_mean(view, drift))
        _check_drifts(drift, clear, view, call)
        drift = _fill_unclear(drift - np.median(drift[clear]), clear, scan)
        if np.abs(drift - before).max() < STILL:
            break
    if not clear.all():
        warnings.warn(
            f"`{call}`: {int((~clear).sum())} of {len(clear)} pixels show no clear feature: they "
            "are given the drift of the nearest pixel that does.",
            CutWarning,
            stacklevel=users_line(),
        )
    return drift.reshape(scan)


def _peak_start(view: SpectraInWindow) -> Array:
    """Where to begin: by the highest channel of every spectrum, where that makes a sharper mean.

    The mean of spectra that have drifted by more than the width of their peak shows no peak.
    """
    nothing = np.zeros(len(view.spectra))
    inside = view.spectra[:, view.inside]
    top, level = inside.max(1), np.median(inside, 1)
    step = np.median(np.abs(np.diff(inside, axis=1)))
    peaked = top - level > PEAK * step
    if len(nothing) < 2 or 2 * peaked.sum() < len(peaked):
        return nothing
    place = inside.argmax(1).astype(float)
    drift = np.where(peaked, place - np.median(place[peaked]), 0.0)
    if np.abs(drift).max() > view.reach - 1:
        return nothing
    flat, peak = (_aligned_mean(view, d)[view.inside] for d in (nothing, drift))
    return drift if peak.var() > SHARPER * flat.var() else nothing


@threads_suit_data
def align(data: Dataset, window: Mapping[str, Window], shifts: Any) -> Dataset:
    """See `Dataset.align`."""
    call, view = "align(shifts=…)", None
    if shifts is None:
        call = f"align({_text(window)})"
        view = spectra_in_window(data, window, call)
        shifts = _drifts(data, view, call)
    elif window:
        raise ValueError(f"`align(shifts=…, {_text(window)})`: 2 answers: give shifts or a window.")
    shifts = _checked_shifts(data, shifts, call)
    n = data.shape[-1]
    places = places_of(data.channels[0], np.array([shifts.min(), shifts.max()]))
    inside = np.flatnonzero((places[0] >= 0) & (places[1] <= n - 1))
    first, last = (int(inside[0]), int(inside[-1])) if inside.size else (0, 0)
    if last - first < 2:
        raise ValueError(
            f"`{call}`: the drift runs from {shifts.min():.1f} to {shifts.max():.1f} of {n} "
            "channels: nothing is left: choose a window with one clear feature."
        )
    kept = slice(first, last + 1)
    if view is not None:
        _check_feature_is_kept(data, view, shifts, kept, call)
        view = None  # before the data are moved
    axis = data.channels[0]
    hidden, variance = data.mask, data.variance
    if data.lazy is None:
        array: Any = _moved(data.numpy(), hidden, shifts, axis, kept)
    else:
        array = _moved_lazily(data, shifts, kept)
    if hidden is not None:
        _check_size(data, hidden, call)
        hidden = move_like(hidden.double(), data, shifts, 1)[..., _slice(kept, hidden)] > 0
    if variance is not None:
        _check_size(data, variance, call)
        variance = move_like(variance, data, shifts, 2)[..., _slice(kept, variance)]
    step = (
        f"{call}: drift from {shifts.min():.2f} to {shifts.max():.2f} channels, "
        f"{n - array.shape[-1]} channels cut off at the ends"
    )
    axes = (*data.pixels, axis.cut(kept))
    return data.derive(array, step, axes=axes, mask=hidden, variance=variance)


def _moved(X: NDArray, hidden: Any, shifts: Array, axis: Axis, kept: slice) -> NDArray:
    """Spectra without their drift, the channels that are kept; what is masked is 0 before."""
    kind = X.dtype if X.dtype in (np.float32, np.float64) else np.dtype(float)
    X = X if hidden is None else np.where(np.asarray(hidden), 0, X)
    moved = moved_spectra(X.reshape(-1, X.shape[-1]), axis, shifts.ravel())[:, kept].astype(kind)
    return moved.reshape(*X.shape[:-1], -1)


def _moved_lazily(data: Dataset, shifts: Array, kept: slice) -> Any:
    """The same when the data are read."""
    axis, array = data.channels[0], whole_spectra(data)
    kind = array.dtype if array.dtype in (np.float32, np.float64) else np.dtype(float)

    def of(block: NDArray, own: Array, hidden: NDArray[np.bool_] | None) -> NDArray:
        return _moved(block, hidden, own, axis, kept)

    mask = None if data.mask is None else data.mask.numpy()
    left = kept.stop - kept.start
    return by_block(of, array, shifts[..., None], mask, dtype=kind, channels=left)


def _check_size(data: Dataset, beside_it: torch.Tensor, call: str) -> None:
    """Say it where a mask or a variance of lazy data gets a value for every entry."""
    if data.lazy is None or (beside_it.shape[-1] == 1 and data.channels[0].uniform):
        return
    fits_in_memory(
        8 * prod(data.shape),
        lambda need, have: (
            f"`{call}`: channels of the mask or the variance of {data} move with every pixel: "
            f"{need}, the machine has {have}: align first, then mask channels or give variances."
        ),
    )


def _check_feature_is_kept(
    data: Dataset, view: SpectraInWindow, shifts: Array, kept: slice, call: str
) -> None:
    """Complain where what the spectra are aligned by lies in the channels that are cut off."""
    place = view.start + _feature(_aligned_mean(view, shifts.ravel())[view.inside])
    if not data.channels[0].uniform:
        place = float(np.interp(place, steps_along(data.channels[0]), np.arange(data.shape[-1])))
    if not kept.start <= place <= kept.stop - 1:
        raise ValueError(
            f"`{call}`: the feature is at channel {place:.0f}, and the drift, from "
            f"{shifts.min():.1f} to {shifts.max():.1f} channels, leaves channels {kept.start} to "
            f"{kept.stop - 1} of {data.shape[-1]}: it would be cut off itself. Align by a feature "
            "farther from the ends, or measure more channels before it."
        )


def _feature(mean: Array) -> float:
    """Where a feature is in a spectrum: the top of a peak, else the middle of its slopes."""
    top, below = int(mean.argmax()), 0.8 * mean.max() + 0.2 * mean.min()
    if mean[: top + 1].min() < below and mean[top:].min() < below:
        return float(top)
    slope = np.diff(mean) ** 2
    return 0.5 + float(slope @ np.arange(len(slope)) / max(slope.sum(), 1e-300))


def _text(window: Mapping[str, Window]) -> str:
    return ", ".join(f"{name}={part}" for name, part in window.items())


def _checked_shifts(data: Dataset, shifts: Any, call: str) -> Array:
    """What was given, checked."""
    if data.signal != 1:
        raise ValueError(f"`{call}`: {data} has {data.signal} signal axes: give spectra.")
    shifts, scan = np.asarray(shifts, dtype=float), data.shape[:-1]
    if shifts.shape != scan or not np.isfinite(shifts).all():
        raise ValueError(
            f"`{call}`: shifts of shape {shifts.shape}, {int((~np.isfinite(shifts)).sum())} of "
            f"them not finite; the pixels of {data} are {scan}: give one finite number of "
            "channels for every pixel."
        )
    return shifts


def _aligned_mean(view: SpectraInWindow, drift: Array) -> Array:
    """Mean of the spectra without their drift, (channel with margins)."""
    valid = np.broadcast_to(view.valid, view.spectra.shape)
    return _sum_ofmove_like(view.spectra, drift) / np.maximum(_sum_ofmove_like(valid, drift), 1e-9)


def _sum_ofmove_like(spectra: NDArray, drift: Array) -> Array:
    """Σ y(x + s) over the spectra, by cubic convolution: a line would blur what is sharp."""
    n, total = spectra.shape[1], np.zeros(spectra.shape[1])
    for start in range(0, len(spectra), PART):
        part = slice(start, start + PART)
        whole = np.floor(drift[part]).astype(int)
        t = (drift[part] - whole)[:, None]
        rows, index = np.arange(len(whole))[:, None], np.arange(n) + whole[:, None]
        weights = cubic(torch.from_numpy(t - STEPS)).numpy().T[:, :, None]
        for step, weight in zip(STEPS, weights, strict=True):
            total += (weight * spectra[part][rows, (index + step).clip(0, n - 1)]).sum(0)
    return total


def _best_shifts(view: SpectraInWindow, reference: Array) -> tuple[Array, NDArray[np.bool_]]:
    """(how far each spectrum lies behind the reference in channels, where that is clear).

    The shift s at which a·R(x − s) + b fits a spectrum y(x) in the window best, by least squares
    with weights 1 / (|R| + mean |R|) on all; a ≥ 0.
    """
    whole: Any = np.arange(-view.reach, view.reach + 1.0)
    coarse = _correlations(view, reference, whole)[0].argmax(1)
    low, high = float(whole[coarse.min()]) - 1, float(whole[coarse.max()]) + 1
    grid = np.arange(low * FINE, high * FINE + 1) / FINE
    score, spread = _correlations(view, reference, grid)
    rows, place = np.arange(len(score)), whole[coarse]
    # The fine maximum next to the coarse one.
    best = np.where(np.abs(grid - place[:, None]) <= 1, score, -np.inf).argmax(1)
    best = best.clip(1, len(grid) - 2)
    left, middle, right = (score[rows, best + i] for i in (-1, 0, 1))
    bend = left - 2 * middle + right
    vertex = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1.0), 0.0)
    left_over = np.maximum(spread - middle**2, 0.0) / max(view.window - 3, 1)
    clear = (middle > 0) & (spread > 0) & (middle**2 > CLEAR**2 * left_over)
    return grid[best] + vertex.clip(-1, 1) / FINE, clear


def _correlations(view: SpectraInWindow, reference: Array, shifts: Array) -> tuple[Array, Array]:
    """(correlation with the moved reference over its size, (pixel, shift); Σ w (y − ȳ)²)."""
    from scipy.interpolate import CubicSpline

    n = len(reference)
    x = np.arange(view.inside.start, view.inside.stop)
    R = CubicSpline(np.arange(n), reference)((x[:, None] - shifts).clip(0, n - 1))
    R -= R.mean()
    size = np.abs(reference[view.inside])
    w = 1.0 / (size + size.mean()) if size.any() else np.ones(len(x))
    score, spread = np.empty((len(view.spectra), len(shifts))), np.empty(len(view.spectra))
    for start in range(0, len(score), PART):
        part = slice(start, start + PART)
        y = view.spectra[part, view.inside]
        seen = view.valid[part if len(view.valid) > 1 else slice(None), view.inside] * w
        number = np.maximum(seen.sum(1, keepdims=True), 1e-300)
        rough = 1e-20 * (seen * y**2).sum(1)  # what rounding leaves of a constant
        y = y - (y * seen).sum(1, keepdims=True) / number
        mean = seen @ R / number
        norm = np.maximum(seen @ R**2 - number * mean**2, 0.0)
        score[part] = np.where(norm > 0, (y * seen) @ R, 0.0) / np.sqrt(np.where(norm > 0, norm, 1))
        spread[part] = (seen * y**2).sum(1)
        spread[part] *= spread[part] > rough
    return score, spread


def _check_drifts(drift: Array, clear: NDArray[np.bool_], view: SpectraInWindow, call: str) -> None:
    """Complain where there is nothing to follow, or where it leaves the window."""
    if 2 * clear.sum() < len(clear):
        raise ValueError(
            f"`{call}`: a feature stands out from the noise in {clear.sum()} of {len(clear)} "
            "spectra: choose a window that holds one clear feature in all, or bin first."
        )
    out = clear & (np.abs(drift) > view.reach - 1)
    if out.any():
        raise ValueError(
            f"`{call}`: {out.sum()} of {len(out)} spectra have drifted by {view.reach} channels or "
            f"more, half the window of {view.window}: give a wider window."
        )


def _fill_unclear(drift: Array, clear: NDArray[np.bool_], scan: tuple[int, ...]) -> Array:
    """With the drift of the nearest pixel where it is not clear."""
    from scipy.ndimage import distance_transform_edt

    if clear.all():
        return drift
    nearest: Any = distance_transform_edt(
        ~clear.reshape(scan), return_distances=False, return_indices=True
    )
    return drift.reshape(scan)[tuple(nearest)].ravel()


def _slice(kept: slice, array: torch.Tensor) -> slice:
    """The channels that are kept, of something that broadcasts."""
    return slice(None) if array.shape[-1] == 1 else kept

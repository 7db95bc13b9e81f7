"""Energy drift of a scan, and spectra without it: `drifts` and `align`."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.dataset import Dataset
from fusion.prepare import Window
from fusion.prepare.shape import place

Array = NDArray[np.float64]

ROUNDS = 4  # of the reference from the drifts, and the drifts from the reference
FINE = 20  # positions between two channels that are looked at; a parabola tells the rest
PART = 2048  # spectra that are moved at once


def drifts(data: Dataset, window: Mapping[str, Window]) -> Array:
    """See `fusion.prepare.drifts`."""
    spectra, _ = _windowed(data, window)
    scan = data.shape[: len(data.shape) - 1]
    if len(spectra) == 1:
        return np.zeros(scan)
    found = np.zeros(len(spectra))
    for _ in range(ROUNDS):
        reference = _move(spectra, found).mean(0)
        found = _lags(spectra, reference)
        found -= np.median(found)
    return found.reshape(scan)


def align(data: Dataset, window: Mapping[str, Window], shifts: Any) -> Dataset:
    """See `Dataset.align`."""
    if shifts is None:
        shifts = drifts(data, window)
        said = _said(window)
    else:
        _windowed(data, window)
        said = "shifts=…"
    scan, n = data.shape[:-1], data.shape[-1]
    shifts = np.asarray(shifts, dtype=float)
    if shifts.shape != scan or not np.isfinite(shifts).all():
        raise ValueError(
            f"`align({said})`: shifts of shape {shifts.shape}, the pixels of {data} are {scan}: "
            "give one finite number of channels for every pixel."
        )
    first, last = ceil(max(0.0, -shifts.min())), n - 1 - ceil(max(0.0, shifts.max()))
    if last - first < 2:
        raise ValueError(
            f"`align({said})`: the drift runs from {shifts.min():.1f} to {shifts.max():.1f} "
            f"of {n} channels: nothing is left: choose a window with one clear feature."
        )
    kept = slice(first, last + 1)
    X = data.numpy().reshape(-1, n).astype(float)
    moved = _move(X, shifts.ravel())[:, kept]
    mask, variance = data.mask, data.variance
    if mask is not None:
        mask = _carried(mask.double(), data, shifts)[..., kept] > 0
    if variance is not None:
        variance = _carried(variance, data, shifts, square=True)[..., kept]
    step = (
        f"align({said}): drift from {shifts.min():.2f} to {shifts.max():.2f} channels, "
        f"{n - (last + 1 - first)} channels cut off at the ends"
    )
    axes = (*data.pixels, data.channels[0].cut(kept))
    return data.derive(moved.reshape(*scan, -1), step, axes=axes, mask=mask, variance=variance)


def _said(window: Mapping[str, Window]) -> str:
    return ", ".join(f"{name}={part}" for name, part in window.items())


def _windowed(data: Dataset, window: Mapping[str, Window]) -> tuple[Array, slice]:
    """((pixel, channel of the window) in float64, the window)."""
    call = f"align({_said(window)})"
    if data.signal != 1:
        raise ValueError(f"`{call}`: {data} has {data.signal} signal axes: give spectra.")
    part = slice(0, data.shape[-1])
    for name, (low, high) in window.items():
        i = place(data, name, call)
        if i != len(data.shape) - 1:
            raise ValueError(
                f"`{call}`: spectra are moved along {data.axes[-1].name}: give a window of it."
            )
        try:
            part = data.axes[-1].window(low, high)
        except ValueError as error:
            raise ValueError(f"`{call}`: {error}") from None
    if part.stop - part.start < 8:
        raise ValueError(
            f"`{call}`: {part.stop - part.start} channels in the window: give eight or more."
        )
    X = data.numpy().reshape(-1, data.shape[-1])[:, part].astype(float)
    if data.mask is not None:
        keep = (~data.mask.expand(data.shape)).numpy().reshape(-1, data.shape[-1])[:, part]
        X = np.where(keep, X, 0.0)
    return X, part


def _lags(spectra: Array, reference: Array) -> Array:
    """How far each spectrum lies behind the reference, in channels, (pixel,).

    The peak of the cross-correlation of what differs from each mean: first on the channels, then on
    a fine grid around it by its Fourier sum, then by a parabola.
    """
    n = len(reference)
    size = 2 * n
    taper = np.hanning(n + 2)[1:-1] ** 0.25  # ends that do not match count for little
    ours = np.fft.rfft((spectra - spectra.mean(1, keepdims=True)) * taper, size)
    cross = ours * np.fft.rfft((reference - reference.mean()) * taper, size).conj()
    whole = np.fft.irfft(cross, size)
    most = n // 2
    candidates = np.concatenate([np.arange(0, most + 1), np.arange(-most, 0)])
    coarse = candidates[whole[:, candidates].argmax(1)].astype(float)
    grid = np.arange(-FINE, FINE + 1) / FINE
    frequency = np.arange(cross.shape[1]) / size
    twist = np.exp(2j * np.pi * frequency[:, None] * grid)  # (frequency, fine position)
    weights = np.where((np.arange(cross.shape[1]) % (size // 2)) == 0, 1.0, 2.0)
    turned = cross * weights * np.exp(2j * np.pi * frequency * coarse[:, None])
    fine = (turned @ twist).real
    best = fine.argmax(1).clip(1, len(grid) - 2)
    rows = np.arange(len(best))
    low, middle, high = (fine[rows, best + i] for i in (-1, 0, 1))
    bend = low - 2 * middle + high
    vertex = np.where(bend < 0, 0.5 * (low - high) / np.where(bend < 0, bend, 1.0), 0.0)
    return coarse + grid[best] + vertex.clip(-1, 1) / FINE


def _move(spectra: Array, shifts: Array) -> Array:
    """Spectra moved back by their drift, by linear interpolation; the ends are repeated."""
    n = spectra.shape[1]
    moved = np.empty_like(spectra)
    for start in range(0, len(spectra), PART):
        part = slice(start, start + PART)
        whole = np.floor(shifts[part]).astype(int)
        share = (shifts[part] - whole)[:, None]
        index = np.arange(n) + whole[:, None]
        rows = np.arange(len(whole))[:, None]
        here = spectra[part][rows, index.clip(0, n - 1)]
        moved[part] = (1 - share) * here + share * spectra[part][rows, (index + 1).clip(0, n - 1)]
    return moved


def _carried(
    array: torch.Tensor, data: Dataset, shifts: Array, *, square: bool = False
) -> torch.Tensor:
    """A mask or a variance moved with the data: variances by the squares of the weights."""
    full = array.expand(data.shape).numpy().reshape(-1, data.shape[-1]).astype(float)
    n, flat = full.shape[1], shifts.ravel()
    whole = np.array([floor(s) for s in flat])
    share = (flat - whole)[:, None]
    rows, index = np.arange(len(full))[:, None], np.arange(n) + whole[:, None]
    left, right = (1 - share, share) if not square else ((1 - share) ** 2, share**2)
    moved = left * full[rows, index.clip(0, n - 1)] + right * full[rows, (index + 1).clip(0, n - 1)]
    return torch.from_numpy(moved.reshape(data.shape))

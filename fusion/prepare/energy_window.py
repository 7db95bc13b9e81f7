"""The part of spectra in which their drift is looked for: a window with a margin around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.data.array_input import fits_in_memory
from fusion.data.count_value import value_of_a_count
from fusion.data.dataset import Dataset
from fusion.data.preparing import Window
from fusion.prepare.chosen_pixels import mask_of_pixels, spectra_in_parts
from fusion.prepare.crop_bin import by_axis_index, index_range
from fusion.prepare.moved_spectra import interpolated, steps_along

Array = NDArray[np.float64]

FEWEST = 8  # channels of a window
PART = 2048  # spectra that are looked at together


class SpectraInWindow(NamedTuple):
    """What is compared: spectra with a margin around the window, 0 where masked."""

    spectra: Array  # (pixel, channel of the window and its margins)
    valid: Array  # (pixel or 1, same) 1 where there are data
    inside: slice  # the window among these channels
    reach: int  # channels, that a drift is looked for on either side
    start: int  # of the window, among all channels

    @property
    def window(self) -> int:
        return self.inside.stop - self.inside.start


def spectra_in_window(data: Dataset, window: Mapping[str, Window], call: str) -> SpectraInWindow:
    """The spectra in the window and as far around it as a drift may reach."""
    if data.signal != 1:
        raise ValueError(f"`{call}`: {data} has {data.signal} signal axes: give spectra.")
    n, axis, part = data.shape[-1], len(data.shape) - 1, slice(None)
    for i, given in by_axis_index(data, window, call).items():
        if i != axis:
            raise ValueError(
                f"`{call}`: spectra are moved along {data.axes[-1].name} ({n} channels): "
                "give a window of it."
            )
        part = index_range(data, i, given, call)
    start, stop, _ = part.indices(n)
    if not data.channels[0].uniform:
        ends = np.rint(steps_along(data.channels[0])[[start, stop - 1]]).astype(int)
        start, stop = int(ends.min()), int(ends.max()) + 1
    if stop - start < FEWEST:
        raise ValueError(f"`{call}`: {stop - start} channels in the window: give {FEWEST} or more.")
    reach = (stop - start) // 2
    low, high = max(start - reach, 0), min(stop + reach, n)
    X, valid = _read_window(data, low, high, call)
    _check_counts(data, X[:, start - low : stop - low], call)
    valid = np.ones((1, X.shape[1])) if valid.all() else valid.astype(float)
    return SpectraInWindow(X, valid, slice(start - low, stop - low), reach, start)


def _read_window(data: Dataset, low: int, high: int, call: str) -> tuple[Array, NDArray[np.bool_]]:
    """(these channels of all spectra, 0 where there are no data; where there are some).

    Of lazy data they are read block by block, and held.
    """
    axis = data.channels[0]
    if data.lazy is None:
        X = data.numpy().reshape(data.matrix_shape)
        hidden = None if data.mask is None else data.mask.expand(data.shape).numpy()
        return _window_of(X, hidden, axis, low, high)
    pixels = data.matrix_shape[0]
    fits_in_memory(
        17 * pixels * (high - low),
        lambda need, have: (
            f"`{call}`: {need} of {high - low} channels of {data} are held, the machine has "
            f"{have}: give a narrower window, or shifts=…."
        ),
    )
    X, valid = np.zeros((pixels, high - low)), np.zeros((pixels, high - low), dtype=bool)
    for rows, values in spectra_in_parts(data, PART):
        hidden = None if data.mask is None else mask_of_pixels(data, rows)
        X[rows], valid[rows] = _window_of(values, hidden, axis, low, high)
    return X, valid


def _window_of(
    X: NDArray, hidden: NDArray[np.bool_] | None, axis: Axis, low: int, high: int
) -> tuple[Array, NDArray[np.bool_]]:
    """The same of spectra (pixel, channel)."""
    part = slice(low, high) if axis.uniform else slice(None)
    X = X[:, part].astype(float)
    valid = np.isfinite(X)
    if hidden is not None:
        valid &= ~hidden.reshape(len(X), -1)[:, part]
    X = np.where(valid, X, 0.0)
    if not axis.uniform:  # compared on an even axis, so that a drift in energy is one of all
        places = np.interp(np.arange(low, high), steps_along(axis), np.arange(len(axis.values)))
        X = interpolated(X, places[None])
        valid = interpolated(1.0 - valid, places[None]) == 0
        X = np.where(valid, X, 0.0)
    return X, valid


def _check_counts(data: Dataset, window: Array, call: str) -> None:
    """Complain of counts so few that every one of them would pass for the feature."""
    q = value_of_a_count(window if data.lazy is not None else data.numpy()) or 0.0
    if q and window.mean() < q:
        raise ValueError(
            f"`{call}`: {window.mean() / q:.2g} counts a channel in the window: single counts show "
            "no feature, and X-ray spectra have no zero loss: choose a narrower window around a "
            "strong feature, bin pixels first, or give shifts=… of another detector."
        )

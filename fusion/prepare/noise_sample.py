"""Pixels from which the noise is told: chosen by the sums over all, then only they are read."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.data.dataset import Dataset
from fusion.data.tally import Tally, hidden_lines
from fusion.prepare.chosen_pixels import entries_of, spectra_of
from fusion.prepare.crop_bin import block_sums

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

ROWS = 2048  # pixels that are looked at, at most, spread over the scan
ENTRIES = 3 * 2**19  # of pixels and channels, at most: the scree has a dozen arrays of that size
RUN = 32  # pixels next to each other
FEWEST = 1.0  # mean counts of an entry below which neighbours are summed first
RARE = 0.3  # mean counts of a channel or pixel below which it is left out
CHANNELS, PIXELS = 128, 256  # are left by such sums, at least


class NoiseSample(NamedTuple):
    """Entries of which no pixel and no channel is empty.

    Attributes:
        values: (n, m), in units of one count where the data are counts.
        channels: which of the channels, after sums, these are.
        binned: how many neighbours were summed along every axis.
    """

    values: Array
    channels: NDArray[np.intp]
    binned: tuple[int, ...]


def noise_sample(data: Dataset, stats: Tally, count: float | None) -> NoiseSample:
    """Pixels spread over the scan, in runs of neighbours, so few that they fit in memory.

    Of counts so many neighbours are summed that an entry has one or more: where something was
    counted at all. What nothing was counted in tells nothing of the noise.

    Args:
        data: dense, lazy or sparse.
        stats: of them.
        count: what one count is worth; None where the data are no counts.
    """
    split = len(data.pixels)
    groups = [1] * len(data.shape)
    if count is not None:
        groups = _neighbours_to_sum(data, stats, float(stats.rows.sum()) / count)
    filled = _any_of_groups(stats.filled_columns.reshape(data.shape[split:]), groups[split:])
    clean, columns = _clean(data, stats, groups, filled.reshape(-1))
    chosen, mean = np.flatnonzero(clean), 0.0
    if len(chosen) and len(columns):
        room = max(ENTRIES // _number_of_likely(data, stats, groups, columns, count), RUN)
        if len(chosen) > (most := min(ROWS, room)):  # runs of neighbours, spread over the scan
            runs = np.array_split(chosen, most // RUN)
            chosen = np.concatenate([run[:RUN] for run in runs])
    X = _sums(data, chosen, columns, groups, count)
    X = X[np.isfinite(X).all(1)]
    if X.size and count is not None:  # channels of few counts are not near normal
        mean = float(X.mean())
        good = X.mean(0) >= min(RARE, 0.5 * mean)
        X, columns = X[:, good], columns[good]
        X = X[X.mean(1) >= min(RARE, 0.5 * X.mean())]
    if len(X):
        filled = X.any(0)  # pixels that were left out may have had all that was in a channel
        X, columns = X[:, filled], columns[filled]
    return NoiseSample(X, columns, tuple(groups))


def _neighbours_to_sum(data: Dataset, stats: Tally, total: float) -> list[int]:
    """How many neighbours to sum along every axis, so that an entry has a count or more.

    The mean is over pixels and channels in which something was counted: a peak in few channels of
    a long axis is no scarce spectrum.
    """
    split = len(data.pixels)
    rows, columns = _filled(data, stats)
    groups = [1] * len(data.shape)
    while True:
        pixels = _any_of_groups(rows, groups[:split])
        channels = int(_any_of_groups(columns, groups[split:]).sum())
        several, count = int(pixels.sum()), channels
        if total >= FEWEST * several * channels:
            return groups
        before = list(groups)
        if channels >= 2 * CHANNELS:
            groups[-1] *= 2
            count = int(_any_of_groups(columns, groups[split:]).sum())
        if total < FEWEST * several * count and several >= 2 * PIXELS:
            extents = [
                int(pixels.any(axis=tuple(j for j in range(split) if j != i)).sum())
                for i in range(split)
            ]
            groups[int(np.argmax(extents))] *= 2
        if groups == before:
            return groups


def _filled(data: Dataset, stats: Tally) -> tuple[Bools, Bools]:
    """(pixels, channels) in which there is something, of the shapes of scan and spectrum."""
    split = len(data.pixels)
    return (
        stats.filled_rows.reshape(data.shape[:split]),
        stats.filled_columns.reshape(data.shape[split:]),
    )


def _any_of_groups(flags: Bools, groups: Sequence[int]) -> Bools:
    """Whether any of so many neighbours is; what is over at the ends is left out."""
    for i, (n, g) in enumerate(zip(flags.shape, groups, strict=True)):
        if g > 1:
            flags = flags[(*[slice(None)] * i, slice(0, n - n % g))]
            shape = flags.shape
            split = flags.reshape(*shape[:i], n // g, g, *shape[i + 1 :])
            flags = np.asarray(split.any(axis=i + 1))
    return flags


def _clean(
    data: Dataset, stats: Tally, groups: Sequence[int], filled: Bools
) -> tuple[Bools, NDArray[np.intp]]:
    """(pixels of which all is known and some is not 0, channels of which some is), after sums."""
    split = len(data.pixels)
    coarse = [n // g for n, g in zip(data.shape, groups, strict=True)]
    n, m = prod(coarse[:split]), prod(coarse[split:])
    rows = _any_of_groups(stats.filled_rows.reshape(data.shape[:split]), groups[:split])
    clean, columns = rows.reshape(n), filled
    if data.entries is not None:
        pixels, channels = (
            _any_of_groups(hidden.reshape(shape), part).reshape(-1)
            for hidden, shape, part in zip(
                hidden_lines(data),
                (data.shape[:split], data.shape[split:]),
                (groups[:split], groups[split:]),
                strict=True,
            )
        )
        clean, columns = clean & ~pixels, columns & ~channels
    elif data.mask is not None:
        mask = data.mask.numpy()
        own = [g if size > 1 else 1 for g, size in zip(groups, mask.shape, strict=True)]
        mask = _any_of_groups(mask, own)
        if set(mask.shape[split:]) <= {1}:
            clean = clean & ~np.broadcast_to(mask, (*coarse[:split], *mask.shape[split:])).ravel()
        elif set(mask.shape[:split]) <= {1}:
            spectrum = mask.reshape(mask.shape[split:])
            columns = columns & ~np.broadcast_to(spectrum, coarse[split:]).ravel()
        else:
            hidden = np.broadcast_to(mask, coarse).reshape(n, m)
            columns = columns & ~hidden.all(0)
            clean = clean & ~hidden.all(1) & ~hidden[:, columns].any(1)
    if stats.broken_rows is not None:  # more than the channels that are broken everywhere
        everywhere = stats.broken_rows[stats.row_counts > 0].min(initial=data.matrix_shape[1])
        broken = (stats.broken_rows > everywhere).reshape(data.shape[:split])
        clean = clean & ~_any_of_groups(broken, groups[:split]).reshape(n)
    return clean, np.flatnonzero(columns)


def _number_of_likely(
    data: Dataset, stats: Tally, groups: Sequence[int], columns: NDArray, count: float | None
) -> int:
    """How many of the channels will be left, about."""
    if count is None:
        return len(columns)
    split = len(data.pixels)
    kept = tuple(slice(0, n - n % g) for n, g in zip(data.shape, groups, strict=True))
    sums = block_sums(stats.columns.reshape(data.shape[split:])[kept[split:]], list(groups[split:]))
    rows = int(_any_of_groups(_filled(data, stats)[0], groups[:split]).sum())
    means = sums.reshape(-1)[columns] / (count * max(rows, 1))
    return max(int((means >= min(RARE, 0.5 * float(means.mean()))).sum()), 1)


def _sums(
    data: Dataset,
    chosen: NDArray[np.intp],
    columns: NDArray[np.intp],
    groups: Sequence[int],
    count: float | None,
) -> Array:
    """Sums of the neighbours of these pixels and channels, read a part at a time."""
    split = len(data.pixels)
    place = np.full(data.matrix_shape[0], -1, dtype=np.int32)
    place[_members(data.shape[:split], groups[:split], chosen)] = np.arange(len(chosen))[:, None]
    X = np.zeros((len(chosen), len(columns)))
    if data.entries is not None:
        _add_entries(X, data, place, columns, groups[split:], count)
        return X
    for pixels, values in spectra_of(data, place >= 0):
        if not len(pixels):
            continue
        spectra: Any = _in_counts(values, count).reshape(len(pixels), *data.shape[split:])
        for i, (n, g) in enumerate(zip(data.shape[split:], groups[split:], strict=True)):
            spectra = spectra[(*[slice(None)] * (i + 1), slice(0, n - n % g))]
        spectra = block_sums(spectra, [1, *groups[split:]]).reshape(len(pixels), -1)[:, columns]
        order = np.argsort(place[pixels], kind="stable")
        rows, starts = np.unique(place[pixels][order], return_index=True)
        X[rows] += np.add.reduceat(spectra[order], starts, axis=0, dtype=np.float64)
    return X


def _add_entries(
    X: Array,
    data: Dataset,
    place: NDArray[np.int32],
    columns: NDArray[np.intp],
    groups: Sequence[int],
    count: float | None,
) -> None:
    """The same sums of sparse data: entries alone are read, as most of a map is empty."""
    shape = data.shape[len(data.pixels) :]
    of_channel = np.full(int(np.prod(shape)), -1)
    of_channel[_members(shape, groups, columns)] = np.arange(len(columns))[:, None]
    pixels = np.flatnonzero(place >= 0)
    for rows, channels, values in entries_of(data, pixels):
        at = of_channel[channels]
        here = at >= 0
        np.add.at(X, (place[pixels[rows]][here], at[here]), _in_counts(values[here], count))


def _in_counts(values: NDArray, count: float | None) -> NDArray:
    """What one count is taken for, as whole counts."""
    return values if count is None or count == 1.0 else np.rint(values / count)


def _members(shape: Sequence[int], groups: Sequence[int], chosen: NDArray) -> NDArray[np.intp]:
    """Numbers of the pixels that are summed for each of these, (chosen, pixel)."""
    if not shape:
        return np.zeros((len(chosen), 1), dtype=np.intp)
    coarse = [n // g for n, g in zip(shape, groups, strict=True)]
    numbers = np.zeros((len(chosen), 1), dtype=np.intp)
    for i, n, g in zip(np.unravel_index(chosen, coarse), shape, groups, strict=True):
        along = i[:, None] * g + np.arange(g)
        size = numbers.shape[1] * g
        numbers = (numbers[:, :, None] * n + along[:, None, :]).reshape(len(chosen), size)
    return numbers

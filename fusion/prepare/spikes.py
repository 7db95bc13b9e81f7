"""Outliers of one detector read-out: `remove_spikes`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.data.dataset import Dataset
from fusion.prepare.chosen_pixels import mask_of_pixels, spectra_at
from fusion.prepare.lazily import beside, check_blocks, whole_spectra

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

REACH = 3  # channels on either side, whose median is what is expected
ROUNDS = 3  # as the first value of a spectrum shows only when the second is mended
FEWEST = 4.0  # counts: below them the normal approximation of the noise is no guide
FLANK = 0.25  # of a spike's height, that the values on either side of it stay below
ROWS = 512  # pixels from which the noise is estimated, at most
FEW = 8  # pixels, below which one channel tells nothing of its noise
SPARSE = 0.05  # share of zeros from which floats may be sparse counts in another unit
PART = 1 << 22  # values that are looked at once


def remove_spikes(data: Dataset, threshold: float) -> Dataset:
    """See `Dataset.remove_spikes`."""
    call = f"remove_spikes(threshold={threshold!r})"
    if not isinstance(threshold, Real) or not threshold > 0:
        raise ValueError(f"`{call}`: the threshold must be positive, in standard deviations.")
    if data.signal != 1:
        raise ValueError(f"`{call}`: {data} has {data.signal} signal axes: give spectra.")
    if data.lazy is not None:
        check_blocks(data)
    noise = _noise_of(data)
    if data.lazy is not None:
        told = "values are replaced when they are read"
        return data.derive(_lazily(data, threshold, noise), f"{call}: {told}")
    hidden = None if data.mask is None else data.mask.expand(data.shape).numpy()
    values, replaced = _without_spikes(data.numpy(), hidden, threshold, noise)
    pixels = int(replaced.any(-1).sum())
    step = f"{call}: {int(replaced.sum())} values in {pixels} pixels replaced"
    return data.derive(values, step)


def _without_spikes(
    values: NDArray, hidden: Bools | None, threshold: float, noise: _Noise
) -> tuple[NDArray, Bools]:
    """(values with spikes replaced, where they were)."""
    values, replaced = np.array(values), np.zeros(values.shape, dtype=bool)
    for _ in range(ROUNDS):
        where, expected = find_spikes(values, hidden, threshold, noise)
        if not where[0].size:
            break
        replaced[where] = True
        whole = values.dtype.kind in "ui"
        values[where] = (np.rint(expected) if whole else expected).astype(values.dtype)
    return values, replaced


def _lazily(data: Dataset, threshold: float, noise: _Noise) -> Any:
    """The same block by block, each with as many neighbours as the rounds reach."""
    import dask.array as da

    array = whole_spectra(data)
    given = [array]
    if data.mask is not None:
        mask = beside(data.mask, array)
        given.append(da.broadcast_to(mask, array.shape, chunks=array.chunks))
    along = dict.fromkeys(range(array.ndim - 1), ROUNDS)
    return da.map_overlap(
        _without_spikes_of_block,
        *given,
        depth=[along] * len(given),
        boundary="none",
        dtype=array.dtype,
        meta=np.empty((0,) * array.ndim, array.dtype),
        threshold=threshold,
        noise=noise,
    )


def _without_spikes_of_block(
    block: NDArray, hidden: Bools | None = None, *, threshold: float, noise: _Noise
) -> NDArray:
    return _without_spikes(block, hidden, threshold, noise)[0]


def _noise_of(data: Dataset) -> _Noise:
    """From some spectra, spread over all; of lazy data only the blocks that hold them are read."""
    n = data.matrix_shape[0]
    chosen = np.linspace(0, n - 1, min(ROWS, n)).astype(int)
    if data.lazy is None:
        part = data.numpy().reshape(data.matrix_shape)[chosen]
    else:
        part = spectra_at(data, chosen)
    kind = data.lazy.dtype.kind if data.lazy is not None else part.dtype.kind
    hidden = None if data.mask is None else mask_of_pixels(data, chosen)
    noise = _Noise.of(part, hidden, kind)
    if data.variance is None:
        return noise
    # of sparse counts less a background the data tell little
    known = data.variance.reshape(-1, data.variance.shape[-1]).median(0).values
    return _Noise(noise.gain, np.maximum(noise.channel, known.sqrt().numpy()))


Where = tuple[NDArray[np.intp], ...]


def find_spikes(
    values: NDArray, hidden: Bools | None, threshold: float, noise: _Noise
) -> tuple[Where, Array]:
    """(where the spikes are, what stands in for each of them), spectra on the last axis.

    A spike is above the median of its neighbours in the spectrum, above the second largest of its
    neighbours in the scan, and no wider than two channels.
    """
    where = _candidates(values, hidden, (1 - FLANK) * threshold, noise)
    value = values[where].astype(float)
    near = _neighbours(values, hidden, where, np.arange(-REACH, REACH + 1))
    expected = _of_rows_with_values(np.nanmedian, near)
    flank = _flank_height(near)
    around = np.fmax(_level_in_neighbouring_pixels(values, hidden, where), expected)
    sd = noise.standard_deviation(around, where[-1])
    keep = (value - around > threshold * sd) & (flank - expected < FLANK * (value - expected))
    return tuple(index[keep] for index in where), expected[keep]


def _candidates(values: NDArray, hidden: Bools | None, threshold: float, noise: _Noise) -> Where:
    """Values that stand out from the lower of their two neighbours in the spectrum."""
    rows, n = values.reshape(-1, values.shape[-1]), values.shape[-1]
    least = threshold * noise.standard_deviation(np.full(n, -np.inf), np.arange(n))
    chosen, step = [], max(PART // n, 1)
    for start in range(0, len(rows), step):
        part = rows[start : start + step].astype(float)
        part[~np.isfinite(part)] = np.nan
        if hidden is not None:
            part[hidden.reshape(rows.shape)[start : start + step]] = np.nan
        padded = np.pad(part, ((0, 0), (1, 1)), constant_values=np.nan)
        row, channel = np.nonzero(part - np.fmin(padded[:, :-2], padded[:, 2:]) > least)
        chosen.append(np.ravel_multi_index((row + start, channel), rows.shape))
    return np.unravel_index(np.concatenate(chosen), values.shape)


def _neighbours(values: NDArray, hidden: Bools | None, where: Where, offsets: NDArray) -> Array:
    """Values this many channels away, (candidate, offset); NaN outside or masked."""
    n = values.shape[-1]
    channel = where[-1][:, None] + offsets
    index = (*(i[:, None] for i in where[:-1]), channel.clip(0, n - 1))
    gathered = values[index].astype(float)
    bad = (channel < 0) | (channel >= n) | ~np.isfinite(gathered)
    return np.where(bad if hidden is None else bad | hidden[index], np.nan, gathered)


def _flank_height(near: Array) -> Array:
    """The larger value on either side of a spike of one channel, or of two: the lowest of these."""
    far, left, _, right, other = np.nan_to_num(near, nan=-np.inf).T[REACH - 2 : REACH + 3]
    one, two = np.maximum(left, right), np.minimum(np.maximum(left, other), np.maximum(far, right))
    return np.minimum(one, two)


def _level_in_neighbouring_pixels(values: NDArray, hidden: Bools | None, where: Where) -> Array:
    """Second largest of the neighbouring pixels, the largest of up to three; NaN without any.

    Of each the largest of three channels, as spectra drift.
    """
    scan, levels = values.shape[:-1], []
    for offset in product((-1, 0, 1), repeat=len(scan)):
        if not any(offset):
            continue
        moved = [i + o for i, o in zip(where[:-1], offset, strict=True)]
        inside_scan = np.ones(len(where[-1]), dtype=bool)
        for i, n in zip(moved, scan, strict=True):
            inside_scan &= (i >= 0) & (i < n)
        index = (*(i.clip(0, n - 1) for i, n in zip(moved, scan, strict=True)), where[-1])
        near = _neighbours(values, hidden, index, np.arange(-1, 2))
        levels.append(np.where(inside_scan, np.fmax.reduce(near, axis=1), np.nan))
    if not levels:
        return np.full(len(where[-1]), np.nan)
    ordered = np.sort(levels, axis=0)  # NaN last
    number = np.isfinite(ordered).sum(0)
    rank = np.where(number > 3, number - 2, number - 1).clip(0)
    return ordered[rank, np.arange(ordered.shape[1])]


@dataclass(frozen=True)
class _Noise:
    """Variance at a level: the gain times it, but not less than that of its channel."""

    gain: float
    channel: Array  # (channel,) standard deviations

    @classmethod
    def of(cls, spectra: NDArray, hidden: Bools | None, kind: str) -> _Noise:
        """From what some spectra have above and below the median of their neighbours.

        Args:
            spectra: (pixel, channel); hidden: what of them is masked.
            kind: of the values as they are stored, "u" of counts.
        """
        from scipy.ndimage import median_filter

        part = spectra.astype(float)
        good = np.isfinite(part)
        if hidden is not None:
            good &= ~hidden
        part = np.where(good, part, 0.0)
        others = np.arange(-REACH, REACH + 1)[None] != 0  # a rising value is its own median
        smooth = median_filter(part, footprint=others, mode="mirror")
        off = np.where(good, np.abs(part - smooth), np.nan)
        mad = _of_rows_with_values(np.nanmedian, off.T if len(part) >= FEW else off.reshape(1, -1))
        spread = np.nan_to_num(np.broadcast_to(mad, spectra.shape[-1:]) / 0.6745)
        gain = _gain(np.median(smooth, axis=0), spread)
        return cls(max(gain, _value_of_one_count(part[good], kind)), spread)

    def standard_deviation(self, level: Array, channel: NDArray) -> Array:
        """Standard deviation of values at these levels in these channels."""
        counts = np.sqrt(self.gain * np.fmax(level, FEWEST * self.gain))
        return np.maximum(counts, self.channel[channel])


def _value_of_one_count(values: Array, kind: str) -> float:
    """The value of one count: 1 for integers, the smallest positive value of sparse data."""
    if kind in "ui":
        return 1.0
    sparse = (values == 0).sum() > SPARSE * values.size
    return float(values[values > 0].min(initial=np.inf)) if sparse and (values > 0).any() else 0.0


def _gain(level: Array, spread: Array) -> float:
    """Variance over level, the median of the channels with more level than noise; 0 if none."""
    used = level > spread
    return float(np.median(spread[used] ** 2 / level[used])) if used.any() else 0.0


def _of_rows_with_values(function, rows: Array) -> Array:
    """Of every row, NaN where it has nothing but NaN."""
    if not rows.size:
        return np.full(len(rows), np.nan)
    empty: Any = np.isnan(rows).all(1)
    return np.where(empty, np.nan, function(np.where(empty[:, None], 0.0, rows), axis=1))

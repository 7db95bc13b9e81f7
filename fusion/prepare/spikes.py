"""Outliers of one detector read-out: `remove_spikes`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.dataset import Dataset

Array = NDArray[np.float64]

NEIGHBOURS = 7  # channels, the middle one among them, whose median is what is expected
ROUNDS = 3  # as a spike may fill more than one channel
FEWEST = 4.0  # counts: below them the normal approximation of the noise is no guide


def remove_spikes(data: Dataset, threshold: float) -> Dataset:
    """See `Dataset.remove_spikes`."""
    call = f"remove_spikes(threshold={threshold:g})"
    if not threshold > 0:
        raise ValueError(f"`{call}`: the threshold must be positive, in standard deviations.")
    if data.signal != 1:
        raise ValueError(f"`{call}`: {data} has {data.signal} signal axes: give spectra.")
    values = np.array(data.numpy())
    found = np.zeros(values.shape, dtype=bool)
    for _ in range(ROUNDS):
        new, expected = spikes(values, threshold)
        if not new.any():
            break
        found |= new
        values[new] = expected.astype(values.dtype)
    pixels = int(found.reshape(-1, values.shape[-1]).any(-1).sum())
    step = f"{call}: {int(found.sum())} values in {pixels} pixels replaced"
    return data.derive(values, step)


def spikes(values: NDArray, threshold: float) -> tuple[NDArray[np.bool_], Array]:
    """(which values are spikes, what stands in for each of them), spectra on the last axis."""
    from scipy.ndimage import median_filter

    size = (1,) * (values.ndim - 1) + (min(NEIGHBOURS, values.shape[-1]),)
    smooth = median_filter(values, size=size, mode="nearest").astype(float)
    above = np.nan_to_num(values - smooth)
    noise = np.sqrt(_gain(above, smooth) * np.maximum(np.nan_to_num(smooth), FEWEST))
    candidates = np.argwhere(above > threshold * noise)
    chosen = [i for i in candidates if _alone(values, tuple(i), threshold, noise[tuple(i)])]
    found = np.zeros(values.shape, dtype=bool)
    if chosen:
        found[tuple(np.array(chosen).T)] = True
    return found, smooth[found]


def _gain(above: Array, smooth: Array) -> float:
    """Variance over level, from the median size of what lies above and below the smooth spectra."""
    level = np.abs(np.nan_to_num(smooth))
    used = level >= FEWEST
    if not used.any():
        return 1.0
    spread = np.median(np.abs(above[used]) / np.sqrt(level[used])) / 0.6745
    return max(float(spread**2), 1.0 if used.mean() < 0.5 else 1e-12)


def _alone(values: NDArray, index: tuple[int, ...], threshold: float, noise: float) -> bool:
    """Whether neighbouring pixels have nothing of the kind in this channel."""
    around = (*(slice(max(i - 1, 0), i + 2) for i in index[:-1]), index[-1])
    others = values[around].astype(float)
    if others.size < 3:  # a single spectrum: nothing to compare with
        return True
    return float(values[index]) - float(np.nanmedian(others)) > threshold * noise

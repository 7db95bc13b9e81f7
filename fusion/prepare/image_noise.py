"""The noise of images and of a few spectra, told by how far values lie from their neighbours."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusion.data.dataset import Dataset

FEWEST = 16
"""Differences of neighbours from which a variance is read, at least."""
NORMAL = 0.6745
"""Median of |z| of a normal z."""


def neighbour_variance(data: Dataset, neighbours: Literal["pixels", "channels"]) -> float:
    """Variance of a value, from second differences along all axes of the scan at once.

    What is smooth, an edge along an axis too, drops out of them; the median drops the rest. Of
    images with several channels the mean over these. Where channels are the neighbours, along the
    axes of the signal, the mean over pixels.

    Raises:
        ValueError: if there are too few neighbours.

    References:
        Immerkær, Comput. Vis. Image Underst. 64:300 (1996), with a median in place of the mean.
    """
    split = len(data.shape) - data.signal
    values = data.numpy().astype(float)
    if data.mask is not None:
        values = np.where(np.broadcast_to(data.mask.numpy(), values.shape), np.nan, values)
    if neighbours == "channels":
        values = np.moveaxis(values, range(split), range(-split, 0))
        split = values.ndim - split
    differences, size = values, 1.0
    for axis in range(split):
        if differences.shape[axis] >= 3:
            differences = np.diff(differences, 2, axis=axis)
            size *= 6.0  # 1² + 2² + 1²
    flat = differences.reshape(-1, int(np.prod(values.shape[split:])))
    few = int(np.isfinite(flat).sum(0).min()) if size > 1 and flat.size else 0
    if few < FEWEST:
        raise ValueError(
            f"`{data}`: {few} {neighbours} have neighbours on both sides, which is too few to tell "
            f"its noise: give variance=… (on the command line --variance {data.name}=…)."
        )
    return float(np.mean([_variance(column) for column in flat.T])) / size


def _variance(differences: NDArray[np.float64]) -> float:
    """By the median of absolute values; by squares where half of them are nothing."""
    d = differences[np.isfinite(differences)]
    return float(np.median(np.abs(d)) / NORMAL) ** 2 or float(np.mean(d**2))

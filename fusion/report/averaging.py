"""Neighbouring pixels and channels averaged, so that a page stays light."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array

from fusion.algebra.axis import Axes
from fusion.data.dataset import Dataset

Array = NDArray[Any]
PART = 2**21  # values that are read together
FINE, COARSE = 1024, 64  # channels, pixels of an axis, that are given up last
FEW = 8  # pixels along an axis up to which another is averaged alone


def bins_for(nav: Sequence[int], signal: Sequence[int], budget: int) -> tuple[int, ...]:
    """How many neighbours are averaged along every axis, so that `budget` values are left.

    Spectra keep 1024 channels at first, maps 64 pixels an axis; only the last two navigation axes
    are averaged over, of a line scan the last.
    """
    shape, bins = (*nav, *signal), [1] * (len(nav) + len(signal))
    able = [i for i in range(len(shape)) if i >= len(nav) - 2]
    while prod(sizes := [-(-n // b) for n, b in zip(shape, bins, strict=True)]) > budget:
        over = [
            sizes[i] / (COARSE if i < len(nav) else _kept(len(signal))) for i in range(len(sizes))
        ]
        worst = max(able, key=lambda i: over[i])
        if sizes[worst] == 1:
            break
        bins[worst] *= 2
        if worst < len(nav):  # pixels stay square
            for i in able:
                if i < len(nav) and bins[i] < bins[worst] and sizes[i] > FEW:
                    bins[i] = bins[worst]
    return tuple(bins)


def _kept(signal: int) -> float:
    """Channels along one signal axis that are given up last."""
    return FINE ** (1 / max(signal, 1))


def binned(shape: Sequence[int], bins: Sequence[int]) -> tuple[int, ...]:
    """Shape of the averages."""
    return tuple(-(-n // b) for n, b in zip(shape, bins, strict=True))


def cell_of(shape: Sequence[int], bins: Sequence[int]) -> Array:
    """Flat index of the average that every entry goes into, (entries,)."""
    if not shape:
        return np.zeros(1, dtype=np.int64)
    index = np.meshgrid(
        *(np.arange(n) // b for n, b in zip(shape, bins, strict=True)), indexing="ij"
    )
    return np.ravel_multi_index([i.ravel() for i in index], binned(shape, bins)).astype(np.int64)


def means(values: Array, owner: Array, n: int) -> Array:
    """Means of what is finite of (entry, …) values, (n, …); NaN where nothing is."""
    if len(values) == n:
        return values
    into = csc_array(
        (np.ones(len(owner), np.float64), owner, np.arange(len(owner) + 1)), shape=(n, len(owner))
    )
    seen = np.isfinite(values)
    sums, counts = into @ np.where(seen, values, 0.0), into @ seen.astype(np.float64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def data_means(data: Dataset, bins: Sequence[int]) -> Array:
    """Mean of the data over every (pixel, channel) cell; NaN where all is masked.

    Args:
        data: dense or sparse; read a part at a time.
        bins: for every axis how many neighbours are averaged.

    Returns:
        (cells, channel cells), float64.
    """
    split = len(data.shape) - data.signal
    rows = torch.from_numpy(cell_of(data.shape[:split], bins[:split]))
    cols = torch.from_numpy(cell_of(data.shape[split:], bins[split:]))
    shape = (
        prod(binned(data.shape[:split], bins[:split])),
        prod(binned(data.shape[split:], bins[split:])),
    )
    sums, counts = (_sparse if data.entries is not None else _dense)(data, rows, cols, shape)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _dense(
    data: Dataset, rows: torch.Tensor, cols: torch.Tensor, shape: tuple[int, int]
) -> tuple[Array, Array]:
    n, m = data.matrix_shape
    sums = torch.zeros(shape, dtype=torch.float64)
    counts = torch.zeros(shape, dtype=torch.float64)
    masked = None if data.mask is None else data.mask.expand(data.shape).reshape(n, m)
    step = max(1, PART // m)
    for part in (slice(i, i + step) for i in range(0, n, step)):
        x = data.matrix[part].cpu().double()
        seen = x.isfinite() if masked is None else x.isfinite() & ~masked[part]
        for total, values in ((sums, x.where(seen, 0.0)), (counts, seen.double())):
            inner = torch.zeros(len(values), shape[1], dtype=torch.float64)
            total.index_add_(0, rows[part], inner.index_add_(1, cols, values))
    return sums.numpy(), counts.numpy()


def _sparse(
    data: Dataset, rows: torch.Tensor, cols: torch.Tensor, shape: tuple[int, int]
) -> tuple[Array, Array]:
    """The same of sparse data, whose mask is one of whole pixels and channels."""
    assert data.entries is not None
    entries, (n, m) = data.entries, data.matrix_shape
    seen_rows, seen_cols = torch.ones(n, dtype=torch.float64), torch.ones(m, dtype=torch.float64)
    if data.mask is not None:
        split = len(data.shape) - data.signal
        pixel = data.mask.all(dim=tuple(range(split, len(data.shape))))
        channel = data.mask.flatten(0, split - 1).all(0)
        seen_rows = (~pixel.expand(data.shape[:split]).reshape(-1)).double()
        seen_cols = (~channel.expand(data.shape[split:]).reshape(-1)).double()
    i, j = entries.i.cpu().long(), entries.j.cpu().long()
    x = entries.x.cpu().double() * seen_rows[i] * seen_cols[j]
    sums = torch.zeros(shape[0] * shape[1], dtype=torch.float64)
    sums.index_add_(0, rows[i] * shape[1] + cols[j], x)
    count_rows = torch.zeros(shape[0], dtype=torch.float64).index_add_(0, rows, seen_rows)
    count_cols = torch.zeros(shape[1], dtype=torch.float64).index_add_(0, cols, seen_cols)
    return sums.reshape(shape).numpy(), (count_rows[:, None] * count_cols).numpy()


def cell_positions(axes: Axes, bins: Sequence[int]) -> list[Array]:
    """Positions along every axis of the averages."""
    centres = []
    for axis, b in zip(axes, bins, strict=True):
        x = axis.values
        starts = np.arange(0, len(x), b)
        centres.append(np.add.reduceat(x, starts) / np.diff(np.append(starts, len(x))))
    return centres

"""The pixels on which the factors are found first, and on which every step is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.arrays import as_tensor
from fusion.algebra.axis import Axes
from fusion.algebra.seeds import generator
from fusion.blocks.on_rows import Scans, pixel_axis
from fusion.data.dataset import Dataset
from fusion.forms.entries import Entries

ROWS = 2**14
"""Pixels, at most, unless a user says otherwise."""
SHARE = 8
"""Of the memory, one part in so many holds the sample."""


@dataclass(frozen=True)
class Sample:
    """Some pixels of every scan, in memory.

    Attributes:
        rows: their numbers, ascending; weights: how many pixels each stands for.
        datasets: of these pixels alone.
    """

    rows: dict[Axes, Tensor]
    weights: dict[Axes, Tensor]
    datasets: dict[str, Dataset]


def wanted_rows(
    datasets: Mapping[str, Dataset], scans: Scans, memory: int, rows: int | None, seed: int
) -> dict[Axes, Tensor]:
    """Numbers of pixels drawn at random from each scan, ascending, wholly masked ones left out."""
    chosen = {}
    rng = generator(seed)
    for scan in dict.fromkeys(scans.values()):
        members = [datasets[name] for name, axes in scans.items() if axes == scan]
        n = int(np.prod([axis.size or 1 for axis in scan]))
        pixel = 8 * sum(int(np.prod(data.shape)) // n for data in members)
        most = min(ROWS, max(memory // SHARE // max(pixel, 1), 256)) if rows is None else rows
        seen = seen_pixels(members, scan, n)
        count = len(seen) if seen is not None else n
        picked = rng.choice(count, min(most, count), replace=False, shuffle=False)
        picked = np.sort(picked)
        chosen[scan] = torch.from_numpy(picked if seen is None else seen[picked])
    return chosen


def seen_pixels(members: Iterable[Dataset], scan: Axes, n: int) -> np.ndarray | None:
    """Numbers of the pixels that are not masked in all of the data; None: all."""
    hidden = np.ones(n, dtype=bool)
    for data in members:
        if data.mask is None:
            return None
        lead = len(data.pixels) - len(scan)
        axes = (*range(lead), *range(len(data.pixels), data.mask.ndim))
        masked = data.mask.numpy().all(axis=axes)
        hidden &= np.broadcast_to(masked, [axis.size or 1 for axis in scan]).reshape(-1)
    return np.flatnonzero(~hidden) if hidden.any() else None


def sample_of(
    datasets: Mapping[str, Dataset],
    scans: Scans,
    rows: Mapping[Axes, Tensor],
    weights: Mapping[Axes, Tensor],
    parts: Mapping[str, list[tuple[Tensor, Any]]],
) -> Sample:
    """The sample from what every block has of it.

    Args:
        datasets: the whole ones, which are not read.
        scans: the axes of their pixels.
        rows: the pixels of the sample, ascending; weights: of each.
        parts: by data set, of every block (numbers of its pixels, values (…, pixel, channel …)).
    """
    made = {}
    for name, data in datasets.items():
        scan = scans[name]
        made[name] = _dataset(data, scan, rows[scan], _joined(data, parts[name]))
    return Sample(dict(rows), dict(weights), made)


def _joined(data: Dataset, parts: list[tuple[Tensor, Any]]) -> Any:
    """Parts of blocks in the order of the pixels."""
    order = torch.argsort(torch.cat([rows for rows, _ in parts]))
    if data.entries is None:
        pixel = parts[0][1].ndim - data.signal - 1
        values = np.concatenate([np.asarray(values) for _, values in parts], pixel)
        return as_tensor(np.take(values, order.numpy(), axis=pixel))
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    first, i, j, x = 0, [], [], []
    for rows, held in parts:
        i.append(place[held.i.long() + first])
        j.append(held.j)
        x.append(held.x)
        first += len(rows)
    i, j, x = torch.cat(i), torch.cat(j), torch.cat(x)
    by_row = torch.argsort(i, stable=True)
    return Entries(i[by_row], j[by_row], x[by_row], (len(order), data.matrix_shape[1]))


def _dataset(data: Dataset, scan: Axes, rows: Tensor, array: Any) -> Dataset:
    """The data set of some pixels."""
    lead = len(data.pixels) - len(scan)
    axes = (*data.pixels[:lead], *pixel_axis(len(rows)), *data.channels)

    def part(values: Tensor | None) -> Tensor | None:
        if values is None or values.ndim == 0:
            return values
        held = values.shape[lead : len(data.pixels)]
        if max(held, default=1) == 1:
            return values.flatten(lead, len(data.pixels) - 1)
        sizes = [axis.size or 1 for axis in scan]
        full = values.expand(*values.shape[:lead], *sizes, *values.shape[len(data.pixels) :])
        # not torch's `unravel_index`: its first call imports sympy, for more than a second
        places = map(torch.from_numpy, np.unravel_index(rows.cpu().numpy(), sizes))
        return full[(*(slice(None) for _ in range(lead)), *places)]

    return Dataset(
        data.name,
        array,
        axes=axes,
        signal=data.signal,
        mask=part(data.mask),
        variance=part(data.variance),
        metadata=data.metadata,
    )

"""The counts in which elements are looked for, and which ones are as a rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.xrays.electronics import THRESHOLD
from fusion.xrays.table import KEV, lines, tables

Array = NDArray[np.float64]

SOUGHT = (
    *range(6, 10), *range(11, 18), *range(19, 36), *range(37, 43), *range(44, 54),
    *range(55, 61), *range(62, 84), 90, 92,
)  # fmt: skip
"""Atomic numbers from C to U without noble gases and what does not last."""
FINE = 0.0101
"""keV: channels are added up to this width, a quarter of what a detector tells apart."""


def solids(low: float, high: float) -> list[str]:
    """Symbols of those with a line between two energies, keV."""
    every = [tables().atomic_symbol(z) for z in SOUGHT]
    return [e for e in every if lines(e, (low, high))]


def sum_spectrum(edxs: Dataset, unit: float) -> tuple[Array, Array, Array]:
    """Channels in keV, counts, and the share of pixels that is seen in each.

    Args:
        edxs: X-ray counts; what is below the threshold of a detector is left out.
        unit: what a count is worth.
    """
    stats = tally(edxs)
    axis = edxs.axes[-1]
    channels = axis.values * KEV[axis.units]
    counts, seen = stats.columns / unit, stats.column_counts / max(stats.column_counts.max(), 1)
    if channels[0] > channels[-1]:
        channels, counts, seen = channels[::-1], counts[::-1], seen[::-1]
    inside = channels >= THRESHOLD
    return _added_up(channels[inside], counts[inside], seen[inside])


def _added_up(channels: Array, counts: Array, seen: Array) -> tuple[Array, Array, Array]:
    """Neighbours together while a detector does not tell them apart."""
    if len(channels) < 2:
        return channels, counts, seen
    width = max(1, int(FINE / float(np.median(np.diff(channels)))))
    whole = len(channels) // width * width
    folded = [part[:whole].reshape(-1, width) for part in (channels, counts, seen)]
    return folded[0].mean(1), folded[1].sum(1), folded[2].mean(1)

"""The zero peak of X-ray electronics, or what a crop left of it: `zero_peak`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fusion.data.signal_type import has_edges

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.data.tally import Tally

NEAR = 0.1  # keV about 0, in which its top lies
LOWEST = 0.2  # keV, below which an axis that begins at its highest counts begins on its slope
REACH = 0.4  # keV from 0, as far as the slope is followed: lines of the light elements are there
WIDTH = 0.03  # keV, over which counts are summed to follow the slope
HIGH = 5.0  # times the counts at its foot, from which it is one
CHANCE = 2.0  # standard deviations of such a sum, by which it falls no further
LEAST = 20.0  # counts in its highest channel, fewer are no peak


@dataclass(frozen=True)
class Peak:
    """Channels that hold counts which say little of the sample.

    Attributes:
        first, last: channel.
        share: of all counts, in them.
        at_zero: whether energy 0 is among them, or was before a crop.
    """

    first: int
    last: int
    share: float
    at_zero: bool


def zero_peak(data: Dataset, stats: Tally) -> Peak | None:
    """What the electronics of an X-ray detector write about energy 0, down to its foot.

    It is told by its height over the counts at its foot, whatever its share of all is. Of an axis
    that begins on its slope what is left of it is told.
    """
    axis = data.channels[0]
    if axis.units not in ("eV", "keV") or has_edges(axis, data.metadata) is not False:
        return None
    energy = axis.values * (1.0 if axis.units == "keV" else 1e-3)
    sums = np.nan_to_num(stats.columns)
    if len(energy) < 2 or energy[0] > energy[-1] or sums.sum() <= 0:
        return None
    width = max(round(WIDTH / float(np.diff(energy).min())), 1)
    top = _top(energy, sums, width)
    if top is None or sums[top] < LEAST:
        return None
    last = top + _foot(sums[top : np.searchsorted(energy, REACH, side="right")], width)
    first = top - _foot(sums[top::-1], width)
    foot = max(_level(sums[last:], width), _level(sums[first::-1], width) if first else 0.0)
    if sums[top] <= HIGH * foot:
        return None
    return Peak(first, last, float(sums[first : last + 1].sum() / sums.sum()), True)


def _top(energy: NDArray, sums: NDArray, width: int) -> int | None:
    """The highest channel about 0; or of an axis that begins above it, if it begins there."""
    if energy[0] <= 0:
        inside = np.flatnonzero(np.abs(energy) <= NEAR)
        return int(inside[sums[inside].argmax()]) if inside.size else None
    begins = int(sums[energy <= REACH].argmax()) if energy[0] <= LOWEST else width
    return begins if begins < width else None


def _foot(sums: NDArray, width: int) -> int:
    """How many channels from its first these fall, summed over `width`, by more than chance."""
    if len(sums) <= width:
        return max(len(sums) - 1, 0)
    moving = np.convolve(sums, np.ones(width), mode="valid")
    for i in range(len(moving) - 1):
        ahead = moving[i + 1 : i + 1 + 2 * width].min()
        if moving[i] - ahead <= CHANCE * np.sqrt(moving[i]):
            return i
    return len(moving) - 1


def _level(sums: NDArray, width: int) -> float:
    """Mean of the first few."""
    return float(sums[:width].mean()) if len(sums) else 0.0

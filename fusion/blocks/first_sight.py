"""What the first pass tells of the values: those that no fit can use, and blocks without any."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from fusion.algebra.cautions import CutWarning, users_line
from fusion.data.dataset import Dataset
from fusion.data.parts import as_numpy
from fusion.language.loss import Loss

NAMED = 3
"""Blocks without a count that are named, at most."""


@dataclass(frozen=True)
class SeenValues:
    """The values of a block, or of all, that are not masked.

    Attributes:
        seen: how many; zeros, negatives: how many of them are 0, and below it.
        lowest: the least; place: of one below 0 in words, or a pixel of the block and a channel.
    """

    seen: int = 0
    zeros: int = 0
    negatives: int = 0
    lowest: float = np.inf
    place: tuple[int, int] | str = ""

    def __add__(self, other: SeenValues) -> SeenValues:
        low = self if self.lowest <= other.lowest else other
        return SeenValues(
            self.seen + other.seen,
            self.zeros + other.zeros,
            self.negatives + other.negatives,
            low.lowest,
            low.place,
        )

    @property
    def empty(self) -> bool:
        """Whether there are values, and all are 0."""
        return 0 < self.seen == self.zeros


def seen_values(data: Dataset) -> SeenValues:
    """Of a block in memory, its values found to be finite where they are not masked."""
    held = data.entries
    x = as_numpy(data.tensor if held is None else held.x)
    size, split = prod(data.shape), len(data.shape) - data.signal
    if held is None and data.mask is not None:
        mask = np.broadcast_to(as_numpy(data.mask), x.shape)
        size, x = size - int(mask.sum()), np.where(mask, 0, x)
    zeros = size - int(np.count_nonzero(x))
    lowest = float(x.min()) if x.size and x.dtype.kind not in "ub" else 0.0
    if lowest >= 0:
        return SeenValues(size, zeros, 0, 0.0 if zeros else lowest)
    flat = int(x.argmin())
    if held is not None:
        place = int(held.i[flat]), int(held.j[flat])
    else:
        m = prod(x.shape[split:])
        place = int(np.unravel_index(flat // m, x.shape[:split])[-1]), flat % m
    return SeenValues(size, zeros, int((x < 0).sum()), lowest, place)


def check_first_sight(
    loss: Loss, values: dict[str, SeenValues], empty: dict[str, list[str]]
) -> None:
    """Complain of what no fit can use, after all data were looked at once; say what is odd.

    Args:
        loss: of the whole data sets.
        values: of all blocks, by data set.
        empty: places of blocks that were read and have zeros alone, by data set.

    Raises:
        ValueError: if nothing is left of a data set, or it has values that its fit cannot have.
    """
    for _, _, fit in loss.fits:
        data, told = fit.dataset, values[fit.dataset.name]
        if not told.seen:
            raise ValueError(
                f"`{data}`: the mask excludes all values: True means excluded: give `~mask` where "
                "True marks what is used."
            )
        if told.empty:
            raise ValueError(f"`{data}`: all values are zero: there is nothing to fit.")
        lowest = f"{told.lowest:.3g}" + (f" at {told.place}" if told.place else "")
        fit.check_values(negatives=told.negatives, zeros=told.zeros, lowest=lowest)
        if empty[data.name]:
            _warn_of_empty(data, empty[data.name])


def _warn_of_empty(data: Dataset, places: Sequence[str]) -> None:
    """Say that a part has no counts at all, which is how lost chunks of zarr read."""
    named = "; ".join(places[:NAMED])
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    warnings.warn(
        f"`fit`, block by block: {len(places)} block{'s' * (len(places) > 1)} of {data} read as "
        f"zeros alone ({named}{more}): a lost chunk of a zarr store reads so. Count its files, and "
        "mask what is lost (`data.masked(mask)`); if nothing was counted there, all is well.",
        CutWarning,
        stacklevel=users_line(),
    )

"""What one count is worth in data that were counts once: means of some, or counts over a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fusion.data.tally import Tally

SAMPLE = 2**20
"""Values that are looked at, spread over all."""
EXACT = 1e-4
"""How far from a whole number a value may be, in counts: what float32 leaves of some thousands."""
MOST = 1e5
"""Counts above which every value is near a whole number."""

VARIED = 8
"""Different values, at least, whose common factor is what a count is worth."""


def value_of_a_count(values: NDArray) -> float | None:
    """The largest q of which all values are whole multiples; None where there is none, or below 0.

    1 for counts themselves. Where every pixel was divided by a number of its own there is none.
    """
    flat = values.reshape(-1)
    flat = flat[:: max(1, flat.size // SAMPLE)].astype(float)
    flat = flat[np.isfinite(flat)]
    if not flat.size or flat.min() < 0 or flat.max() <= 0:
        return None
    if np.array_equal(flat, np.round(flat)):
        return _common_factor(flat)
    steps = np.diff(np.unique(np.concatenate([[0.0], flat])))
    steps = steps[steps > EXACT * flat.max() / MOST]
    q = float(steps.min()) if steps.size else 0.0
    if not q > 0 or flat.max() / q > MOST:
        return None
    counts = np.round(flat / q)
    q = float(flat @ counts / (counts @ counts))  # to the precision of all values
    return (
        q if float(np.abs(flat / q - counts).max()) < EXACT * max(1.0, counts.max() / 1e3) else None
    )


def _common_factor(whole: NDArray) -> float:
    """Of whole numbers, where so many different ones have one that it is no chance; else 1."""
    values = np.unique(whole[whole > 0])
    if len(values) < VARIED or values[-1] > 2**53:
        return 1.0
    return float(np.gcd.reduce(values.astype(np.int64)))


def count_value_of(stats: Tally) -> float | None:
    """What a count is worth in data of these sums; None in what are no counts, or nothing."""
    if stats.negatives or not stats.maximum > 0:
        return None
    q = value_of_a_count(stats.sample)
    if stats.whole:
        return q or 1.0  # so few counts that the sample has none
    return None if q == 1.0 else q  # the sample alone is whole

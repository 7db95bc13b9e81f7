"""How high a spectrum is drawn that has a huge peak at energy 0.

The zero-loss peak of electrons and the zero peak of X-ray electronics are up to thousands of times
as high as what the spectrum is drawn for. Where the peak that covers 0 is more than `TALL` times as
high as all beside it, the panel ends a little above the highest of these, and says how high the
peak is. No other peak is cut: a line of the sample may well stand alone.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis

TALL = 8.0  # times the highest channel beside the peak, from which the peak is cut off
FOOT = 0.005  # of its height, down to which a peak reaches while it falls
FEW = 16  # channels, below which nothing is cut
ROOM = 1.15  # of the highest shown, that the panel has
CUT: WeakSet[Any] = WeakSet()
"""Panels that end below such a peak."""


def height_beside_zero(values: NDArray[np.float64], axis: Axis) -> float | None:
    """The highest of a spectrum beside its peak at energy 0, where that is huge; else None."""
    x, heights = axis.values, np.nan_to_num(np.asarray(values, dtype=float))
    if not axis.units.endswith("eV") or len(x) < FEW or heights.min() < -1e-9 * heights.max():
        return None
    top = int(heights.argmax())
    first = last = top
    while first > 0 and FOOT * heights[top] < heights[first - 1] <= heights[first]:
        first -= 1
    while last + 1 < len(x) and FOOT * heights[top] < heights[last + 1] <= heights[last]:
        last += 1
    ends = sorted((x[max(first - 1, 0)], x[min(last + 1, len(x) - 1)]))
    if not ends[0] <= 0 <= ends[1]:
        return None
    beside = np.delete(heights, np.arange(max(first - 2, 0), min(last + 3, len(x))))
    highest = float(beside.max(initial=0.0))
    return highest if 0 < TALL * highest < heights[top] else None


def end_above_the_rest(panel: Any, values: NDArray[np.float64], axis: Axis) -> None:
    """Let a panel end above what is beside a huge peak at 0, and say how high that is.

    A curve that joins others may raise the end, not lower it.
    """
    beside = height_beside_zero(values, axis)
    cut = panel in CUT
    if len(panel.lines) > 1:
        if cut:
            own = float(np.nanmax(values)) if beside is None else beside
            panel.set_ylim(top=max(panel.get_ylim()[1], ROOM * own))
        return
    if beside is None:
        return
    CUT.add(panel)
    panel.set_ylim(top=ROOM * beside)
    text = f"peak at 0 up to {np.nanmax(values):.3g}"
    panel.text(1.0, 0.98, text, transform=panel.transAxes, ha="right", va="top", fontsize=6)

"""Curves with axes, units and few ticks. Imports matplotlib: import it where it is used."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.plots.split_scale import split_where_hidden
from fusion.plots.style import BLUE, FEW, GREY, NOTHING, STEPS

Array = NDArray[np.float64]


class Numbers(ScalarFormatter):
    """Plain numbers, whose power of ten stands above them as ×10³.

    Numbers as mathematics look the same, and take ten times as long.
    """

    def __init__(self) -> None:
        super().__init__(useMathText=True)
        self.set_powerlimits((-2, 4))

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(x, pos).removeprefix("$\\mathdefault{").removesuffix("}$")


def signed(values: Array) -> bool:
    """Whether some values are negative by more than rounding."""
    seen = values[np.isfinite(values)]
    return bool(seen.size and seen.min() < -1e-9 * np.abs(seen).max())


def curve(
    panel: Panel,
    values: Array,
    axis: Axis,
    *,
    ends: bool,
    color: str = BLUE,
    label: str | None = None,
    dots: bool = True,
) -> None:
    """Values against an axis; grey where they are NaN, a line at zero where signs differ.

    Where one peak hides the rest the scale is split (`split_scale`). Few points are marked, if
    `dots`.
    """
    x = axis.values
    few = {"marker": "o", "markersize": 2.5} if dots and len(x) <= FEW else {}
    panel.plot(x, values, color=color, label=label, **few)
    panel.margins(x=0.0 if len(x) > FEW else 0.03)
    for first, last in _runs_of_nan(values):
        low, high = (
            (x[first] + x[max(first - 1, 0)]) / 2,
            (x[last] + x[min(last + 1, len(x) - 1)]) / 2,
        )
        panel.axvspan(low, high, color=NOTHING, linewidth=0)
    horizontal_ticks(panel, axis)
    if signed(values):
        panel.axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    elif not split_where_hidden(panel, axis):
        panel.set_ylim(bottom=0.0)
    if panel.get_yscale() == "linear":
        vertical_ticks(panel)
    panel.tick_params(labelbottom=ends)
    if ends:
        panel.set_xlabel(axis.label)


def counts_only(axis: Axis) -> bool:
    """Whether an axis only counts."""
    return axis.uniform and not axis.units and axis.scale == 1.0


def _runs_of_nan(values: Array) -> list[tuple[int, int]]:
    """(first, last) entry of every run of NaN."""
    edges = np.diff(np.concatenate([[0], ~np.isfinite(values), [0]]).astype(int))
    return list(
        zip(
            np.flatnonzero(edges == 1).tolist(),
            (np.flatnonzero(edges == -1) - 1).tolist(),
            strict=True,
        )
    )


def ticks(panel: Panel) -> None:
    """Few ticks, large numbers as one power of ten above the axis."""
    vertical_ticks(panel)
    panel.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS, min_n_ticks=2))


def horizontal_ticks(panel: Panel, axis: Axis) -> None:
    """Few ticks, at whole numbers along an axis that only counts."""
    if counts_only(axis):
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    else:
        panel.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS, min_n_ticks=2))


def vertical_ticks(panel: Panel) -> None:
    """`ticks` for the vertical axis alone."""
    panel.yaxis.set_major_formatter(Numbers())
    panel.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))

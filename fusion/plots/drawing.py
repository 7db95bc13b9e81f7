"""The pieces of a figure by one name: curves, images, legends. Imports matplotlib."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes as Panel

from fusion.algebra.axis import Axes, Axis
from fusion.plots.curves import Array, curve, horizontal_ticks, signed, ticks, vertical_ticks
from fusion.plots.figures import (
    Picture,
    figure_or_new,
    inches,
    panel_inches,
    panel_or_new,
    stamp,
    style,
)
from fusion.plots.images import colour_range, height_over_width, image, picture, scale_bar
from fusion.plots.legends import (
    beside_each_other,
    cut_short,
    folded,
    name_inside,
    name_legend,
)
from fusion.plots.shown_axes import shown
from fusion.plots.style import BLUE, MAPS, SOFT, VEIL

__all__ = [
    "SOFT",
    "VEIL",
    "Array",
    "Picture",
    "beside_each_other",
    "colour_range",
    "curve",
    "cut_short",
    "factor",
    "figure_or_new",
    "finite_mean",
    "folded",
    "height_over_width",
    "horizontal_ticks",
    "image",
    "inches",
    "name_inside",
    "name_legend",
    "panel_inches",
    "panel_or_new",
    "picture",
    "scale_bar",
    "signed",
    "stamp",
    "style",
    "ticks",
    "vertical_ticks",
]


def factor(
    panel: Panel,
    column: Array,
    axes: Axes | None,
    *,
    ends: bool,
    cmap: str = MAPS,
    color: str = BLUE,
    label: str = "",
    limits: tuple[float, float] | None = None,
) -> None:
    """One component of a factor: a curve along one axis, an image over two, a mean over more.

    Axes of one entry are none: a map of one row is a curve.

    Args:
        panel: where to draw.
        column: (n,) values of one component.
        axes: what the n values run along; None for a plain index.
        ends: whether the axis labels are written (the lowest of a stack of panels).
        cmap: colours of an image without negative values; `color` of a curve.
        label: quantity and unit of the values.
        limits: lowest and highest of the scale; default: of these values.
    """
    along = shown(axes or (Axis("index", size=len(column)),))
    values = np.asarray(column, dtype=float).reshape([axis.size or 1 for axis in along])
    while values.ndim > 2:
        values, along = finite_mean(values), along[1:]
    if values.ndim == 2:
        image(panel, values, along, ends=ends, cmap=cmap, label=label, limits=limits)
        return
    curve(panel, values, along[0], ends=ends, color=color)
    if limits is not None:
        panel.set_ylim(*limits)
    panel.set_ylabel(label)


def finite_mean(values: Array) -> Array:
    """Mean over the first axis of what is not NaN."""
    seen = np.isfinite(values)
    total = np.where(seen, values, 0.0).sum(0)
    return np.where(seen.any(0), total / np.maximum(seen.sum(0), 1), np.nan)

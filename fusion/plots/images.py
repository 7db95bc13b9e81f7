"""Images with colour bar and scale bar. Imports matplotlib: import it where it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.units import in_one_unit, is_length, length_text
from fusion.plots.averages import few_enough, say_means
from fusion.plots.curves import Array, counts_only, signed, vertical_ticks
from fusion.plots.style import MAPS, NOTHING, SIGNED

THIN = 0.2
"""Height over width of an image, below which its scale bar stands under it."""
THINNEST = 1 / 25
"""Height over width, or width over height, below which an image is drawn wider than it is."""
TOP = 99.8
"""Percentile at which the colours end, where the highest is far above it."""


def image(
    panel: Panel,
    values: Array,
    axes: Axes,
    *,
    ends: bool,
    cmap: Any = MAPS,
    label: str = "",
    limits: tuple[float, float] | None = None,
    norm: Any = None,
) -> Any:
    """Values over two axes with a colour bar: diverging from zero where signs differ, NaN grey.

    A hot pixel does not set the scale: the colours end at the 99.8th percentile where the extreme
    is far above it. Of more than 1024 pixels along an axis means are drawn, which is said below.

    Args:
        panel: where to draw; values: (rows, columns); axes: of both.
        ends: whether axes without a length are labelled.
        cmap: colours of values without sign.
        label: quantity and unit, beside the colour bar.
        limits: values of the first and the last colour; default: of these values.
        norm: of matplotlib, from values to colours of `cmap`, instead of all that.

    Returns:
        The colour bar.
    """
    import matplotlib

    values, axes, by = few_enough(values, axes)
    say_means(panel, by)
    axes, both = in_one_unit(axes), signed(values) or (limits is not None and limits[0] < 0)
    low, high, clipped = colour_range(values, both)
    if norm is not None:
        limits = norm.vmin, norm.vmax
    if limits is not None:
        (low, high), clipped = limits, _clipped(values, *limits)
    diverging = both and norm is None
    chosen = matplotlib.colormaps[SIGNED] if diverging else matplotlib.colormaps.get_cmap(cmap)
    scale: dict[str, Any] = {"vmin": low, "vmax": high} if norm is None else {"norm": norm}
    scale["cmap"] = chosen.with_extremes(bad=NOTHING)
    drawn = _draw_pixels(panel, values, axes, scale)
    thin = _bar_or_ticks(panel, axes, ends)
    return _colour_bar(panel, drawn, clipped, label, thin=thin)


def _colour_bar(panel: Panel, drawn: Any, clipped: str, label: str, *, thin: bool) -> Any:
    """Beside an image, as high as it is."""
    side = panel.inset_axes((1.03, 0.0, 0.02 if thin else 0.05, 1.0))
    bar: Any = panel.figure.colorbar(drawn, cax=side, extend=clipped)
    bar.outline.set_visible(False)
    vertical_ticks(side)
    if thin:
        side.yaxis.set_major_locator(MaxNLocator(1, min_n_ticks=2))
    side.yaxis.set_offset_position("left")
    if label:
        bar.set_label(label, size=7)
    return bar


def picture(panel: Panel, colours: Array, axes: Axes) -> None:
    """Pixels of given colours, (rows, columns, 3), with a scale bar or ticks."""
    axes = in_one_unit(axes)
    _draw_pixels(panel, colours, axes, {})
    _bar_or_ticks(panel, axes, True)


def _draw_pixels(panel: Panel, values: Array, axes: Axes, options: dict[str, Any]) -> Any:
    """The image where its axes are."""
    if all(axis.uniform for axis in axes):
        (top, bottom), (left, right) = (_ends(axis) for axis in axes)
        extent = (left, right, bottom, top)
        return panel.imshow(values, extent=extent, interpolation="nearest", **options)
    y, x = (axis.values for axis in axes)
    drawn = panel.pcolormesh(x, y, values, shading="nearest", **options)
    panel.invert_yaxis()
    return drawn


def _bar_or_ticks(panel: Panel, axes: Axes, ends: bool) -> bool:
    """A scale bar where both axes are lengths, else ticks; whether the image is a thin strip."""
    shape = height_over_width(axes)
    fair = axes[0].units == axes[1].units and THINNEST < shape < 1 / THINNEST
    panel.set_aspect("equal" if fair else "auto")
    panel.spines[:].set_visible(False)
    if all(is_length(axis.units) for axis in axes) and axes[0].units == axes[1].units:
        panel.set(xticks=[], yticks=[])
        _place_scale_bar(panel, axes[1], below=fair and shape < THIN)
    else:
        _label_axes(panel, axes, ends)
    return fair and shape < THIN


def _ends(axis: Axis) -> tuple[float, float]:
    """Where the first entry begins and the last ends."""
    x = axis.values
    return float(x[0] - axis.scale / 2), float(x[-1] + axis.scale / 2)


def height_over_width(axes: Axes) -> float:
    """Of an image with equal steps per unit, its pixels' own size counted."""
    height, width = (_extent(axis) for axis in axes)
    return height / width if width > 0 else np.inf


def _extent(axis: Axis) -> float:
    """From the first entry's begin to the last one's end."""
    if axis.uniform:
        return abs((axis.size or 1) * axis.scale)
    n = axis.size or 1
    return float(np.ptp(axis.values)) * n / max(n - 1, 1)


def colour_range(values: Array, both: bool) -> tuple[float, float, str]:
    """(lowest colour, highest colour, ends of the bar beyond which values lie)."""
    seen = values[np.isfinite(values)]
    size = np.abs(seen) if seen.size else np.zeros(1)
    most, high = float(size.max()), float(np.percentile(size, TOP))
    if most <= 1.5 * high or high == 0:
        return (-most if both else 0.0), most or 1.0, "neither"
    return (-high if both else 0.0), high, "both" if both else "max"


def _clipped(values: Array, low: float, high: float) -> str:
    """The ends beyond which values lie."""
    with np.errstate(invalid="ignore"):
        below, above = bool((values < low).any()), bool((values > high).any())
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[(below, above)]


def _label_axes(panel: Panel, axes: Axes, ends: bool) -> None:
    """Ticks with names and units along both axes, along x in the lowest panel only."""
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=counts_only(axes[1]), min_n_ticks=1))
    panel.yaxis.set_major_locator(MaxNLocator(3, integer=counts_only(axes[0]), min_n_ticks=1))
    panel.set_ylabel(axes[0].label)
    panel.tick_params(labelbottom=ends)
    if ends:
        panel.set_xlabel(axes[1].label)


@checked_call
def scale_bar(panel: Panel, axis: Axis) -> None:
    """A bar of 1, 2 or 5 times a power of ten, at most a third of the width, in the lower left."""
    _place_scale_bar(panel, axis, below=False)


def _place_scale_bar(panel: Panel, axis: Axis, *, below: bool) -> None:
    """The bar, in the image, or under one that is too low for it."""
    left, right = panel.get_xlim()
    bottom, top = panel.get_ylim()
    most = abs(right - left) / 3
    power = 10.0 ** np.floor(np.log10(most))
    length = max(m * power for m in (1, 2, 5) if m * power <= most)
    place: dict[str, Any] = {"loc": "lower left"}
    if below:
        place = {"loc": "upper left", "bbox_to_anchor": (0.0, 0.0)}
        place["bbox_transform"] = panel.transAxes
    bar = AnchoredSizeBar(
        panel.transData,
        length,
        length_text(length, axis.units),
        pad=0.25,
        borderpad=0.3,
        sep=2,
        color="black" if below else "white",
        label_top=not below,
        size_vertical=abs(top - bottom) / 40,  # type: ignore[arg-type]
        fontproperties=FontProperties(size=7),
        frameon=not below,
        **place,
    )
    bar.patch.set(facecolor="black", alpha=0.6, linewidth=0)
    panel.add_artist(bar)

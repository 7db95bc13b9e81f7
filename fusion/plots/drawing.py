"""Panels of a figure: curves, images, bars. Imports matplotlib: import it where it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from textwrap import fill
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar
from numpy.typing import NDArray

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.units import in_one_unit, length_text
from fusion.plots.tall_peak import end_above_the_rest

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]

# Okabe & Ito's colours, told apart by the colour-blind
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "0.45"
ALARM = "#B00020"
NOTHING = "0.8"  # where there are no data
LENGTHS = ("pm", "Å", "nm", "µm", "mm", "m")
FEW = 100  # points of a curve that are marked
STEPS = (1, 2, 2.5, 5, 10)
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}


class Picture(Figure):
    """A figure outside pyplot: a notebook shows it once, a script saves it with `savefig`."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
        return buffer.getvalue()


def figure_or_new(figure: Any, size: tuple[float, float]) -> Any:
    """The figure, or part of one, that was given; else a new one of this size, inches."""
    return Picture(figsize=size, layout="constrained") if figure is None else figure


def stamp(figure: Any, result: Result) -> None:
    """Say above all else where a fit was stopped before it converged."""
    if result.stamp:
        figure.suptitle(result.stamp, x=0.01, ha="left", fontsize=8, fontweight="bold", color=ALARM)


@contextmanager
def style(panel: Panel | None) -> Iterator[None]:
    """This software's style for a figure of its own; what is given keeps its owner's."""
    import matplotlib

    with matplotlib.rc_context({} if panel is not None else STYLE):
        yield


def inches(figure: Any) -> float:
    """Width of a figure, or of a part of one."""
    return float(figure.bbox.width / figure.get_figure(root=True).dpi)


def panel_inches(panel: Panel) -> float:
    """Width of a panel as it stands."""
    return float(panel.get_window_extent().width / panel.get_figure(root=True).dpi)  # type: ignore[union-attr]


def panel_or_new(
    panel: Panel | None, width: float, height: float, shown: Result | None = None
) -> Panel:
    """The panel that was given; else one in a new figure of this size, inches, with its stamp."""
    if panel is not None:
        return panel
    figure = Picture(figsize=(width, height), layout="constrained")
    if shown is not None:
        stamp(figure, shown)
    return figure.add_subplot()


def factor(
    panel: Panel, column: Array, axes: Axes | None, *, ends: bool, cmap: str = "viridis"
) -> None:
    """One component of a factor: a curve along one axis, an image over two, a mean over more.

    Args:
        panel: where to draw.
        column: (n,) values of one component.
        axes: what the n values run along; None for a plain index.
        ends: whether the axis labels are written (the lowest of a stack of panels).
        cmap: colours of an image without negative values.
    """
    along: list[Axis] = list(axes or [Axis("index", size=len(column))])
    values = np.asarray(column, dtype=float).reshape([axis.size or 1 for axis in along])
    while values.ndim > 2:
        values, along = finite_mean(values), along[1:]
    if values.ndim == 1:
        curve(panel, values, along[0], ends=ends)
    else:
        image(panel, values, tuple(along), ends=ends, cmap=cmap)


def finite_mean(values: Array) -> Array:
    """Mean over the first axis of what is not NaN."""
    seen = np.isfinite(values)
    total = np.where(seen, values, 0.0).sum(0)
    return np.where(seen.any(0), total / np.maximum(seen.sum(0), 1), np.nan)


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
) -> None:
    """Values against an axis; grey where they are NaN, a line at zero where signs differ.

    A huge peak at energy 0 does not set the scale (`tall_peak`).
    """
    x = axis.values
    few = {"marker": "o", "markersize": 2.5} if len(x) <= FEW else {}
    panel.plot(x, values, color=color, label=label, **few)
    panel.margins(x=0.0 if len(x) > FEW else 0.03)
    for first, last in _runs_of_nan(values):
        low, high = (
            (x[first] + x[max(first - 1, 0)]) / 2,
            (x[last] + x[min(last + 1, len(x) - 1)]) / 2,
        )
        panel.axvspan(low, high, color=NOTHING, linewidth=0)
    if signed(values):
        panel.axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    else:
        panel.set_ylim(bottom=0.0)
        end_above_the_rest(panel, values, axis)
    ticks(panel)
    if _counts_only(axis):
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    panel.tick_params(labelbottom=ends)
    if ends:
        panel.set_xlabel(axis.label)


def _counts_only(axis: Axis) -> bool:
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


def vertical_ticks(panel: Panel) -> None:
    """`ticks` for the vertical axis alone."""
    formatter = ScalarFormatter(useMathText=True)
    formatter.set_powerlimits((-2, 4))
    panel.yaxis.set_major_formatter(formatter)
    panel.yaxis.set_major_locator(MaxNLocator(4, steps=STEPS))


def image(panel: Panel, values: Array, axes: Axes, *, ends: bool, cmap: Any = "viridis") -> None:
    """Values over two axes with a colour bar: diverging from zero where signs differ, NaN grey.

    A hot pixel does not set the scale: the colours end at the 99.8th percentile where the extreme
    is far above it.
    """
    import matplotlib

    axes, both = in_one_unit(axes), signed(values)
    low, high, clipped = _colour_range(values, both)
    chosen = matplotlib.colormaps["RdBu_r"] if both else matplotlib.colormaps.get_cmap(cmap)
    colours = chosen.with_extremes(bad=NOTHING)
    drawn = _draw_pixels(panel, values, axes, {"cmap": colours, "vmin": low, "vmax": high})
    _bar_or_ticks(panel, axes, ends)
    side = panel.inset_axes((1.03, 0.0, 0.05, 1.0))
    bar = panel.figure.colorbar(drawn, cax=side, extend=clipped)
    bar.outline.set_visible(False)  # type: ignore[operator]
    vertical_ticks(side)
    side.yaxis.set_offset_position("left")


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


def _bar_or_ticks(panel: Panel, axes: Axes, ends: bool) -> None:
    """A scale bar where both axes are lengths, else ticks."""
    panel.set_aspect("equal" if axes[0].units == axes[1].units and _fair_shape(axes) else "auto")
    panel.spines[:].set_visible(False)
    if all(axis.units in LENGTHS for axis in axes) and axes[0].units == axes[1].units:
        panel.set(xticks=[], yticks=[])
        scale_bar(panel, axes[1])
    else:
        _label_axes(panel, axes, ends)


def beside_each_other(panel: Panel, names: Sequence[str]) -> int:
    """How many entries of a legend fit into a row above a panel."""
    widest = max(len(line) for name in names for line in name.split("\n"))
    return int(panel_inches(panel) / (0.25 + 0.055 * widest))


def cut_short(name: str, width: float) -> str:
    """A name in one line of about so many inches, the rest of it as "…"."""
    lines = folded(name, width).split("\n")
    return lines[0] + "…" * (len(lines) > 1)


def folded(name: str, width: float) -> str:
    """A name in lines of about so many inches; letters as wide as high count for two."""
    wide = any(east_asian_width(letter) in "WF" for letter in name)
    return fill(name, max(int((7 if wide else 14) * width), 4), break_on_hyphens=False)


def name_legend(panel: Panel, names: Sequence[str], colours: Sequence[str]) -> None:
    """Names in their colours above the right end of a panel, as many beside each other as fit."""
    from matplotlib.patches import Patch

    room = panel_inches(panel)
    folds = [folded(name, 1.35 * room) for name in names]  # of the legend's smaller letters
    handles = [Patch(color=c, label=n) for n, c in zip(folds, colours, strict=True)]
    panel.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=min(len(handles), max(1, beside_each_other(panel, folds))),
        handlelength=0.8,
        handleheight=0.8,
        columnspacing=0.8,
        handletextpad=0.3,
        borderpad=0.1,
    )


def _ends(axis: Axis) -> tuple[float, float]:
    """Where the first entry begins and the last ends."""
    x = axis.values
    return float(x[0] - axis.scale / 2), float(x[-1] + axis.scale / 2)


def _fair_shape(axes: Axes) -> bool:
    """Whether an image with equal steps per unit has a shape that can be seen."""
    height, width = (float(np.ptp(axis.values)) for axis in axes)
    return height > 0 and width > 0 and 1 / 12 < height / width < 12


def _colour_range(values: Array, both: bool) -> tuple[float, float, str]:
    """(lowest colour, highest colour, ends of the bar beyond which values lie)."""
    seen = values[np.isfinite(values)]
    size = np.abs(seen) if seen.size else np.zeros(1)
    most, high = float(size.max()), float(np.percentile(size, 99.8))
    if most <= 1.5 * high or high == 0:
        return (-most if both else 0.0), most or 1.0, "neither"
    return (-high if both else 0.0), high, "both" if both else "max"


def _label_axes(panel: Panel, axes: Axes, ends: bool) -> None:
    """Ticks with names and units along both axes, along x in the lowest panel only."""
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=_counts_only(axes[1]), min_n_ticks=1))
    panel.yaxis.set_major_locator(MaxNLocator(3, integer=_counts_only(axes[0]), min_n_ticks=1))
    panel.set_ylabel(axes[0].label)
    panel.tick_params(labelbottom=ends)
    if ends:
        panel.set_xlabel(axes[1].label)


@checked_call
def scale_bar(panel: Panel, axis: Axis) -> None:
    """A bar of 1, 2 or 5 times a power of ten, at most a third of the width, in the lower left."""
    left, right = panel.get_xlim()
    bottom, top = panel.get_ylim()
    most = abs(right - left) / 3
    power = 10.0 ** np.floor(np.log10(most))
    length = max(m * power for m in (1, 2, 5) if m * power <= most)
    bar = AnchoredSizeBar(
        panel.transData,
        length,
        length_text(length, axis.units),
        "lower left",
        pad=0.25,
        borderpad=0.3,
        sep=2,
        color="white",
        label_top=True,
        size_vertical=abs(top - bottom) / 40,  # type: ignore[arg-type]
        fontproperties=FontProperties(size=7),
    )
    bar.patch.set(facecolor="black", alpha=0.6, linewidth=0)
    panel.add_artist(bar)

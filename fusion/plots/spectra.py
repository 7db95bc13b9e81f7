"""`plot_spectra`: spectra of the components over each other, edges and lines by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.answers.components import is_number, names_of
from fusion.plots.plain_names import plain_names, take_as_they_are
from fusion.plots.quantities import quantity
from fusion.plots.split_scale import (
    ROOM,
    Scale,
    compression,
    height_of_the_rest,
    set_scale,
    split,
    split_where_hidden,
)
from fusion.plots.style import MOST

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

WIDTH, HEIGHT = 5.4, 2.6  # inches
STACKED = 0.55  # inches of one of stacked curves
ALIKE = 10.0  # degrees between two spectra, below which they are not told apart over each other
APART = 1.1  # of the highest, from one stacked curve to the next

Array = NDArray[np.float64]


@checked_call
@plain_names
def plot_spectra(
    result: Result,
    *,
    factor: str | None = None,
    components: Sequence[int | str] | None = None,
    lines: Sequence[tuple[float, str]] = (),
    elements: str | Sequence[str] = (),
    normalise: bool = True,
    scale: Scale = "auto",
    offset: float | None = None,
    panel: Panel | None = None,
) -> Figure:
    """Spectra in the colours of their maps, with names of edges and X-ray lines where they are.

    Over each other, or each above the one before where two differ by less than 10°, or there are
    more than six. Where one line hides the rest the scale is split.

    Args:
        result: what `fit` gave, or `Result.load`.
        factor: name of the spectra; default: the first over the channels.
        components: names, or numbers from 1, of those to show; default: all.
        lines: (energy, label) to be marked, in the unit of the axis; those outside it are left out.
        elements: whose lines or edges are named, where a spectrum shows them: ["Mn", "O"].
        normalise: each to its own maximum; else as the result has them.
        scale: of the intensities: "auto" splits it where one line hides the rest; "linear", "log".
        offset: by which every spectrum stands above the one before, in units of the highest;
            default: 0, or 1.1 where spectra would hide each other.
        panel: matplotlib axes to draw into; default: a figure of its own.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no such factor, component or element, or it is no curve.
    """
    from fusion.plots import drawing as draw
    from fusion.plots import factor_kinds as pick
    from fusion.plots.labels import mark, name_curves

    name, values, (axis,) = pick.curves("plot_spectra", result, factor)
    called = names_of(result, values.shape[1])
    chosen = pick.components("plot_spectra", called, components)
    shown = values[:, chosen]
    if normalise:
        heights = np.abs(np.nan_to_num(shown)).max(0)
        shown = shown / np.where(heights > 0, heights, 1.0)
    if offset is None and scale != "log":
        offset = APART if len(chosen) > MOST or _alike(shown) else 0.0
    if offset and scale == "log":
        raise ValueError(
            "`plot_spectra(scale='log')`: curves that stand one above the other have no common "
            "logarithm: leave the offset out."
        )
    with draw.style(panel):
        panel = draw.panel_or_new(panel, WIDTH, _height(len(chosen), offset), result)
        names = [called[k] for k in chosen]
        if offset:
            _draw_stacked(panel, shown, axis, chosen, names, offset, scale)
        else:
            _draw_over_each_other(panel, shown, axis, chosen, names)
            set_scale(panel, scale)
        panel.set_xlabel(axis.label)
        unit = "intensity / maximum" if normalise else quantity(result, name)
        panel.set_ylabel(unit if not offset else f"{unit}, stacked")
        figure = take_as_they_are(panel.get_figure(root=True))
        assert figure is not None
        if lines:
            figure.draw_without_rendering()  # so that the panel has its size
            mark(panel, lines)
        if len(elements):
            about = _metadata(result, axis)
            name_curves(figure, [(panel, axis, about, shown)], elements)
    return panel.figure  # pyright: ignore[reportReturnType]


def _height(count: int, offset: float | None) -> float:
    """Of a figure, inches."""
    return max(HEIGHT, 0.7 + STACKED * count * min(offset, 1.5)) if offset else HEIGHT


def _metadata(result: Result, axis: Axis) -> Any:
    """Of the data set whose channels these are."""
    own = [d.metadata for d in result.data.values() if d.signal == 1 and d.axes[-1] == axis]
    return own[0] if own else {}


def _alike(shown: Array) -> bool:
    """Whether two spectra differ by less than `ALIKE`."""
    y = np.nan_to_num(shown)
    lengths = np.linalg.norm(y, axis=0)
    unit = y[:, lengths > 0] / lengths[lengths > 0]
    cosines = np.triu(unit.T @ unit, 1)
    return bool((cosines > np.cos(np.radians(ALIKE))).any())


def _style_of(k: int) -> dict[str, Any]:
    """Colour and dashes of a component."""
    from fusion.plots import colours as palette

    return {"color": palette.colour(k), "linestyle": palette.dash(k), "linewidth": 1.2}


def _draw_over_each_other(
    panel: Any, shown: Array, axis: Axis, chosen: Sequence[int], names: Sequence[str]
) -> None:
    """All on one zero, with a legend."""
    from fusion.plots import drawing as draw

    for column, k, called in zip(shown.T, chosen, names, strict=True):
        panel.plot(axis.values, column, label=called, **_style_of(k))
    draw.horizontal_ticks(panel, axis)
    panel.margins(x=0.0)
    if draw.signed(shown) or not split_where_hidden(panel, axis):
        draw.vertical_ticks(panel)
        if not draw.signed(shown):
            panel.set_ylim(bottom=0.0)
    draw.name_inside(panel, "component" if all(map(is_number, names)) else None)


def _draw_stacked(
    panel: Any,
    shown: Array,
    axis: Axis,
    chosen: Sequence[int],
    names: Sequence[str],
    offset: float,
    scale: Scale,
) -> None:
    """One above the other, the first at the top, each named at its right end."""
    from fusion.plots import drawing as draw

    top = float(np.nanmax(np.abs(shown), initial=0.0)) or 1.0
    whole = scale == "linear" or draw.signed(shown)
    rest = None if whole else height_of_the_rest(np.nan_to_num(shown).max(1))
    placed = shown / top if rest is None else split(shown, ROOM * rest, top)
    room = 1.35 * draw.panel_inches(panel) * 0.45
    for place, (column, k, called) in enumerate(zip(placed.T, chosen, names, strict=True)):
        base = (len(chosen) - 1 - place) * offset
        panel.axhline(base, color=draw.SOFT, linewidth=0.4, zorder=0)
        look = _style_of(k) | {"linestyle": "-"}  # by its place it is told from others
        panel.plot(axis.values, column + base, label=called, **look)
        at, color = (1.0, base + 0.35 * min(offset, 1.0)), look["color"]
        panel.annotate(
            draw.cut_short(called, room), at, (-2, 0), ("axes fraction", "data"), "offset points",
            ha="right", va="bottom", fontsize=7, color=color, bbox=draw.VEIL,
        )  # fmt: skip
    draw.horizontal_ticks(panel, axis)
    panel.margins(x=0.0)
    panel.set_yticks([])
    panel.set_ylim(min(-0.03, float(np.nanmin(placed))), (len(chosen) - 1) * offset + 1.08)
    if rest is not None:
        panel.annotate(
            f"upper part of each drawn {compression(ROOM * rest, top):.0f} × smaller", (1.0, 1.0),
            (0, 1), "axes fraction", "offset points", ha="right", va="bottom", fontsize=5.5,
            color=draw.SOFT,
        )  # fmt: skip

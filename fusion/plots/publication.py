"""`plot_publication`: overlay, maps and spectra in the width of a journal's column or page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from fusion.algebra.calls import checked_call
from fusion.algebra.units import in_one_unit
from fusion.answers.components import in_words, names_of
from fusion.plots.plain_names import plain_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

INCH = 25.4  # mm
COLUMN, PAGE = 85.0, 178.0
"""Usual widths of one column and of a page of two, mm."""
PRINT: dict[Any, Any] = {
    "font.size": 7,
    "axes.labelsize": 7,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "figure.constrained_layout.h_pad": 0.06,
}
SPECTRA = 48.0  # mm, height of a panel of spectra
ROOM = 5.0  # mm above a map, for its title
NARROW = 100.0  # mm below which at most three maps stand beside each other


@checked_call
@plain_names
def plot_publication(
    result: Result,
    *,
    width: float = PAGE,
    factor: str | None = None,
    components: Sequence[int] | None = None,
    lines: Mapping[str, Sequence[tuple[float, str]]] | None = None,
    figure: Any = None,
) -> Figure:
    """Overlay and maps in a row, the spectra of every data set below, lettered, for print.

    Letters, 7 points, and curves have their size on paper; `savefig("fig.pdf")` keeps text as text.

    Args:
        result: what `fit` gave, or `Result.load`.
        width: of the figure, mm: 85 for one column, 178 for a page.
        factor: name of the maps; default: the first over the pixels.
        components: numbers of those to show, from 0; default: all.
        lines: {data set name: [(energy, label)]} to be marked in its spectra.
        figure: matplotlib figure or part of one to draw into; default: one of its own.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no such factor or component, or no image.
    """
    import matplotlib

    from fusion.plots import drawing as draw
    from fusion.plots import factor_kinds as pick
    from fusion.plots.overlay import plot_overlay
    from fusion.plots.spectra import plot_spectra

    name, values, axes = pick.maps("plot_publication", result, factor)
    chosen = pick.components("plot_publication", values.shape[2], components)
    spectra = _spectra_of(result, values.shape[2])
    across = _maps_in_row(len(chosen) + 1, width)
    rows = -(-(len(chosen) + 1) // across)
    tall = rows * (width / across * _aspect(axes) + ROOM)
    low = SPECTRA * (len(spectra) if width < NARROW else min(len(spectra), 1))
    with matplotlib.rc_context({**draw.STYLE, **PRINT}):
        size = (width / INCH, (tall + low) / INCH)
        figure = draw.figure_or_new(figure, size)
        above, below = figure.subfigures(2, 1, height_ratios=[tall, max(low, 1e-3)])
        draw.stamp(above, result)
        panels = above.subplots(rows, across, squeeze=False).ravel()
        plot_overlay(result, factor=name, components=chosen, panel=panels[0])
        called = [names_of(result, values.shape[2])[k] for k in chosen]
        if draw.beside_each_other(panels[0], called) < len(called):  # every map has its own
            panels[0].get_legend().remove()
        for k, panel in zip(chosen, panels[1:], strict=False):
            _draw_map(panel, values[..., k], axes, k, names_of(result, values.shape[2])[k])
        for panel in panels[1 + len(chosen) :]:
            panel.set_axis_off()
        shape = (len(spectra), 1) if width < NARROW else (1, max(len(spectra), 1))
        under = below.subplots(*shape, squeeze=False).ravel() if spectra else []
        for panel, (data, own) in zip(under, spectra.items(), strict=True):
            marks = (lines or {}).get(data, ())
            plot_spectra(result, factor=own, components=chosen, lines=marks, panel=panel)
            panel.set_title(data if len(spectra) > 1 else "", fontsize=7)
            panel.get_legend().remove()  # the overlay has one
        _add_letters([*panels[: 1 + len(chosen)], *under])
    return figure


def _maps_in_row(n: int, width: float) -> int:
    """Maps beside each other."""
    if width < NARROW:
        return 2 if n in (2, 4) else min(n, 3)
    return n if n <= 5 else -(-n // (-(-n // 5)))


def _aspect(axes: Any) -> float:
    """Height of a map over its width, within reason."""
    y, x = in_one_unit(axes)
    height, width = abs((y.size or 1) * y.scale), abs((x.size or 1) * x.scale)
    return min(max(height / width, 0.3), 2.0) if y.units == x.units else 1.0


def _spectra_of(result: Result, K: int) -> dict[str, str]:
    """{data set: factor of its spectra}, of those with as many components as the maps."""
    spectra: dict[str, str] = {}
    for data, summary in result.data.items():
        along = summary.axes[len(summary.axes) - summary.signal :]
        able = [
            n
            for n, modes in result.axes.items()
            if summary.signal == 1 and modes[0] == along and result.factors[n].shape[1:] == (K,)
        ]
        own = [n for n in able if n.endswith(f"_{data}")]
        if name := next(iter(own or able), None):
            spectra[data] = name
    return spectra


def _draw_map(panel: Any, values: Any, axes: Any, k: int, called: str) -> None:
    """A component in its colour, without a colour bar: the caption tells what white is."""
    from fusion.plots import colours as palette
    from fusion.plots import drawing as draw

    draw.image(panel, values, axes, ends=False, cmap=palette.ramp(palette.colour(k)))
    for drawn in [*panel.images, *panel.collections]:
        if getattr(drawn, "colorbar", None):
            drawn.colorbar.remove()
    panel.set_title(draw.cut_short(in_words(called), draw.panel_inches(panel)), fontsize=7)


def _add_letters(panels: Sequence[Any]) -> None:
    """a, b, c … at the upper left of every panel."""
    for letter, panel in zip(ascii_lowercase, panels, strict=False):
        panel.set_title(letter, loc="left", fontweight="bold", fontsize=8)

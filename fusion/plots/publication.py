"""`plot_publication`: overlay, maps and spectra in the width of a journal's column or page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from fusion.algebra.calls import checked_call
from fusion.algebra.units import in_one_unit
from fusion.answers.components import in_words, names_of
from fusion.plots import style
from fusion.plots.overlay import plot_overlay, share_text
from fusion.plots.plain_names import plain_names
from fusion.plots.spectra import plot_spectra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

INCH = 25.4  # mm
COLUMN, PAGE = 85.0, 178.0
"""Usual widths of one column and of a page of two, mm."""
SPECTRA, AXIS, CURVE = (
    48.0,
    14.0,
    7.0,
)  # mm, heights: of a panel of spectra, of its axis, of one of many
ENERGIES = ("eV", "keV")
LETTER = 0.2  # inches of a panel's letter, left of its title
ROOM = 5.0  # mm above a map, for its title
NARROW = 100.0  # mm below which at most three maps stand beside each other


@checked_call
@plain_names
def plot_publication(
    result: Result,
    *,
    width: float = PAGE,
    factor: str | None = None,
    components: Sequence[int | str] | None = None,
    lines: Mapping[str, Sequence[tuple[float, str]]] | None = None,
    elements: str | Sequence[str] = (),
    figure: Any = None,
) -> Figure:
    """Overlay and maps in a row, the spectra of every data set below, lettered, for print.

    Letters, 7 points, and curves have their size on paper; `savefig("fig.pdf")` keeps text as text.

    Args:
        result: what `fit` gave, or `Result.load`.
        width: of the figure, mm: 85 for one column, 178 for a page.
        factor: name of the maps; default: the first over the pixels.
        components: names, or numbers from 1, of those to show; default: all. More than six are
            not laid over each other.
        lines: {data set name: [(energy, label)]} to be marked in its spectra.
        elements: whose lines or edges are named on spectra that show them: ["Mn", "O"].
        figure: matplotlib figure or part of one to draw into; default: one of its own.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no such factor, component or element, or no image.
    """
    import matplotlib

    from fusion.plots import drawing as draw
    from fusion.plots import factor_kinds as pick

    name, values, axes = pick.maps("plot_publication", result, factor)
    called = names_of(result, values.shape[2])
    chosen = pick.components("plot_publication", called, components)
    spectra = _spectra_of(result, values.shape[2])
    across = _maps_in_row(len(chosen) + 1, width)
    rows = -(-(len(chosen) + 1) // across)
    tall = rows * (width / across * _aspect(axes) + ROOM)
    low = max(SPECTRA, AXIS + CURVE * len(chosen) * (len(chosen) > style.MOST))
    low *= len(spectra) if width < NARROW else min(len(spectra), 1)
    with matplotlib.rc_context(style.PRINT):
        size = (width / INCH, (tall + low) / INCH)
        figure = draw.figure_or_new(figure, size)
        above, below = figure.subfigures(2, 1, height_ratios=[tall, max(low, 1e-3)])
        draw.stamp(above, result)
        panels = above.subplots(rows, across, squeeze=False).ravel()
        _draw_overlay(panels[0], result, name, chosen, called)
        for k, panel in zip(chosen, panels[1:], strict=False):
            _draw_map(panel, values[..., k], axes, k, in_words(called[k]))
            share = share_text(result, len(called), k)
            panel.text(0.97, 0.97, share, transform=panel.transAxes, ha="right", va="top",
                       fontsize=6, color="white", bbox=style.SHADOW)  # fmt: skip
        for panel in panels[1 + len(chosen) :]:
            panel.set_axis_off()
        shape = (len(spectra), 1) if width < NARROW else (1, max(len(spectra), 1))
        under = below.subplots(*shape, squeeze=False).ravel() if spectra else []
        for panel, (data, own) in zip(under, spectra.items(), strict=True):
            plot_spectra(
                result,
                factor=own,
                components=[k + 1 for k in chosen],
                lines=(lines or {}).get(data, ()),
                elements=elements if result.data[data].axes[-1].units in ENERGIES else (),
                panel=panel,
            )
            if len(spectra) > 1:
                panel.set_title(data, fontsize=7)
            if panel.get_legend() is not None:
                panel.get_legend().remove()  # the overlay has one
        _add_letters([*panels[: 1 + len(chosen)], *under])
    return figure


def _draw_overlay(
    panel: Any, result: Result, name: str, chosen: Sequence[int], called: Sequence[str]
) -> None:
    """The overlay, of more than six the strongest; names where the maps beside it have none."""
    from fusion.plots import drawing as draw

    if len(chosen) <= style.MOST:
        plot_overlay(result, factor=name, components=[k + 1 for k in chosen], panel=panel)
    else:
        plot_overlay(result, factor=name, panel=panel)
    if draw.beside_each_other(panel, [called[k] for k in chosen]) < len(chosen):
        panel.get_legend().remove()


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


def _draw_map(panel: Any, values: Any, axes: Any, k: int, title: str) -> None:
    """A component in its colour, without a colour bar: the caption tells what white is."""
    from fusion.plots import colours as palette
    from fusion.plots import drawing as draw

    draw.image(panel, values, axes, ends=False, cmap=palette.ramp(palette.colour(k))).remove()
    room = draw.panel_inches(panel) - LETTER
    panel.set_title(draw.cut_short(title, room, most=2), fontsize=7, loc="right")


def _add_letters(panels: Sequence[Any]) -> None:
    """a, b, c … at the upper left of every panel."""
    for letter, panel in zip(ascii_lowercase, panels, strict=False):
        panel.set_title(letter, loc="left", fontweight="bold", fontsize=8)

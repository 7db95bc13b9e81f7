"""`plot_comparison`: the components of several answers, curves over each other, maps in a row."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.plots import factor_kinds as pick
from fusion.plots import style
from fusion.plots.plain_names import plain_names, take_as_they_are
from fusion.plots.shown_axes import shown
from fusion.plots.split_scale import split_where_hidden

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.answers.comparison import Comparison

NUMBER, LABEL, MAP, BAR, CURVE, NOTE = 0.3, 1.0, 1.6, 0.55, 2.7, 1.1  # inches
TALL, LOW = 1.7, 1.35  # inches of a row, where there are few and where there are many
ROWS, WIDE = 6, 14.0  # components above each other; inches up to which others go beside them


@checked_call
@plain_names
def plot_comparison(
    comparison: Comparison,
    *,
    factors: Sequence[str] | None = None,
    components: Sequence[int | str] | None = None,
    elements: str | Sequence[str] = (),
    figure: Any = None,
) -> Figure:
    """A row for every component of the reference, with the partner's number, angle, correlation.

    Rows of a factor that run along one axis, or none, are a curve, all answers over each other; of
    two axes an image for every answer, with the same colours for the same values. All are scaled to
    the reference. The figure is outside pyplot: a notebook shows it once, `savefig` writes it.

    Args:
        comparison: what `compare` gave.
        factors: names of those to show; default: all, images first.
        components: of the reference to show, names or numbers from 1; default: all.
        elements: whose lines or edges are named on spectra that show them: ["Mn", "O"].
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: if there is no such factor or component.
    """
    import matplotlib

    from fusion.plots import drawing as draw
    from fusion.plots.labels import name_curves

    factors, curves = _factors_to_show(comparison, factors), []
    chosen = pick.components("plot", comparison.components, components)
    plain = all(_component_label(comparison, k) == str(k + 1) for k in chosen)
    widths = [
        NUMBER if plain else LABEL,
        *(w for f in factors for w in _panel_widths(comparison, f)),
    ]
    stacks = max(1, min(-(-len(chosen) // ROWS), int(WIDE // sum(widths))))
    rows = -(-len(chosen) // stacks)
    height = rows * (TALL if rows <= 4 else LOW) + 0.75
    with matplotlib.rc_context(style.SCREEN):
        figure = draw.figure_or_new(figure, (stacks * sum(widths), height))
        grid = figure.add_gridspec(rows, stacks * len(widths), width_ratios=widths * stacks)
        for position, k in enumerate(chosen):
            stack, row = divmod(position, rows)
            cells = [grid[row, stack * len(widths) + i] for i in range(len(widths))]
            ends = row == rows - 1 or position == len(chosen) - 1
            curves += _draw_row(figure, cells, comparison, factors, k, first=row == 0, ends=ends)
        _legend(figure, comparison, factors)
        if len(elements):
            name_curves(take_as_they_are(figure), curves, elements)
    return figure


def _factors_to_show(comparison: Comparison, factors: Sequence[str] | None) -> list[str]:
    """Factors to show; if not told, images first."""
    known = list(comparison.axes)
    if missing := [f for f in factors or () if f not in known]:
        raise ValueError(
            f"`plot(factors={list(factors or ())})`: {missing[0]!r} was not compared: "
            f"choose of {', '.join(known)}."
        )
    return list(factors) if factors else sorted(known, key=lambda f: not _is_image(comparison, f))


def _is_image(comparison: Comparison, f: str) -> bool:
    """Whether a factor runs along several axes."""
    return len(shown(comparison.axes[f] or ())) > 1


def _answers_with(comparison: Comparison, f: str) -> list[str]:
    """The answers that have a factor, the reference first."""
    return [name for name in comparison.names if f in comparison.factors[name]]


def _panel_widths(comparison: Comparison, f: str) -> list[float]:
    """Widths of a factor's columns of panels."""
    maps = [MAP] * len(_answers_with(comparison, f))
    return [*maps, BAR] if _is_image(comparison, f) else [CURVE, NOTE]


def _draw_row(
    figure: Figure,
    cells: Sequence[Any],
    comparison: Comparison,
    factors: Sequence[str],
    k: int,
    *,
    first: bool,
    ends: bool,
) -> list[tuple[Any, ...]]:
    """One component: its name, then every factor; titles in the first row, axes in the last.

    Returns:
        The panels of curves, with their axes.
    """
    place, curves = iter(cells), []
    _write_lines(figure.add_subplot(next(place)), [(_component_label(comparison, k), "black")])
    for f in factors:
        panels = [figure.add_subplot(next(place)) for _ in _panel_widths(comparison, f)]
        if _is_image(comparison, f):
            _draw_maps(panels, comparison, f, k, ends=ends)
            titles = [*(fill(f"{f}, {name}", 22) for name in _answers_with(comparison, f)), ""]
        else:
            _draw_curves(panels[0], comparison, f, k, ends=ends)
            curves.append((panels[0], _row_axis(comparison, f)))
            notes = [
                (_partner_text(comparison, n, f, k), _line_style(comparison, n)["color"])
                for n in _answers_with(comparison, f)[1:]
            ]
            _write_lines(panels[1], notes)
            titles = [f, ""]
        for panel, title in zip(panels, titles, strict=True):
            if first:
                panel.set_title(title, pad=14)
    return curves


def _component_label(comparison: Comparison, k: int) -> str:
    name = comparison.components[k]
    return name if name == str(k + 1) else f"{k + 1}\n{fill(name, 15, break_on_hyphens=False)}"


def _partner_text(comparison: Comparison, name: str, f: str, k: int) -> str:
    """ "3: 2.10°, r 0.998", or that there is no partner."""
    partner = shorten(comparison.partner(name, k), 14, placeholder="…")
    angle, r = comparison.told(name, f, k)
    return "no partner" if partner == "–" else f"{partner}: {angle}, r {r}"


def _write_lines(panel: Any, lines: Sequence[tuple[str, str]]) -> None:
    """Coloured lines in the middle of an empty panel."""
    panel.set_axis_off()
    for i, (line, color) in enumerate(lines):
        shift = ((len(lines) - 1) / 2 - i) * min(10, 90 / len(lines))
        panel.annotate(
            line,
            (0.0, 0.5),
            (0, shift),
            "axes fraction",
            "offset points",
            va="center",
            fontsize=7,
            color=color,
        )


def _draw_maps(
    panels: Sequence[Any], comparison: Comparison, f: str, k: int, *, ends: bool
) -> None:
    """One map of every answer, with one range of colours; the last panel is room for their bar."""
    from fusion.plots import drawing as draw

    drawn = []
    panels[-1].set_axis_off()
    for panel, name in zip(panels, _answers_with(comparison, f), strict=False):
        column = comparison.factors[name][f][:, k]
        if name != comparison.names[0]:
            note = _partner_text(comparison, name, f, k)
            panel.annotate(
                note, (0.5, 1.0), (0, 2), "axes fraction", "offset points", ha="center", fontsize=7
            )
        if np.isfinite(column).any():
            draw.factor(panel, column, comparison.axes[f], ends=ends, label="intensity")
            drawn.append((panel.images or panel.collections)[0])
        else:
            panel.set_axis_off()
    _share_colours(drawn)


def _share_colours(drawn: Sequence[Any]) -> None:
    """One range of colours for several images; the last keeps its colour bar."""
    both = [image for image in drawn if image.get_clim()[0] < 0]
    high = max(image.get_clim()[1] for image in drawn)
    cmap = (both or drawn)[0].get_cmap()
    for image in drawn[:-1]:
        image.colorbar.remove()
    for image in drawn:
        image.set(cmap=cmap, clim=(-high if both else 0.0, high))
    drawn[-1].colorbar.ax.set_in_layout(False)  # all images have one size


def _draw_curves(panel: Any, comparison: Comparison, f: str, k: int, *, ends: bool) -> None:
    """All answers over each other, the reference thick below."""
    from fusion.plots import drawing as draw

    values = {name: comparison.factors[name][f][:, k] for name in _answers_with(comparison, f)}
    reference, *others = values
    axis = _row_axis(comparison, f)
    draw.curve(panel, values[reference], axis, ends=ends, dots=False)
    panel.lines[0].set(**_line_style(comparison, reference))
    for name in others:
        panel.plot(axis.values, values[name], **_line_style(comparison, name))
    panel.set_ylabel("intensity")
    every = np.concatenate(list(values.values()))
    if draw.signed(every) or not split_where_hidden(panel, axis):
        panel.set_ylim(*_limits(every))


def _row_axis(comparison: Comparison, f: str) -> Axis:
    """Along which the rows of a curve run."""
    rows = len(comparison.factors[comparison.names[0]][f])
    return shown(comparison.axes[f] or (Axis("index", size=rows),))[0]


def _limits(values: Any) -> tuple[float, float]:
    """Of the vertical axis: from zero where nothing is negative."""
    from fusion.plots import drawing as draw

    seen = values[np.isfinite(values)]
    low, high = min(seen, default=0.0), max(seen, default=0.0)
    room = 0.05 * (high - low or 1.0)
    return (low - room, high + room) if draw.signed(values) else (0.0, high + room)


def _line_style(comparison: Comparison, name: str) -> dict[str, Any]:
    """Of an answer's curve."""
    i = comparison.names.index(name) - 1
    if i < 0:
        return {"color": style.SOFT, "linewidth": 2.6, "linestyle": "-"}
    line = style.DASHES[i % len(style.DASHES)]
    return {"color": style.COMPONENTS[i % style.MOST], "linewidth": 1.1, "linestyle": line}


def _legend(figure: Figure, comparison: Comparison, factors: Sequence[str]) -> None:
    """The answers' curves and what the numbers are, above all."""
    from matplotlib.lines import Line2D

    from fusion.plots import drawing as draw

    names = comparison.names if not all(_is_image(comparison, f) for f in factors) else ()
    handles = [Line2D([], [], label=name, **_line_style(comparison, name)) for name in names]
    title = f"scaled to {comparison.names[0]}; partner's number: spectral angle, correlation r"
    width = draw.inches(figure)
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=max(1, int(width / (0.6 + 0.06 * max(map(len, names), default=0)))),
        title=fill(title, int(14 * width)),
        title_fontsize=8,
    )

"""`plot_composition`: a map of every element in at.%, mass thickness, what components are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.plots import style
from fusion.plots.plain_names import plain_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.elements.modelled_composition import ModelledComposition
    from fusion.plots.curves import Array

MAP, TALL = 2.3, 1.9  # inches, width and height of a panel
COLUMNS = 4  # panels beside each other, at most
NAME, CELL, FORMULA = 1.2, 1.15, 1.5  # inches, widths of the columns of the table
ROW = 0.36  # inches, height of a row of it
MICRO = 1e6  # µg in a g


@checked_call
@plain_names
def plot_composition(
    composition: ModelledComposition,
    *,
    weight: bool = False,
    errors: bool = False,
    figure: Any = None,
) -> Figure:
    """A map of every element in at.%, the mass thickness, and below the table of the components.

    Pixels with too few counts to tell, and masked ones, are grey. In the table stand at.%, the
    standard error, below them the 95 % interval, and the smallest formula within all intervals.
    The figure is outside pyplot: a notebook shows it once, `savefig` writes it.

    Args:
        composition: what `result.composition()` gave, of a model with a `LineModel`.
        weight: weight % in the place of at.%.
        errors: maps of standard errors, too.
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`.
    """
    import matplotlib

    from fusion.plots import drawing as draw

    rows, columns = _grid(composition, errors=errors)
    below = ROW * (len(composition.names) + 2)
    heights = [rows * TALL] * (rows > 0) + [below]
    wide = NAME + len(composition.elements) * CELL + FORMULA
    with matplotlib.rc_context(style.SCREEN):
        figure = draw.figure_or_new(figure, (max(columns * MAP, wide), sum(heights)))
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        if rows:
            draw_maps(composition, weight=weight, errors=errors, figure=parts[0])
        _draw_table(parts[-1].add_subplot(), composition, weight=weight)
    return figure


@plain_names
def draw_maps(
    composition: ModelledComposition,
    *,
    weight: bool = False,
    errors: bool = False,
    figure: Any = None,
) -> Figure:
    """The maps alone."""
    import matplotlib

    from fusion.plots import drawing as draw

    panels = _maps(composition, weight=weight, errors=errors)
    rows, columns = _grid(composition, errors=errors)
    axes = composition.maps.axes
    with matplotlib.rc_context(style.SCREEN):
        figure = draw.figure_or_new(figure, (columns * MAP, rows * TALL))
        grid = figure.add_gridspec(rows, columns)
        for i, (title, values, cmap, label) in panels.items():
            panel = figure.add_subplot(grid[divmod(i, columns)])
            ends = i + columns not in panels
            draw.factor(panel, values, axes, ends=ends, cmap=cmap, label=label)
            panel.set_title(title)
    return figure


def _grid(composition: ModelledComposition, *, errors: bool) -> tuple[int, int]:
    """Rows and columns of the maps, few places left empty; errors begin a row of their own."""
    if not composition.maps.axes:
        return 0, 1
    count = len(composition.elements)
    rows = -(-(count + 1) // COLUMNS)
    columns = -(-(count + 1) // rows)
    return rows + errors * -(-count // columns), columns


def _maps(
    composition: ModelledComposition, *, weight: bool, errors: bool
) -> dict[int, tuple[str, Array, str, str]]:
    """(title, values (pixel,), colours, unit) of every map, by its place in the grid."""
    maps, unit = composition.maps, "weight %" if weight else "at.%"
    values = maps.weight if weight else maps.atomic
    spread = maps.weight_errors if weight else maps.atomic_errors
    thickness = MICRO * np.asarray(composition.mass_thickness, dtype=float).reshape(-1)
    shown = [(e, values[:, j], style.MAPS, unit) for j, e in enumerate(maps.headings)]
    shown.append(("mass thickness", thickness, style.MAPS, "µg/cm²"))
    found = dict(enumerate(shown))
    if errors:
        _, columns = _grid(composition, errors=False)
        first = -(-len(shown) // columns) * columns
        for j, e in enumerate(maps.headings):
            found[first + j] = (f"error of {e}", spread[:, j], style.SIZES, f"± {unit}")
    return found


def _draw_table(panel: Any, composition: ModelledComposition, *, weight: bool) -> None:
    """Components by elements, with errors, intervals and formulas."""
    from fusion.elements.formula_unit import in_small_letters, interval_text
    from fusion.plots.drawing import cut_short

    panel.set_axis_off()
    count = len(composition.elements)
    places = np.cumsum([0.0, NAME, *[CELL] * count, FORMULA])
    panel.set(xlim=(0, places[-1]), ylim=(len(composition.names) + 1.6, 0))
    heads = ["weight %" if weight else "at.%", *composition.headings, composition.formula_heading]
    for x, text in zip(places, heads, strict=False):
        panel.text(x, 0.5, text, va="center", fontsize=8, color=style.GREY)
    panel.axhline(1.0, color=style.SOFT, linewidth=0.6)
    intervals = composition.weight_intervals if weight else composition.atomic_intervals
    for i, name in enumerate(composition.names):
        panel.text(0, i + 1.45, cut_short(name, NAME), va="center", fontsize=8)
        for j, x in enumerate(places[1 : 1 + count]):
            panel.text(x, i + 1.45, composition.cell(i, j, weight=weight), va="center", fontsize=8)
            if told := interval_text(*intervals[i, j]):
                panel.text(x, i + 1.8, told, va="center", fontsize=6, color=style.GREY)
        formula = in_small_letters(composition.formulas[i]) or "–"
        panel.text(places[1 + count], i + 1.45, formula, va="center", fontsize=8)
    told = f"mean mass thickness {composition.thickness_text}"
    panel.text(0, len(composition.names) + 1.4, told, va="center", fontsize=7)

"""`plot_ambiguity`: every factor with the band of the answers that fit as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.calls import checked_call
from fusion.answers.components import names_of
from fusion.plots import factor_kinds as pick
from fusion.plots import style
from fusion.plots.plain_names import plain_names, take_as_they_are
from fusion.plots.shown_axes import shown
from fusion.plots.split_scale import split_where_hidden

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

    from fusion.uncertainty.ambiguity import Ambiguity

CURVE, MAP, LABEL, ROW = 3.4, 1.75, 0.8, 1.6  # inches


@checked_call
@plain_names
def plot_ambiguity(
    ambiguity: Ambiguity,
    *,
    factors: Sequence[str] | None = None,
    components: Sequence[int | str] | None = None,
    elements: str | Sequence[str] = (),
    panel: Panel | None = None,
    figure: Any = None,
) -> Figure:
    """Curves in a shaded band from lowest to highest; images as lowest, the answer, highest.

    A row for every component, factors side by side, axes with units; the images of one component
    share their colours.

    Args:
        ambiguity: what `fusion.ambiguity` gave.
        factors: names of those to show; default: all of two or more components.
        components: names, or numbers from 1, of those to show; default: all.
        elements: whose lines or edges are named on spectra that show them: ["Mn", "O"].
        panel: matplotlib axes to draw one curve into, where one factor and component are named.
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`: its own, that of the panel, or the one that was given.

    Raises:
        ValueError: if there is no such factor or component, or a panel is given for several curves
            or an image.
    """
    import matplotlib

    from fusion.plots import drawing as draw

    names = _factors_to_show(ambiguity, factors)
    most = max(ambiguity.factors[name].shape[1] for name in names)
    called = names_of(ambiguity, most)
    chosen = pick.components("plot_ambiguity", called, components)
    if panel is not None:
        if len(names) > 1 or len(chosen) > 1 or _is_image(ambiguity, names[0]):
            raise ValueError(
                "`plot_ambiguity(panel=…)`: one panel takes one curve: name one factor along one "
                "axis, and one component."
            )
        _draw_band(panel, ambiguity, names[0], chosen[0], ends=True)
        return panel.figure  # pyright: ignore[reportReturnType]
    wide = [3 if _is_image(ambiguity, name) else 1 for name in names]
    widths = [LABEL, *(w for n in wide for w in ([MAP] * 3 if n == 3 else [CURVE]))]
    with matplotlib.rc_context(style.SCREEN):
        size = (sum(widths) + 0.3, ROW * len(chosen) + 0.7)
        figure = draw.figure_or_new(figure, size)
        grid, curves = figure.add_gridspec(len(chosen), len(widths), width_ratios=widths), []
        for row, k in enumerate(chosen):
            label = draw.folded(called[k], LABEL)
            _draw_name(figure.add_subplot(grid[row, 0]), label, first=row == 0)
            column = 1
            for name, n in zip(names, wide, strict=True):
                if k < ambiguity.factors[name].shape[1]:
                    panels = [figure.add_subplot(grid[row, column + i]) for i in range(n)]
                    _draw_component(panels, ambiguity, name, k, rows=(row, len(chosen)))
                    axes = _factor_axes(ambiguity, name)
                    curves += [(panels[0], axes[0])] if len(axes) == 1 else []
                    if row == 0 and n == 1 and name == names[-1]:
                        draw.name_inside(panels[0])
                column += n
        if len(elements):
            from fusion.plots.labels import name_curves

            name_curves(take_as_they_are(figure), curves, elements)
    return figure


def _factors_to_show(ambiguity: Ambiguity, factors: Sequence[str] | None) -> list[str]:
    """Factors to show, images first, those of the channels last."""
    if factors is not None:
        if missing := [name for name in factors if name not in ambiguity.factors]:
            raise ValueError(
                f"`plot_ambiguity`: no factor {missing[0]!r}; there are "
                f"{', '.join(ambiguity.factors)}."
            )
        return list(factors)
    able = [n for n, f in ambiguity.factors.items() if f.ndim == 2 and min(f.shape) > 1]
    return sorted(able, key=lambda name: name in ambiguity.channels)


def _factor_axes(ambiguity: Ambiguity, name: str) -> Axes:
    """What the rows of a factor run along."""
    rows = len(ambiguity.factors[name])
    return shown(ambiguity.axes.get(name) or (Axis("index", size=rows),))


def _is_image(ambiguity: Ambiguity, name: str) -> bool:
    return len(_factor_axes(ambiguity, name)) == 2


def _draw_name(panel: Panel, called: str, *, first: bool) -> None:
    panel.set_axis_off()
    panel.text(0.0, 0.5, called, va="center", fontsize=8)
    if first:
        panel.set_title("component", loc="left", fontsize=7)


def _draw_component(
    panels: list[Any], ambiguity: Ambiguity, name: str, k: int, *, rows: tuple[int, int]
) -> None:
    """One component of one factor."""
    row, count = rows
    if len(panels) == 1:
        _draw_band(panels[0], ambiguity, name, k, ends=row == count - 1)
        if row == 0:
            panels[0].set_title(f"{name}: answer and band")
        return
    _draw_maps(panels, ambiguity, name, k, ends=row == count - 1)
    if row == 0:
        for panel, which in zip(panels, ("lowest", "answer", "highest"), strict=True):
            panel.set_title(f"{name}: {which}")


def _draw_band(panel: Panel, ambiguity: Ambiguity, name: str, k: int, *, ends: bool) -> None:
    """A curve in its shaded band, the part that noise alone makes darker."""
    from fusion.plots import drawing as draw

    axes = _factor_axes(ambiguity, name)
    low, high = (band[:, k] for band in ambiguity.bands[name])
    value, error = ambiguity.factors[name][:, k], ambiguity.errors[name][:, k]
    axis = axes[0] if len(axes) == 1 else Axis("row", size=len(value))
    near = np.maximum(low, value - error), np.minimum(high, value + error)
    band = {"linewidth": 0, "color": style.VERMILLION}
    draw.curve(panel, value, axis, ends=ends, label="answer", dots=False)
    panel.set_ylabel("intensity")
    panel.lines[0].set(linewidth=0.7, color="black")
    panel.fill_between(axis.values, low, high, alpha=0.4, label="fit as well", **band)
    panel.fill_between(axis.values, *near, alpha=0.6, label="noise alone", **band)
    for edge in (low, high):  # seen where the band is narrower than the line
        panel.plot(axis.values, edge, linewidth=0.5, color=style.VERMILLION, zorder=1.5)
    if not draw.signed(np.concatenate([low, high])) and not split_where_hidden(panel, axis):
        panel.set_ylim(0.0, 1.05 * float(np.nanmax(high, initial=0.0)) or 1.0)


def _draw_maps(panels: list[Any], ambiguity: Ambiguity, name: str, k: int, *, ends: bool) -> None:
    """Lowest, answer and highest in the same colours."""
    from fusion.plots import drawing as draw

    axes = _factor_axes(ambiguity, name)
    low, high = (band[:, k] for band in ambiguity.bands[name])
    shape = [axis.size or 1 for axis in axes]
    for panel, column in zip(panels, (low, ambiguity.factors[name][:, k], high), strict=True):
        draw.image(panel, column.reshape(shape), axes, ends=ends, label="intensity")
        top = float(np.nanpercentile(high, 99.8))
        bottom = min(0.0, float(np.nanmin(low)))
        drawn = panel.images[0] if panel.images else panel.collections[0]
        drawn.set_clim(-top if bottom < 0 else 0.0, top)

"""`plot_white_lines`: spectra, the steps under their white lines, and the areas above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.edges.tables import with_error
from fusion.plots import style
from fusion.plots.factor_kinds import components as chosen_components
from fusion.plots.plain_names import plain_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

    from fusion.edges.white_lines import WhiteLines

WIDTH, ROW = 4.6, 1.7  # inches
BESIDE = 0.15  # of what is shown, left free at both sides
COLOURS = (style.BLUE, style.VERMILLION)


@checked_call
@plain_names
def plot_white_lines(
    found: WhiteLines,
    *,
    components: Sequence[int | str] | None = None,
    panel: Panel | None = None,
    figure: Any = None,
) -> Figure:
    """Every spectrum with its steps: areas shaded, windows of the continuum grey, maxima dotted.

    A panel for every component, one below the other; its title has the ratio with its error.

    Args:
        found: what `fusion.edges.white_lines` gave.
        components: names, or numbers from 1, of those to show; default: all.
        panel: matplotlib axes to draw into, where one component is named.
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`: its own, that of the panel, or the one that was given.

    Raises:
        ValueError: if there is no such component, or a panel is given for several.
    """
    from fusion.plots import drawing as draw

    called = [name.removeprefix("component ") for name in found.names]
    chosen = chosen_components("plot_white_lines", called, components)
    if panel is not None and len(chosen) != 1:
        raise ValueError(
            "`plot_white_lines(panel=…)`: one panel takes one spectrum: name one component."
        )
    with draw.style(panel):
        if panel is not None:
            _draw(panel, found, chosen[0], ends=True)
            return panel.figure  # pyright: ignore[reportReturnType]
        figure = draw.figure_or_new(figure, (WIDTH, ROW * len(chosen) + 0.5))
        panels = figure.subplots(len(chosen), 1, squeeze=False)[:, 0]
        for i, (each, k) in enumerate(zip(panels, chosen, strict=True)):
            _draw(each, found, k, ends=i == len(chosen) - 1)
        draw.name_inside(panels[0])
    return figure


def _draw(panel: Any, found: WhiteLines, k: int, *, ends: bool) -> None:
    """One component."""
    from fusion.plots import drawing as draw

    x, spectrum, continuum = found.axis.values, found.spectra[:, k], found.continuum[:, k]
    windows = [found.behind] if found.before is None else [found.before, found.behind]
    for i, window in enumerate(windows):
        low, high = _ends(window, x)
        label = "continuum read" if i == 0 else None
        panel.axvspan(low, high, color="0.9", linewidth=0, zorder=0, label=label)
    for j, (line, window) in enumerate(zip(found.lines, found.windows, strict=True)):
        low, high = _ends(window, x)
        inside = (x >= low) & (x <= high)
        panel.fill_between(
            x, continuum, spectrum, where=inside, color=COLOURS[j], alpha=0.35, linewidth=0,
            label=line,
        )  # fmt: skip
        panel.axvline(found.maxima[k, j], color=draw.SOFT, linewidth=0.6, linestyle=":")
    panel.plot(x, spectrum, color="black", linewidth=0.8)
    panel.plot(x, continuum, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="steps")
    first, last = _shown(found, x)
    panel.set_xlim(first, last)
    seen = np.nan_to_num(spectrum[(x >= first) & (x <= last)])
    low, high = min(0.0, float(seen.min(initial=0.0))), float(seen.max(initial=0.0))
    panel.set_ylim(1.08 * low, 1.08 * high or 1.0)
    panel.set_ylabel("intensity")
    first_line, second = found.lines
    ratio = with_error(found.ratio[k], found.ratio_errors[k])
    told = f"{first_line}/{second} = {ratio}" if np.isfinite(found.ratio[k]) else "not determined"
    panel.set_title(f"{found.names[k]}: {told}", loc="left", fontsize=8)
    panel.tick_params(labelbottom=ends)
    if ends:
        panel.set_xlabel(found.axis.label)
    draw.vertical_ticks(panel)


def _ends(window: Any, x: Any) -> tuple[float, float]:
    """Of a window, None being an end of the axis."""
    low, high = window
    return (
        float(x.min()) if low is None else float(low),
        float(x.max()) if high is None else float(high),
    )


def _shown(found: WhiteLines, x: Any) -> tuple[float, float]:
    """From where to where, all windows with something beside them, on the axis."""
    windows = [*found.windows, found.behind, *([found.before] if found.before else [])]
    ends = [end for window in windows for end in _ends(window, x)]
    beside = BESIDE * (max(ends) - min(ends))
    return max(float(x.min()), min(ends) - beside), min(float(x.max()), max(ends) + beside)

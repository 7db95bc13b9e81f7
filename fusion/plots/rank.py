"""`plot_ranking`: every criterion against the number of components, and the recommendation."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.plots import style
from fusion.plots.plain_names import plain_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.ranking.criterion import Criterion
    from fusion.ranking.recommendation import Ranking

COLUMNS, WIDTH, HEIGHT = 4, 2.35, 1.85  # panels beside each other at most; inches of one
LINE = 0.16  # inches of a line of text
BAND = "0.92"


@checked_call
@plain_names
def plot_ranking(ranking: Ranking, *, figure: Any = None) -> Figure:
    """A panel for every criterion: its curve, what it chooses, and the recommended number.

    The recommended K is the grey band in all panels, a criterion's own choice the red dot, what its
    curve is held against the dashed line. The figure is outside pyplot: a notebook shows it once,
    `savefig` writes it.

    Args:
        ranking: what `fusion.rank` gave.
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`.
    """
    import matplotlib

    from fusion.plots import drawing as draw

    criteria = ranking.criteria
    rows = -(-len(criteria) // COLUMNS)
    columns = -(-len(criteria) // rows)
    width = max(columns, 2) * WIDTH
    title = _title(ranking, int(15 * width))
    with matplotlib.rc_context(style.SCREEN):
        height = rows * HEIGHT + LINE * (title.count("\n") + 2)
        figure = draw.figure_or_new(figure, (width, height))
        figure.suptitle(title, fontsize=8, x=0.01, ha="left")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, criterion in zip(panels, criteria, strict=False):
            _draw_criterion(panel, criterion, ranking.recommended)
        for panel in panels[len(criteria) :]:
            panel.set_axis_off()
        for panel in panels[max(len(criteria) - columns, 0) : len(criteria)]:
            panel.set_xlabel("components")
    return figure


def _title(ranking: Ranking, width: int) -> str:
    """The number, and why."""
    lines = [f"{ranking.headline} (recommended: grey; by each criterion: red)"]
    lines += [fill(f"· {text}", width, subsequent_indent="  ") for text in ranking.why]
    return "\n".join(lines)


def _draw_criterion(panel: Any, criterion: Criterion, recommended: int) -> None:
    """The curve, the value it is held against, the choice, the recommendation."""
    from matplotlib.ticker import MaxNLocator, NullFormatter

    from fusion.plots import drawing as draw

    K, curve = criterion.K, criterion.curve
    panel.axvspan(recommended - 0.4, recommended + 0.4, color=BAND, linewidth=0, zorder=0)
    panel.plot(K, curve, color=style.BLUE, marker="o", markersize=3)
    if criterion.line is not None:
        panel.axhline(criterion.line, color=style.GREY, linewidth=0.8, linestyle="--")
    at = np.flatnonzero(criterion.chosen == K)
    if at.size:
        panel.plot(K[at], curve[at], "o", color=style.VERMILLION, markersize=6, zorder=3)
    shown = curve[curve > 0]
    if criterion.log and shown.size and shown.max() > 10 * shown.min():  # two labels at least
        panel.set_yscale("log")
        panel.yaxis.set_minor_formatter(NullFormatter())
    else:
        draw.ticks(panel)
        panel.set_ylim(bottom=0)
    if criterion.minimum and at.size:
        _limits_around(panel, curve, int(at[0]))
    low, high = min(int(K[0]), recommended), max(int(K[-1]), recommended)
    panel.set_xlim(low - 0.6, high + 0.6)
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    chosen = "chooses none" if criterion.chosen is None else f"{criterion.chosen}"
    panel.set_title(f"{criterion.name}: {chosen}")
    panel.set_ylabel(criterion.quantity)


def _limits_around(panel: Any, curve: np.ndarray, at: int) -> None:
    """Limits that show the minimum, its left neighbour, and all to the right."""
    low, high = float(curve.min()), float(curve[max(at - 1, 0) :].max())
    if high > low:
        panel.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))

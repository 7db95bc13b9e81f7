"""`plot_starts`: many answers over each other: what they agree on, and what they leave open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.plots import style
from fusion.plots.plain_names import plain_names, take_as_they_are

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.answers.comparison import Comparison

CURVE, TALL, LEGEND = 3.1, 1.8, 0.55  # inches: of a panel, of a row, of the legend
OTHER, WIDE = "0.72", 1.6  # colour of answers with a higher loss; width of the reference's line


@checked_call
@plain_names
def plot_starts(
    comparison: Comparison,
    losses: ArrayLike | None = None,
    *,
    factors: Sequence[str] | None = None,
    equal: float = 1e-4,
    elements: str | Sequence[str] = (),
    figure: Any = None,
) -> Figure:
    """All answers over each other; where those of equal loss differ, the data do not decide.

    A row for every component of the reference, a column for every factor that runs along one axis,
    each curve scaled to the reference. A panel tells the range of the angles to the reference of
    those answers whose loss is within `equal` of the lowest, relative to it; the others are grey.

    Args:
        comparison: what `fu.compare(reference, *answers)` gave, for instance of
            `[fu.fit(model, loss, starts=1, seed=i) for i in range(10)]`.
        losses: of the answers, the reference left out; default: all are equal.
        factors: names of those to show; default: all that run along one axis.
        equal: relative difference below which losses are equal.
        elements: whose lines or edges are named on spectra that show them: ["Mn", "O"].
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: if there is no such factor, none is a curve, or the losses are not one for every
            answer.
    """
    import matplotlib

    from fusion.plots import drawing as draw

    if not hasattr(comparison, "angles"):
        raise ValueError(
            f"`plot_starts({type(comparison).__name__})`: give the comparison of several answers: "
            "`plot_starts(fu.compare(result, *others))`; `result.plot()` has the loss of every "
            "start."
        )
    shown, good = _curves_to_show(comparison, factors), _as_low(comparison, losses, equal)
    rows, columns = len(comparison.components), len(shown)
    with matplotlib.rc_context(style.SCREEN):
        size = (max(columns * CURVE, 4.5), rows * TALL + LEGEND)
        figure = draw.figure_or_new(figure, size)
        panels = figure.subplots(rows, columns, squeeze=False, sharex="col")
        for k, row in enumerate(panels):
            for panel, f in zip(row, shown, strict=True):
                _draw_panel(panel, comparison, f, k, good)
                panel.set_xlabel(_row_axis(comparison, f).label if k == rows - 1 else "")
            row[0].set_ylabel(comparison.components[k])
        for panel, f in zip(panels[0], shown, strict=True):
            panel.set_title(f, pad=14)
        _legend(figure, comparison, good, equal)
        if len(elements):
            from fusion.plots.labels import name_curves

            curves = [
                (panel, _row_axis(comparison, f))
                for row in panels
                for panel, f in zip(row, shown, strict=True)
            ]
            name_curves(take_as_they_are(figure), curves, elements)
    return figure


def _curves_to_show(comparison: Comparison, factors: Sequence[str] | None) -> list[str]:
    """Factors to show: those that run along one axis, or along none that is known."""
    known = [f for f, axes in comparison.axes.items() if len(axes or ()) <= 1]
    if not known:
        raise ValueError(
            "`plot_starts`: only images were compared: compare factors along one axis."
        )
    missing = [f for f in factors or () if f not in known]
    if missing:
        raise ValueError(
            f"`plot_starts(factors={list(factors or ())})`: {missing[0]!r} is not one of the "
            f"curves that were compared: choose of {', '.join(known)}."
        )
    return known if factors is None else list(factors)


def _as_low(comparison: Comparison, losses: ArrayLike | None, equal: float) -> dict[str, bool]:
    """For every answer, whether its loss is as low as the lowest."""
    names = comparison.names[1:]
    values = np.zeros(len(names)) if losses is None else np.asarray(losses, dtype=float)
    if values.shape != (len(names),):
        raise ValueError(
            f"`plot_starts`: losses of shape {values.shape} for {len(names)} answers beside the "
            f"reference {comparison.names[0]!r}: give one for each."
        )
    lowest = values[np.isfinite(values)].min(initial=np.inf)
    return dict(zip(names, (values <= lowest + equal * abs(lowest)).tolist(), strict=True))


def _row_axis(comparison: Comparison, f: str) -> Axis:
    rows = len(comparison.factors[comparison.names[0]][f])
    return (comparison.axes[f] or (Axis("index", size=rows),))[0]


def _draw_panel(panel: Any, comparison: Comparison, f: str, k: int, good: dict[str, bool]) -> None:
    """One component of one factor: the worse answers below, the reference on top."""
    from fusion.plots import drawing as draw

    owners = [name for name in good if f in comparison.factors[name]]
    x = _row_axis(comparison, f).values
    for name in sorted(owners, key=good.__getitem__):
        color, width = (style.BLUE, 0.9) if good[name] else (OTHER, 0.6)
        panel.plot(x, comparison.factors[name][f][:, k], color=color, linewidth=width, alpha=0.7)
    reference = comparison.factors[comparison.names[0]][f][:, k]
    panel.plot(x, reference, color="black", linewidth=WIDE, linestyle=(0, (3, 2)))
    curves = np.concatenate([np.ravel(line.get_ydata()) for line in panel.lines])
    draw.ticks(panel)
    panel.margins(x=0)
    if draw.signed(curves):
        panel.axhline(0.0, color=style.GREY, linewidth=0.6, zorder=0)
    else:
        panel.set_ylim(bottom=0.0)
    angles = np.array([comparison.angles[name][f][k] for name in owners if good[name]])
    angles = angles[np.isfinite(angles)]
    if angles.size:
        text = f"{angles.min():.1f}–{angles.max():.1f}°" if angles.size > 1 else f"{angles[0]:.1f}°"
        place = ((1.0, 1.0), (0, 2), "axes fraction", "offset points")
        panel.annotate(text, *place, ha="right", fontsize=7, color=style.BLUE)


def _legend(figure: Any, comparison: Comparison, good: dict[str, bool], equal: float) -> None:
    from matplotlib.lines import Line2D

    n, others = sum(good.values()), len(good) - sum(good.values())
    label = f"{n} of equal loss (to {equal:g}), angles to {comparison.names[0]}"
    handles = [
        Line2D([], [], color="black", linewidth=WIDE, linestyle=(0, (3, 2))),
        Line2D([], [], color=style.BLUE),
        Line2D([], [], color=OTHER),
    ]
    labels = [comparison.names[0], label, f"{others} of higher loss"]
    keep = 2 + bool(others)
    figure.legend(handles[:keep], labels[:keep], loc="outside upper center", ncols=keep)

"""`plot_spectra`: spectra of the components over each other, edges and lines by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.answers.components import is_number, names_of
from fusion.plots.plain_names import plain_names, take_as_they_are
from fusion.plots.tall_peak import ROOM, height_beside_zero

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

WIDTH, HEIGHT = 4.6, 2.6  # inches


@checked_call
@plain_names
def plot_spectra(
    result: Result,
    *,
    factor: str | None = None,
    components: Sequence[int] | None = None,
    lines: Sequence[tuple[float, str]] = (),
    normalise: bool = True,
    offset: float = 0.0,
    panel: Panel | None = None,
) -> Figure:
    """Spectra in the colours of their maps, with names of edges and X-ray lines where they are.

    Args:
        result: what `fit` gave, or `Result.load`.
        factor: name of the spectra; default: the first over the channels.
        components: numbers of those to show, from 0; default: all.
        lines: (energy, label) to be marked, in the unit of the axis; those outside it are left out.
        normalise: each to its own maximum, a huge peak at energy 0 left out (which is cut off, see
            `fusion.plots.tall_peak`); else as the result has them.
        offset: by which every spectrum stands above the one before, in units of the highest.
        panel: matplotlib axes to draw into; default: a figure of its own.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no such factor or component, or it is no curve.
    """
    from fusion.plots import colours as palette
    from fusion.plots import drawing as draw
    from fusion.plots import factor_kinds as pick
    from fusion.plots.labels import mark

    name, values, (axis,) = pick.curves("plot_spectra", result, factor)
    chosen = pick.components("plot_spectra", values.shape[1], components)
    called = names_of(result, values.shape[1])
    beside = [height_beside_zero(column, axis) for column in values.T]
    heights = np.nanmax(np.abs(values), axis=0)
    heights = np.array([b or h for b, h in zip(beside, heights, strict=True)])
    scale = np.where(heights > 0, heights, 1.0) if normalise else np.ones(values.shape[1])
    shown = float(np.max((heights / scale)[chosen], initial=0.0))
    step = offset * shown
    with draw.style(panel):
        panel = draw.panel_or_new(panel, WIDTH, HEIGHT, result)
        for place, k in enumerate(chosen):
            style: dict[str, Any] = {"color": palette.colour(k), "linestyle": palette.dash(k)}
            curve = values[:, k] / scale[k] + place * step
            panel.plot(axis.values, curve, label=called[k], linewidth=1.2, **style)
        _finish_axes(panel, axis, bottom=None if draw.signed(values[:, chosen]) else 0.0)
        if any(beside[k] for k in chosen):
            panel.set_ylim(top=ROOM * (shown + (len(chosen) - 1) * step))
        panel.set_ylabel(f"{name} / maximum" if normalise else name)
        if step:
            panel.set_yticks([])
        panel.legend(title="component" if all(map(is_number, called)) else None, loc="best")
        if lines:
            whole = panel.get_figure(root=True)
            assert whole is not None
            take_as_they_are(whole).draw_without_rendering()  # so that the panel has its size
            mark(panel, lines)
    return panel.figure  # pyright: ignore[reportReturnType]


def _finish_axes(panel: Any, axis: Any, *, bottom: float | None) -> None:
    from fusion.plots import drawing as draw

    draw.ticks(panel)
    panel.margins(x=0.0)
    panel.set_xlabel(axis.label)
    if bottom is not None:
        panel.set_ylim(bottom=bottom)

"""`plot_overlay` and `plot_map`: components of an image, all in one, or one alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.answers.components import in_words, is_number, names_of
from fusion.plots.plain_names import plain_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

SIDE = 3.2  # inches


@checked_call
@plain_names
def plot_overlay(
    result: Result,
    *,
    factor: str | None = None,
    components: Sequence[int] | None = None,
    colours: Sequence[str] | None = None,
    panel: Panel | None = None,
) -> Figure:
    """Maps of the components in their colours, added, with a scale bar; grey is masked.

    Every map goes from 0 to its own brightest pixels: the picture tells where components are, not
    how much of them there is.

    Args:
        result: what `fit` gave, or `Result.load`.
        factor: name of the maps; default: the first over the pixels.
        components: numbers of those to show, from 0; default: all.
        colours: "#rrggbb" for each of them; default: those of `fusion.plots.colours`, which all
            other pictures use.
        panel: matplotlib axes to draw into; default: a figure of its own.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no such factor or component, it is no image, or there are not as
            many colours as components.
    """
    from fusion.plots import colours as palette
    from fusion.plots import drawing as draw
    from fusion.plots import factor_kinds as pick

    _, values, axes = pick.maps("plot_overlay", result, factor)
    chosen = pick.components("plot_overlay", values.shape[2], components)
    used = [palette.colour(k) for k in chosen] if colours is None else list(colours)
    if len(used) != len(chosen):
        raise ValueError(
            f"`plot_overlay`: {len(used)} colours for {len(chosen)} components: give one for each."
        )
    called = names_of(result, values.shape[2])
    with draw.style(panel):
        panel = draw.panel_or_new(panel, SIDE, _figure_height(values) + 0.35, result)
        draw.picture(panel, palette.overlay(values[..., chosen], used), axes)
        draw.name_legend(panel, [called[k] for k in chosen], used)
    return panel.figure  # pyright: ignore[reportReturnType]


@checked_call
@plain_names
def plot_map(
    result: Result, component: int, *, factor: str | None = None, panel: Panel | None = None
) -> Figure:
    """One component's map from black through its colour to white, with scale bar and colour bar.

    Values of both signs diverge from zero in blue and red instead; what is masked is grey.

    Args:
        result: what `fit` gave, or `Result.load`.
        component: its number, from 0.
        factor: name of the maps; default: the first over the pixels.
        panel: matplotlib axes to draw into; default: a figure of its own.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no such factor or component, or it is no image.
    """
    from fusion.plots import colours as palette
    from fusion.plots import drawing as draw
    from fusion.plots import factor_kinds as pick

    name, values, axes = pick.maps("plot_map", result, factor)
    (k,) = pick.components("plot_map", values.shape[2], [component])
    called = names_of(result, values.shape[2])[k]
    with draw.style(panel):
        panel = draw.panel_or_new(panel, SIDE + 0.5, _figure_height(values) + 0.3, result)
        draw.image(panel, values[..., k], axes, ends=True, cmap=palette.ramp(palette.colour(k)))
        panel.set_title(f"{name}, {in_words(called)}" if is_number(called) else called)
    return panel.figure  # pyright: ignore[reportReturnType]


def _figure_height(values: Any) -> float:
    """Of a figure for an image of this shape, inches."""
    return float(np.clip(SIDE * values.shape[0] / values.shape[1], 0.6, 6.0))

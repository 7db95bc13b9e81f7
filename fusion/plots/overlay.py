"""`plot_overlay` and `plot_map`: components of an image, all in one, or one alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fusion.algebra.axis import Axes
from fusion.algebra.calls import checked_call
from fusion.algebra.units import in_one_unit
from fusion.answers.components import in_words, index_of, names_of
from fusion.plots import style
from fusion.plots.averages import few_enough, say_means
from fusion.plots.plain_names import plain_names
from fusion.plots.quantities import quantity, share_of

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
    components: Sequence[int | str] | None = None,
    colours: Sequence[str] | None = None,
    panel: Panel | None = None,
) -> Figure:
    """Maps of the components in their colours, added, with a scale bar; grey is masked.

    At most six: more colours are not told apart. Every map goes from 0 to its own brightest pixels:
    the picture tells where components are, not how much of them there is.

    Args:
        result: what `fit` gave, or `Result.load`.
        factor: name of the maps; default: the first over the pixels.
        components: names, or numbers from 1, of at most six to show; default: those of the largest
            share in the data.
        colours: "#rrggbb" for each of them; default: those of `fusion.plots.colours`, which all
            other pictures use.
        panel: matplotlib axes to draw into; default: a figure of its own.

    Returns:
        The figure.

    Raises:
        ValueError: if there is no such factor or component, it is no image, there are more than
            six, or not as many colours as components.
    """
    from fusion.plots import colours as palette
    from fusion.plots import drawing as draw
    from fusion.plots import factor_kinds as pick

    _, values, axes = pick.maps("plot_overlay", result, factor)
    called = names_of(result, values.shape[2])
    chosen = pick.components("plot_overlay", called, components or strongest(result, called))
    if len(chosen) > style.MOST:
        raise ValueError(
            f"`plot_overlay(components={list(components or ())!r})`: {len(chosen)} components, "
            f"more than the {style.MOST} colours that are told apart: choose of them, or use "
            "`plot_map`."
        )
    used = palette.own_colours(chosen) if colours is None else list(colours)
    if len(used) != len(chosen):
        raise ValueError(
            f"`plot_overlay`: {len(used)} colours for {len(chosen)} components: give one for each."
        )
    with draw.style(panel):
        panel = draw.panel_or_new(panel, SIDE, _figure_height(axes) + 0.35, result)
        shown, coarse, by = few_enough(values[..., chosen], axes)
        draw.picture(panel, palette.overlay(shown, used), coarse)
        say_means(panel, by)
        draw.name_legend(panel, [called[k] for k in chosen], used)
        if components is None and len(chosen) < len(called):
            told = f"the strongest {len(chosen)} of {len(called)}"
            panel.annotate(
                told, (1.0, 0.0), (0, -2), "axes fraction", "offset points", ha="right", va="top",
                fontsize=6,
            )  # fmt: skip
    return panel.figure  # pyright: ignore[reportReturnType]


def strongest(result: Result, called: Sequence[str]) -> list[int | str]:
    """Numbers from 1 of the components of largest share, six at most, in their order."""
    shares = share_of(result, len(called))
    order = np.argsort(-shares, kind="stable")[: style.MOST]
    return [int(k) + 1 for k in np.sort(order)]


@checked_call
@plain_names
def plot_map(
    result: Result, component: int | str, *, factor: str | None = None, panel: Panel | None = None
) -> Figure:
    """One component's map from black through its colour to white, with scale bar and colour bar.

    Values of both signs diverge from zero in blue and red instead; what is masked is grey.

    Args:
        result: what `fit` gave, or `Result.load`.
        component: its name, or its number from 1.
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
    called = names_of(result, values.shape[2])
    k = index_of(f"plot_map(…, {component!r})", called, component)
    with draw.style(panel):
        panel = draw.panel_or_new(panel, SIDE + 0.7, _figure_height(axes) + 0.3, result)
        cmap, label = palette.ramp(palette.colour(k)), quantity(result, name)
        draw.image(panel, values[..., k], axes, ends=True, cmap=cmap, label=label)
        panel.set_title(titled(result, called, k))
    return panel.figure  # pyright: ignore[reportReturnType]


def titled(result: Result, called: Sequence[str], k: int) -> str:
    """A component in words, with its share: "core, 38 %"."""
    share = share_text(result, len(called), k)
    return f"{in_words(called[k])}{f', {share}' if share else ''}"


def share_text(result: Result, K: int, k: int) -> str:
    """ "38 %", the share of a component in the data; nothing where it is not known."""
    share = share_of(result, K)[k]
    return f"{100 * share:.3g} %" if np.isfinite(share) and share > 0 else ""


def _figure_height(axes: Axes) -> float:
    """Of a figure for an image with these axes, inches."""
    from fusion.plots import drawing as draw

    return float(np.clip(SIDE * draw.height_over_width(in_one_unit(axes)), 0.6, 6.0))

"""`plot_plural_scattering`: low loss, t/λ, core loss, and spectra without plural scattering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.plots import style
from fusion.plots.plain_names import plain_names
from fusion.plots.plural_parts import PluralParts, plural_parts
from fusion.plots.quantities import unit_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

WIDTH, TALL, LOW = 8.5, 2.3, 1.9  # inches
COLUMNS = 3  # components beside each other
LEAST = 1e-7
"""Share of the electrons in a channel below which none is drawn."""
ONCE, OFTEN = "-", (0, (4, 2))
"""Lines of spectra without and with plural scattering."""
ROOM = 1.15
"""Height over the highest."""


@checked_call
@plain_names
def plot_plural_scattering(result: Result, *, figure: Any = None) -> Figure:
    """What thickness does to spectra, in a fit that knows the low loss.

    Above the mean low loss with those of the thinnest and thickest tenth of the pixels, the zero
    loss as one channel; the kernels of which every low loss is made; t/λ of every pixel. Then the
    mean core loss with its fit and the background beneath. Below every component without plural
    scattering, as it was found, and with that of the mean pixel: the same amount. The figure is
    outside pyplot: a notebook shows it once, `savefig` writes it.

    Args:
        result: what `fit` gave of `models.DualEELS`.
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: if the model knows no low loss, or the result was loaded and has no model.
    """
    import matplotlib
    from matplotlib.lines import Line2D

    from fusion.plots import drawing as draw

    found = plural_parts(result)
    if found is None:
        why = "was loaded, without its model" if result.model is None else "has no low loss"
        raise ValueError(
            f"`plot_plural_scattering`: the result {why}: give what `fit` gave of "
            "`models.DualEELS(core, low, K)`."
        )
    rows = -(-len(found.names) // COLUMNS)
    heights = [TALL, TALL, *[LOW] * rows]
    with matplotlib.rc_context(style.SCREEN):
        figure = draw.figure_or_new(figure, (WIDTH, sum(heights)))
        parts = figure.subfigures(3, 1, height_ratios=[TALL, TALL, rows * LOW])
        draw.stamp(parts[0], result)
        above = parts[0].subplots(1, 3)
        _draw_low(above[0], found)
        _draw_kernels(above[1], found)
        _draw_thickness(above[2], found)
        _draw_core(parts[1].subplots(), found)
        grid = parts[2].add_gridspec(rows, min(COLUMNS, len(found.names)))
        for k in range(len(found.names)):
            place = divmod(k, COLUMNS)
            _draw_component(parts[2].add_subplot(grid[place]), found, k)
        told = [Line2D([], [], color=style.GREY, linestyle=line) for line in (ONCE, OFTEN)]
        names = ["single scattering", "with the plural scattering of the mean pixel"]
        parts[2].legend(told, names, loc="outside upper center", ncols=2)
    return figure


def _draw_low(panel: Any, found: PluralParts) -> None:
    """On a logarithmic scale: the zero loss is a hundred times the rest."""
    curves = (
        (found.thin, "thinnest tenth", {"color": style.SOFT, "linewidth": 0.8}),
        (found.thick, "thickest tenth", {"color": style.VERMILLION, "linewidth": 0.8}),
        (found.low, "mean", {"color": style.BLUE, "linewidth": 1.4}),
    )
    for values, name, look in curves:
        shown = np.where(values > LEAST, values, np.nan)
        panel.plot(found.losses, shown, label=name, **look)
    panel.set_yscale("log")
    panel.set_title("low loss")
    panel.set_ylabel("share of electrons a channel")
    _mark_zero(panel, found, 0.02)
    panel.legend()


def _draw_kernels(panel: Any, found: PluralParts) -> None:
    """Behind the zero loss, beside which nothing would be seen."""
    from fusion.plots import colours
    from fusion.plots import drawing as draw

    behind = found.kernels[1:]
    for r, column in enumerate(behind.T):
        look = {"color": colours.colour(r), "linestyle": colours.dash(r)}
        panel.plot(found.losses[1:], column, label=str(r + 1), **look)
    panel.axhline(0.0, color=style.GREY, linewidth=0.6, zorder=0)
    draw.vertical_ticks(panel)
    count = behind.shape[1]
    panel.set_title(f"{count} kernel{'s' * (count > 1)} of the low loss")
    panel.set_ylabel("share × rms amount")
    _mark_zero(panel, found, 0.98)
    panel.legend(ncols=2)


def _mark_zero(panel: Any, found: PluralParts, height: float) -> None:
    """Its name at this share of the height, where no curve is."""
    last = found.losses[-1]
    panel.axvline(0.0, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    panel.annotate(
        "zero loss", (0.0, height), (3, 0), ("data", "axes fraction"), "offset points",
        rotation=90, va="bottom" if height < 0.5 else "top", fontsize=6.5, color=style.GREY,
    )  # fmt: skip
    panel.set_xlim(-0.04 * last, last)
    panel.set_xlabel("energy loss (eV)")


def _draw_thickness(panel: Any, found: PluralParts) -> None:
    """With its mean over the pixels, and their standard deviation."""
    from fusion.plots import drawing as draw

    values = found.thickness.values
    draw.factor(panel, values.reshape(-1), found.pixels, ends=True, label="t/λ")
    panel.set_title(f"t/λ: {np.nanmean(values):.2f} ± {np.nanstd(values):.2f}")


def _draw_core(panel: Any, found: PluralParts) -> None:
    """Mean of all pixels: measured, fitted, and what of it is background."""
    from fusion.plots import drawing as draw

    core, x = found.core, found.axis.values
    panel.plot(x, core.mean_spectrum, color=style.SOFT, linewidth=2.4, label="measured")
    panel.plot(x, core.mean_spectrum - core.residual_spectrum, color=style.BLUE, label="fit")
    panel.plot(x, found.background, color=style.VERMILLION, label="background")
    panel.fill_between(x, found.background, color=style.VERMILLION, alpha=0.1, linewidth=0)
    _finish(panel, found)
    panel.set_ylim(0, ROOM * float(np.nanmax(core.mean_spectrum)))
    panel.set_title("mean core loss")
    panel.set_ylabel(unit_of(core))
    draw.name_inside(panel)


def _draw_component(panel: Any, found: PluralParts, k: int) -> None:
    """The same amount, scattered once, and as the mean thickness shows it."""
    from fusion.plots import colours

    x = found.axis.values
    panel.plot(x, found.single[:, k], color=colours.colour(k), linestyle=ONCE)
    panel.plot(x, found.plural[:, k], color=colours.colour(k), linestyle=OFTEN)
    _finish(panel, found)
    panel.set_ylim(bottom=0.0)
    panel.set_title(f"component {found.names[k]}" if found.names[k].isdecimal() else found.names[k])
    if k % COLUMNS == 0:
        panel.set_ylabel("arb. units")


def _finish(panel: Any, found: PluralParts) -> None:
    from fusion.plots import drawing as draw

    panel.margins(x=0.0)
    draw.horizontal_ticks(panel, found.axis)
    draw.vertical_ticks(panel)
    panel.set_xlabel(found.axis.label)

"""`plot_dataset`: total map, mean spectrum, and the singular values against the noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.axis import Axes
from fusion.algebra.calls import checked_call
from fusion.data.tally import Tally, tally
from fusion.plots import style
from fusion.plots.plain_names import plain_names, take_as_they_are
from fusion.plots.shown_axes import shown
from fusion.plots.split_scale import set_scale
from fusion.prepare.inspection import noise_or_reason

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.data.dataset import Dataset
    from fusion.prepare.noise import Noise

MAP, SPECTRUM, SCREE = 3.1, 4.2, 2.9  # inches
HEIGHT, TALL, LINE = 2.5, 3.3, 0.16  # inches: of panels, of a spectrum drawn twice, of a line
STEEP = 100.0  # brightest channel over the fainter ones, from which a log scale is drawn as well
FAINT = 25.0  # per cent of the channels that are fainter than those it is compared with
PAD = 14  # points between a panel and its title: room for a power of ten
BELOW = 20  # singular values that are drawn behind those above the edge


@checked_call
@plain_names
def plot_dataset(
    dataset: Dataset,
    *,
    noise: Noise | None = None,
    elements: str | Sequence[str] = (),
    figure: Any = None,
) -> Figure:
    """Total map, mean spectrum, and the scree with the edge of the noise.

    The map is summed over the channels, the spectrum is the mean over the pixels, once more on a
    log scale where it spans orders of magnitude; singular values above the edge are numbered. An
    image is shown alone, a single spectrum without a map, all without a scree where the noise
    cannot be told. What is masked or NaN is grey. The figure is outside pyplot: a notebook shows it
    once, `savefig` writes it.

    Args:
        dataset: spectra, patterns or an image.
        noise: what `dataset.noise()` gave, where it is known already.
        elements: whose X-ray lines (of EDS) or edges (of EELS) are named on the spectrum, as for
            `fusion.elements.labels`: ["Mn", "O"].
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`.
    """
    import matplotlib

    from fusion.plots import drawing as draw

    stats = tally(dataset)
    reason = ""
    if noise is None and dataset.signal:
        noise, reason = noise_or_reason(dataset, stats)
    unit = "counts" if noise is not None and noise.counts else "intensity"
    panels = _panels(dataset, stats, noise, unit)
    with matplotlib.rc_context(style.SCREEN):
        width = max(sum(w for w, _ in panels), 4.5)
        title = _title(dataset, noise, reason, width)
        height = TALL if _wants_log(dataset, stats) else HEIGHT
        height += LINE * (title.count("\n") + 1) + 0.35
        figure = draw.figure_or_new(figure, (width, height))
        figure.suptitle(title, fontsize=9)
        if isinstance(figure, draw.Picture):
            figure.set_layout_engine("constrained", wspace=0.06)
        grid = figure.add_gridspec(1, len(panels), width_ratios=[w for w, _ in panels])
        for i, (_, paint) in enumerate(panels):
            paint(figure, grid[0, i])
        if len(elements):
            from fusion.plots.labels import name_curves

            drawn = [a for a in figure.axes if a.get_xlabel() == dataset.axes[-1].label]
            curves = [(panel, dataset.axes[-1], dataset.metadata) for panel in drawn]
            name_curves(take_as_they_are(figure), curves, elements)
    return figure


def _panels(
    data: Dataset, stats: Tally, noise: Noise | None, unit: str
) -> list[tuple[float, Callable[[Any, Any], None]]]:
    """(width, function of figure and place that draws it) of every panel."""
    panels: list[tuple[float, Callable[[Any, Any], None]]] = []
    if len(stats.rows) > 1:
        panels.append(
            (MAP, lambda figure, place: _draw_map(figure.add_subplot(place), data, stats, unit))
        )
    if data.signal:
        panels.append(
            (SPECTRUM, lambda figure, place: _draw_spectrum(figure, place, data, stats, unit))
        )
    if noise is not None:
        panels.append((SCREE, lambda figure, place: _draw_scree(figure.add_subplot(place), noise)))
    return panels or [(MAP, lambda figure, place: _draw_number(figure.add_subplot(place), stats))]


def _title(data: Dataset, noise: Noise | None, reason: str, width: float) -> str:
    """Name and shape; the noise in words."""
    sizes = " × ".join(f"{axis.name} {axis.size}" for axis in data.axes)
    text = fill(f"{data.name}: {sizes}", int(13 * width))
    if noise is not None:
        parts = f"noise: {noise}".split("; ", 1)  # of which the second tells of correlations
        text += "".join("\n" + fill(part, int(13 * width)) for part in parts)
    elif reason:
        text += "\n" + fill(f"noise not measured: {reason.split(': ')[0]}", int(13 * width))
    return text


def _mean_text(axes: Axes) -> str:
    """Of which axes only the mean can be drawn."""
    left = [axis.name for axis in axes[:-2]]
    return f", mean over {', '.join(left)}" if left else ""


def _draw_map(panel: Any, data: Dataset, stats: Tally, unit: str) -> None:
    """What every pixel sums to, with the colours from the lowest to the highest."""
    from fusion.plots import drawing as draw

    axes = shown(data.pixels)
    draw.factor(panel, stats.totals, axes, ends=True)
    what = "intensity" if not data.signal else f"sum over {_names(data.channels)}"
    panel.set_title(what + _mean_text(axes), pad=PAD)
    _label_unit(panel, unit)
    bar, low = _colour_bar(panel), min(stats.totals[np.isfinite(stats.totals)], default=0.0)
    if bar is not None and 0 < low < bar.vmax:
        bar.mappable.set_clim(low, None)
        draw.vertical_ticks(bar.ax)
        bar.ax.yaxis.set_offset_position("left")


def _colour_bar(panel: Any) -> Any:
    """The colour bar of a panel; None of a curve."""
    drawn = [*panel.images, *panel.collections]
    return next((each.colorbar for each in drawn if getattr(each, "colorbar", None)), None)


def _label_unit(panel: Any, unit: str) -> None:
    """The unit beside the colour bar of an image, or beside the vertical axis of a curve."""
    bar = _colour_bar(panel)
    (panel.set_ylabel if bar is None else bar.set_label)(unit)


def _names(axes: Axes) -> str:
    return ", ".join(axis.name for axis in axes)


def _draw_spectrum(figure: Any, place: Any, data: Dataset, stats: Tally, unit: str) -> None:
    """Mean over the pixels: a curve, one on a log scale where that shows more; or a pattern."""
    from fusion.plots import drawing as draw

    axes: Any = shown(data.channels)
    split = len(data.pixels)
    title = (
        f"mean over {_names(shown(data.pixels))}" if split and len(stats.rows) > 1 else "spectrum"
    )
    if len(axes) > 1:
        panel = figure.add_subplot(place)
        draw.factor(panel, stats.means, axes, ends=True, cmap="magma")
        panel.set_title(title + _mean_text(axes), pad=PAD)
        _label_unit(panel, unit)
        return
    steep = _wants_log(data, stats)
    inner = place.subgridspec(2 if steep else 1, 1)
    panel = figure.add_subplot(inner[0])
    draw.curve(panel, stats.means, axes[0], ends=not steep)
    panel.set_title(title, pad=PAD)
    panel.set_ylabel(unit)
    if steep:
        below = figure.add_subplot(inner[1], sharex=panel)
        draw.curve(below, stats.means, axes[0], ends=True)
        set_scale(below, "log")
        below.set_ylabel(f"{unit}, log scale")


def _wants_log(data: Dataset, stats: Tally) -> bool:
    """Whether a spectrum has so large a range that a log scale shows more."""
    means = stats.means[np.isfinite(stats.means)]
    if len(shown(data.channels)) != 1 or not means.size or stats.negatives:
        return False
    positive = means[means > 0]
    return bool(positive.size and positive.max() > STEEP * np.percentile(positive, FAINT))


def _draw_scree(panel: Any, noise: Noise) -> None:
    """Singular values over the edge, those above it numbered."""
    from matplotlib.ticker import MaxNLocator

    scree = noise.scree
    values = scree.over_edge[: scree.rank + BELOW]
    K = scree.rank + int((values[scree.rank :] > 1).sum())
    numbers = np.arange(1, len(values) + 1)
    dots = {"marker": "o", "markersize": 4, "linestyle": ""}
    clear = f"{scree.clear}{' or more' * (scree.rank < K)} clearly above the noise"
    panel.plot(numbers[: scree.clear], values[: scree.clear], color=style.VERMILLION, label=clear,
               **dots)  # fmt: skip
    if scree.clear < K:  # as `info` and `rank` tell them
        marginal = f"{K - scree.clear} marginal, not counted"
        panel.plot(numbers[scree.clear : K], values[scree.clear : K], color=style.VERMILLION,
                   markerfacecolor="white", label=marginal, **dots)  # fmt: skip
    panel.plot(numbers[K:], values[K:], color=style.GREY, label="noise", **dots)
    panel.axhline(1.0, color=style.BLUE, linewidth=1.0, linestyle="--", label="edge of the noise")
    panel.set_yscale("log")
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    panel.set_xlim(0.3, len(values) + 0.7)
    panel.set_ylim(bottom=min(0.5, 0.8 * values.min()) if values.min() > 0.05 else 0.05)
    sums = " × ".join(str(n) for n in noise.binned)
    where = f"component (sums of {sums} neighbours)" if max(noise.binned) > 1 else "component"
    panel.set_title("singular values", pad=PAD)
    panel.set(xlabel=where, ylabel="singular value / edge of the noise")
    panel.legend(loc="upper right")


def _draw_number(panel: Any, stats: Tally) -> None:
    """A single number."""
    panel.set_axis_off()
    panel.text(0.5, 0.5, f"{stats.rows[0]:.5g}", ha="center", va="center", fontsize=12)

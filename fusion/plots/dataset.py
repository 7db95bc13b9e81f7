"""`plot_dataset`: total map, mean spectrum, and the singular values against the noise."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.axis import Axes
from fusion.inspection import Tally, noise_or_reason, over_edge, tally

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.dataset import Dataset
    from fusion.prepare.noise import Noise

MAP, SPECTRUM, SCREE = 3.1, 4.2, 2.9  # inches
HEIGHT, TALL, LINE = 2.5, 3.3, 0.16  # inches: of panels, of a spectrum drawn twice, of a line
STEEP = 100.0  # brightest channel over the fainter ones, from which a log scale is drawn as well
FAINT = 25.0  # per cent of the channels that are fainter than those it is compared with
BELOW = 20  # singular values that are drawn behind those above the edge


def plot_dataset(dataset: Dataset, *, noise: Noise | None = None) -> Figure:
    """Total map, mean spectrum, and the scree with the edge of the noise.

    The map is summed over the channels, the spectrum is the mean over the pixels, once more on a
    log scale where it spans orders of magnitude; singular values above the edge are numbered. An
    image is shown alone, a single spectrum without a map, all without a scree where the noise
    cannot be told. What is masked or NaN is grey. The figure is outside pyplot: a notebook shows it
    once, `savefig` writes it.

    Args:
        dataset: spectra, patterns or an image.
        noise: what `dataset.noise()` gave, where it is known already.

    Returns:
        A matplotlib `Figure`.
    """
    import matplotlib

    from fusion.plots import draw

    seen = tally(dataset)
    reason = ""
    if noise is None and dataset.signal:
        noise, reason = noise_or_reason(dataset, seen)
    panels = _panels(dataset, seen, noise)
    with matplotlib.rc_context(draw.STYLE):
        width = max(sum(w for w, _ in panels), 4.5)
        title = _title(dataset, noise, reason, width)
        height = TALL if _steep(dataset, seen) else HEIGHT
        height += LINE * (title.count("\n") + 1) + 0.35
        figure = draw.Picture(figsize=(width, height), layout="constrained")
        figure.suptitle(title, fontsize=9)
        grid = figure.add_gridspec(1, len(panels), width_ratios=[w for w, _ in panels])
        for i, (_, paint) in enumerate(panels):
            paint(figure, grid[0, i])
    return figure


def _panels(data: Dataset, seen: Tally, noise: Noise | None) -> list[tuple[float, Any]]:
    """(width, function of figure and place that draws it) of every panel."""
    panels: list[tuple[float, Any]] = []
    if len(seen.rows) > 1:
        panels.append((MAP, lambda figure, place: _map(figure.add_subplot(place), data, seen)))
    if data.signal:
        panels.append((SPECTRUM, lambda figure, place: _spectrum(figure, place, data, seen)))
    if noise is not None:
        panels.append((SCREE, lambda figure, place: _scree(figure.add_subplot(place), noise)))
    return panels or [(MAP, lambda figure, place: _one(figure.add_subplot(place), seen))]


def _title(data: Dataset, noise: Noise | None, reason: str, width: float) -> str:
    """Name and shape; the noise in words."""
    sizes = " × ".join(f"{axis.name} {axis.size}" for axis in data.axes)
    text = fill(f"{data.name}: {sizes}", int(15 * width))
    if noise is not None:
        text += "\n" + fill(f"noise: {noise}", int(15 * width))
    elif reason:
        text += "\n" + fill(f"noise not measured: {reason.split(': ')[0]}", int(15 * width))
    return text


def _long(axes: Axes) -> Axes:
    """Axes without those of one entry, as long as any is left."""
    return tuple(axis for axis in axes if (axis.size or 1) > 1) or axes[-1:]


def _over(axes: Axes) -> str:
    """Of which axes only the mean can be drawn."""
    left = [axis.name for axis in axes[:-2]]
    return f", mean over {', '.join(left)}" if left else ""


def _map(panel: Any, data: Dataset, seen: Tally) -> None:
    """What every pixel sums to."""
    from fusion.plots import draw

    axes = _long(data.pixels)
    draw.factor(panel, seen.totals, axes, ends=True)
    what = "intensity" if not data.signal else f"sum over {_names(data.channels)}"
    panel.set_title(what + _over(axes), pad=14 if len(axes) > 1 else 6)


def _names(axes: Axes) -> str:
    return ", ".join(axis.name for axis in axes)


def _spectrum(figure: Any, place: Any, data: Dataset, seen: Tally) -> None:
    """Mean over the pixels: a curve, one on a log scale where that shows more; or a pattern."""
    from fusion.plots import draw

    axes: Any = _long(data.channels)
    split = len(data.pixels)
    title = (
        f"mean over {_names(_long(data.pixels))}" if split and len(seen.rows) > 1 else "spectrum"
    )
    if len(axes) > 1:
        panel = figure.add_subplot(place)
        draw.factor(panel, seen.means, axes, ends=True, cmap="magma")
        panel.set_title(title + _over(axes), pad=14)
        return
    steep = _steep(data, seen)
    inner = place.subgridspec(2 if steep else 1, 1)
    panel = figure.add_subplot(inner[0])
    draw.curve(panel, seen.means, axes[0], ends=not steep)
    panel.set_title(title)
    panel.set_ylabel("mean per pixel")
    if steep:
        below = figure.add_subplot(inner[1], sharex=panel)
        draw.curve(below, np.where(seen.means == 0, np.nan, seen.means), axes[0], ends=True)
        _log(below, seen)


def _steep(data: Dataset, seen: Tally) -> bool:
    """Whether a spectrum has so large a range that a log scale shows more."""
    means = seen.means[np.isfinite(seen.means)]
    if len(_long(data.channels)) != 1 or not means.size or seen.negatives:
        return False
    positive = means[means > 0]
    return bool(positive.size and positive.max() > STEEP * np.percentile(positive, FAINT))


def _log(panel: Any, seen: Tally) -> None:
    """A log scale that ends below the lowest channels, outliers aside."""
    positive = seen.means[seen.means > 0]
    panel.set_yscale("log")
    panel.set_ylim(np.percentile(positive, 1) / 2, positive.max() * 2)
    panel.set_ylabel("log scale")


def _scree(panel: Any, noise: Noise) -> None:
    """Singular values over the edge, those above it numbered."""
    from matplotlib.ticker import MaxNLocator

    from fusion.plots import draw

    K = noise.scree.rank
    values = np.array(over_edge(noise)[: K + BELOW])
    numbers = np.arange(1, len(values) + 1)
    dots = {"marker": "o", "markersize": 4, "linestyle": ""}
    panel.plot(numbers[:K], values[:K], color=draw.VERMILLION, label=f"{K} above the noise", **dots)
    panel.plot(numbers[K:], values[K:], color=draw.GREY, label="noise", **dots)
    panel.axhline(1.0, color=draw.BLUE, linewidth=1.0, linestyle="--", label="edge of the noise")
    panel.set_yscale("log")
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    binned = " × ".join(str(n) for n in noise.binned)
    many = any(n > 1 for n in noise.binned)
    panel.set_title("singular values" + (f" (sums of {binned})" if many else ""))
    panel.set(xlabel="component", ylabel="singular value / edge of the noise")
    panel.legend(loc="upper right")


def _one(panel: Any, seen: Tally) -> None:
    """A single number."""
    panel.set_axis_off()
    panel.text(0.5, 0.5, f"{seen.rows[0]:.5g}", ha="center", va="center", fontsize=12)

"""How well a fit meets its data: χ map, mean spectrum with fit and residual over σ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.plots import style
from fusion.plots.quantities import unit_of
from fusion.plots.shown_axes import shown

if TYPE_CHECKING:
    from fusion.answers.diagnostics import DataSummary

LEAST = 1.25
"""Ratio of the last colour to 1, at least: what differs less looks alike."""
MET_EXACTLY = 1e-3
"""Below which a pixel is met exactly, as an empty one is: it sets no colour."""
FLAT = 0.05
"""σ, below which the mean residual is what the fit makes of it, and no test."""
MET = "0 by itself: free spectra meet the mean of\nevery channel, whatever K; see pixels and χ"
"""Beside a residual that is none."""
BAND = 2.0
"""σ to either side, between which all but 1 in 20 are to lie."""
SHADE = "0.88"


def draw_quality(part: Any, grid: Any, row: int, name: str, data: DataSummary) -> list[Any]:
    """The panels of one data set in one row of a grid; those that are spectra."""
    from fusion.plots import drawing as draw

    split = len(data.axes) - data.signal
    if split and data.residual_map.size > 1:
        draw_chi(part.add_subplot(grid[row, 0]), name, data)
    if data.signal == 1:
        return [draw_mean(part, grid[row, 1], name, data)]
    if data.signal > 1:
        panel = part.add_subplot(grid[row, 1])
        axes = data.axes[split:]
        label = unit_of(data)
        draw.factor(panel, data.residual_spectrum.reshape(-1), axes, ends=True, label=label)
        panel.set_title(f"{name}: mean residual")
    return []


def draw_chi(panel: Any, name: str, data: DataSummary) -> None:
    """Root mean square residual of every pixel over the noise, colours diverging from 1."""
    from matplotlib.colors import LogNorm

    from fusion.plots import drawing as draw

    axes, chi = data.axes[: len(data.axes) - data.signal], data.chi_map
    if chi is None:
        label = unit_of(data)
        flat = data.residual_map.reshape(-1)
        draw.factor(panel, flat, axes, ends=True, cmap=style.SIZES, label=label)
        panel.set_title(f"{name}: rms residual")
        return
    known = data.chi2 is not None
    along = shown(axes)
    values = chi.reshape([axis.size or 1 for axis in along])
    while values.ndim > 2:
        values, along = draw.finite_mean(values), along[1:]
    label = "rms residual / noise (χ)" if known else "rms residual / its mean"
    if values.ndim == 1:
        draw.curve(panel, values, along[0], ends=True)
        panel.axhline(1.0, color=style.GREY, linewidth=0.6, zorder=0)
        panel.set_ylabel(label)
    else:
        end = _end(values)
        bar = draw.image(
            panel, values, along, ends=True, cmap=style.SIGNED, label=label,
            norm=LogNorm(1 / end, end, clip=True),
        )  # fmt: skip
        at = [1 / end, 1.0, end]
        bar.set_ticks(at, labels=[f"{each:.2g}" for each in at])
        bar.ax.minorticks_off()
    panel.set_title(f"{name}: {'χ of the pixels' if known else 'residual of the pixels'}")


def _end(chi: Any) -> float:
    """Ratio to 1 at which the colours end, up or down."""
    seen = chi[np.isfinite(chi) & (chi > MET_EXACTLY)]
    if not seen.size:
        return LEAST
    return float(max(LEAST, np.exp(np.percentile(np.abs(np.log(seen)), 99.8))))


def draw_mean(part: Any, place: Any, name: str, data: DataSummary) -> Any:
    """Measured and fitted mean spectrum; below, their difference over σ with the ±2 band."""
    from fusion.plots import drawing as draw

    axis, over = data.axes[-1], data.residual_over_sigma
    inner = place.subgridspec(2, 1, height_ratios=[1.7, 1.0])
    mean = part.add_subplot(inner[0])
    left = part.add_subplot(inner[1], sharex=mean)
    draw.curve(
        mean, data.mean_spectrum, axis, ends=False, color=style.SOFT, label="measured", dots=False
    )
    mean.lines[0].set_linewidth(2.2)
    fitted = data.mean_spectrum - data.residual_spectrum
    draw.curve(mean, fitted, axis, ends=False, color=style.BLUE, label="fit", dots=False)
    mean.set_ylabel(unit_of(data))
    where = "mean spectrum" if len(data.axes) > data.signal else "spectrum"
    chi2 = f" (χ² {data.chi2:.3g})" if data.chi2 is not None else ""
    mean.set_title(f"{name}: {where}{chi2}", loc="left")
    draw.name_inside(mean)
    residual = data.residual_spectrum if over is None else over
    draw.curve(left, residual, axis, ends=True, color=style.VERMILLION, dots=False)
    if over is None:
        left.set_ylabel("residual")
        return mean
    left.axhspan(-BAND, BAND, color=SHADE, linewidth=0, zorder=-1)
    if float(np.nanmax(np.abs(over), initial=0.0)) < FLAT:
        left.text(0.5, 0.97, MET, transform=left.transAxes,
                  ha="center", va="top", fontsize=6, color=style.GREY)  # fmt: skip
    most = max(1.5 * BAND, 1.1 * float(np.nanmax(np.abs(over), initial=0.0)))
    left.set_ylim(-most, most)
    left.set_ylabel("residual / σ")
    return mean

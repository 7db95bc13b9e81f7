"""`plot_references`: the map of every reference, what they leave, and the pixels fitted worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.plots import style
from fusion.plots.plain_names import plain_names, take_as_they_are

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.references.reference_fit import ReferenceFit

MAP, CURVE = 2.3, 3.0  # inches, widths of a panel
TALL, LOW = 1.9, 2.4  # inches, heights of a row of maps and of the spectra
COLUMNS = 5  # panels beside each other, at most


@checked_call
@plain_names
def plot_references(
    fit: ReferenceFit,
    *,
    worst: int = 3,
    elements: str | Sequence[str] = (),
    figure: Any = None,
) -> Figure:
    """Maps of all references, rms residual, reduced χ², and spectra of the pixels fitted worst.

    A map's title has the mean standard error of a pixel. A spectrum is grey, its fit blue, what is
    left of it vermillion, below. What is masked is grey. The figure is outside pyplot: a notebook
    shows it once, `savefig` writes it.

    Args:
        fit: what `mlls` gave.
        worst: how many pixels are shown.
        elements: whose lines or edges are named on their spectra: ["Mn", "O"].
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`.
    """
    import matplotlib

    from fusion.plots import drawing as draw

    panels = _maps(fit)
    wide = MAP if len(fit.data.pixels) > 1 else CURVE
    rows = -(-len(panels) // COLUMNS)
    columns = -(-len(panels) // rows)
    pixels = fit.worst(worst) if fit.data.signal == 1 and worst > 0 else []
    with matplotlib.rc_context(style.SCREEN):
        heights = [rows * TALL] + [LOW] * (len(pixels) > 0)
        width = max(columns * wide, len(pixels) * CURVE * 0.9, 2 * MAP)
        figure = draw.figure_or_new(figure, (width, sum(heights) + 0.2))
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        grid = parts[0].add_gridspec(rows, columns)
        for i, (title, values, cmap) in enumerate(panels):
            panel = parts[0].add_subplot(grid[divmod(i, columns)])
            ends = i + columns >= len(panels)
            if len(values) == 1:
                _draw_number(panel, values[0])
            else:
                label = "amount" if i < len(fit.names) else ""
                draw.factor(panel, values, fit.data.pixels, ends=ends, cmap=cmap, label=label)
            panel.set_title(title)
        if len(pixels):
            curves: list[Any] = []
            grid = parts[1].add_gridspec(2, len(pixels), height_ratios=[1.8, 1.0])
            for i, pixel in enumerate(pixels):
                curves.append(_draw_pixel(parts[1], grid, i, fit, int(pixel)))
            if len(elements):
                from fusion.plots.labels import name_curves

                about = fit.data.channels[0], fit.data.metadata
                name_curves(take_as_they_are(figure), [(p, *about) for p in curves], elements)
    return figure


def _maps(fit: ReferenceFit) -> list[tuple[str, Any, str]]:
    """(title, values (pixel,), colours) of every map."""
    from fusion.references.reference_fit import typical
    from fusion.references.residual_shape import LEVEL

    maps = [
        (f"{name}\nerror {error:.2g}", fit.maps[:, k], style.MAPS)
        for k, (name, error) in enumerate(zip(fit.names, typical(fit.errors), strict=True))
    ]
    over = "reduced χ²" if fit.variance_known else "χ² / median"
    bad = int((fit.p < LEVEL).sum())
    return [
        *maps,
        ("rms residual\n", fit.residual_map, style.SIZES),
        (f"{over}\np < {LEVEL:g} in {bad}", fit.reduced_chi2, style.SIZES),
    ]


def _draw_number(panel: Any, value: float) -> None:
    panel.set_axis_off()
    panel.text(0.5, 0.5, f"{value:.4g}", ha="center", va="center", fontsize=12)


def _draw_pixel(part: Any, grid: Any, column: int, fit: ReferenceFit, pixel: int) -> Any:
    """Spectrum and fit of a pixel, what is left below; the panel of the spectrum."""
    from fusion.plots import drawing as draw

    axis = fit.data.channels[0]
    above = part.add_subplot(grid[0, column])
    below = part.add_subplot(grid[1, column], sharex=above)
    x, rest = fit.spectrum([pixel])[0], fit.residual([pixel])[0]
    draw.curve(above, x, axis, ends=False, color=style.GREY, label="data")
    above.plot(axis.values, x - rest, color=style.BLUE, label="fit")
    draw.curve(below, rest, axis, ends=True, color=style.VERMILLION)
    where = np.unravel_index(pixel, tuple(a.size or 1 for a in fit.data.pixels) or (1,))
    names = [f"{a.name} {i}" for a, i in zip(fit.data.pixels, where, strict=False)]
    kind = "χ²" if fit.variance_known else "χ² / median"
    above.set_title(f"{', '.join(names)}: {kind} {fit.reduced_chi2[pixel]:.3g}")
    if column == 0:
        above.legend()
        below.set_ylabel("data − fit")
    return above

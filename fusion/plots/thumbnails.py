"""Small maps and spectra of a result, for the cell of a notebook."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.text_columns import cut
from fusion.answers.components import names_of
from fusion.plots import style
from fusion.plots.beside_components import beside_components, held_factors
from fusion.plots.plain_names import take_as_they_are

if TYPE_CHECKING:
    from fusion.algebra.axis import Axes
    from fusion.answers.result import Result

MOST = 6
"""Components that are drawn."""
LETTERS = 16
"""Of a name, at most."""
CELL, HEIGHT, DPI = 1.35, 1.3, 90
"""Inches of a panel; dots an inch."""
SMALL: dict[Any, Any] = {
    "font.size": 7,
    "axes.titlesize": 7,
    "figure.constrained_layout.use": False,
    "figure.autolayout": False,
}
"""Beside the style of all pictures; places are given here, whatever a user's own settings say."""
ROWS, COLOURS = 4, 128
"""Factors, one below the other; colours of the picture."""
PIXELS, POINTS = 128, 1024
"""Along a side of a map, of a spectrum: more are thinned out, in so small a picture."""


def small_picture(result: Result) -> bytes | None:
    """Maps above spectra of the first components, PNG; None where a result has neither."""
    held = held_factors(beside_components(result))
    shown = [n for n in result.factors if _drawable(result, n) and n not in held][:ROWS]
    if not shown:
        return None
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    K = min(max(result.factors[name].shape[1] for name in shown), MOST)
    with matplotlib.rc_context({**style.SCREEN, **SMALL}):
        figure = Figure((CELL * K, HEIGHT * len(shown)), dpi=DPI)
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(shown), K, squeeze=False)
        figure.subplots_adjust(0.03, 0.09, 0.97, 0.93, 0.1, 0.55)
        for row, name in zip(panels, shown, strict=True):
            for k, panel in enumerate(row):
                _draw(panel, result, name, k)
        return _png(take_as_they_are(figure))


def _png(figure: Any) -> bytes:
    """The figure in few colours, a third of the size."""
    from PIL import Image

    figure.canvas.draw()
    image, file = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())), BytesIO()
    image.convert("RGB").quantize(COLOURS).save(file, format="png", optimize=True)
    return file.getvalue()


def _drawable(result: Result, name: str) -> bool:
    """Whether a factor is a column of values for every component along axes that are known."""
    axes = result.axes.get(name, (None,))
    return bool(axes and axes[0]) and result.factors[name].ndim == 2 and len(axes[0] or ()) < 3


def _draw(panel: Any, result: Result, name: str, k: int) -> None:
    """One component: a map or a curve."""
    values = result.factors[name]
    axes = list(result.axes[name][0] or ())
    if k >= values.shape[1]:
        panel.set_axis_off()
        return
    more = f" of {values.shape[1]}" if k + 1 == MOST < values.shape[1] else ""
    called = cut(names_of(result, values.shape[1])[k], LETTERS)
    panel.set_title(f"{name} {called}{more}")
    if len(axes) == 2:
        _draw_map(panel, values[:, k], tuple(axes))
    else:
        _draw_curve(panel, values[:, k], axes[0])


def _draw_map(panel: Any, column: Any, axes: Axes) -> None:
    import matplotlib

    from fusion.plots import drawing as draw

    image = np.asarray(column, dtype=float).reshape([axis.size or 1 for axis in axes])
    image = image[:: -(-image.shape[0] // PIXELS), :: -(-image.shape[1] // PIXELS)]
    both = draw.signed(image)
    most = float(np.nanmax(np.abs(image), initial=0.0)) or 1.0
    colours = matplotlib.colormaps["RdBu_r" if both else "viridis"].with_extremes(bad=style.NOTHING)
    low = -most if both else 0.0
    panel.set_axis_off()
    panel.imshow(image, cmap=colours, vmin=low, vmax=most, interpolation="nearest")


def _draw_curve(panel: Any, column: Any, axis: Any) -> None:
    from fusion.plots import drawing as draw

    x, y = axis.values, np.asarray(column, dtype=float)
    step = -(-len(x) // POINTS)
    panel.plot(x[::step], y[::step], color=style.BLUE, linewidth=0.9)
    if not draw.signed(y) and np.nanmax(y, initial=0.0) > 0:
        panel.set_ylim(bottom=0.0)
    panel.spines["left"].set_visible(False)
    panel.set_yticks([])
    first, last = axis.ends
    if first != last:
        panel.set_xticks([first, last], [f"{first:.4g}", f"{last:.4g} {axis.units}".rstrip()])
        for tick, side in zip(panel.get_xticklabels(), ("left", "right"), strict=True):
            tick.set_horizontalalignment(side if first < last else "center")

"""Names of lines and edges on curves, beside each other. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.algebra.calls import checked_call
from fusion.data.signal_type import has_edges
from fusion.elements.table import KEV, labels
from fusion.plots.drawing import GREY

SIZE = 6.0  # points of the letters
GAP = 1.25  # times that, from one label to the next
LETTER = 0.62  # times that, the length of a letter


def mark(panel: Panel, marks: Sequence[tuple[float, str]], *, size: float = SIZE) -> list[str]:
    """Names above a curve, a thin line from each to its place; none lies over another.

    The panel gets room above for them. Where there is room for some only, those at the left go
    first.

    Args:
        panel: with its curves drawn and its size final.
        marks: (position, name), positions in the unit of the panel's horizontal axis.
        size: of the letters, points.

    Returns:
        The names that are drawn.
    """
    low, high = sorted(panel.get_xlim())
    inside = sorted((x, name) for x, name in marks if low <= x <= high)
    box = panel.get_window_extent()
    points = 72 / panel.figure.dpi
    width, height = box.width * points, box.height * points
    step = GAP * size / max(width, 1.0)
    inside = inside[: int(1 / step)]
    if not inside:
        return []
    at = np.array([(x - low) / (high - low) for x, _ in inside])
    placed = spread_out(at, step)
    tall = LETTER * size * max(len(name) for _, name in inside) / max(height, 1.0)
    tall = min(tall + 0.02, 0.5)  # of the panel's height
    bottom, top = panel.get_ylim()
    room = 1 / (1 - tall - 0.1)
    log = panel.get_yscale() == "log"
    panel.set_ylim(
        bottom, bottom * (top / bottom) ** room if log else bottom + (top - bottom) * room
    )
    place = panel.transAxes
    for x, shown, (_, name) in zip(at, placed, inside, strict=True):
        foot, head = 1 - tall - 0.09, 1 - tall - 0.02
        panel.plot(
            [x, x, shown], [0, foot, head], color=GREY, linewidth=0.4, transform=place, zorder=0
        )
        panel.text(
            shown,
            head + 0.01,
            name,
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=size,
            color="0.25",
            transform=place,
        )
    return [name for _, name in inside]


def spread_out(at: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Places from step / 2 to 1 − step / 2, at least a step apart, nearest to those told.

    Least squares by pooling: neighbours that are too near become one block around their mean.

    Args:
        at: (n,) places, sorted, from 0 to 1; n step ≤ 1.
        step: least distance.
    """
    n = np.arange(len(at))
    blocks: list[list[float]] = []  # of places less n steps, which must not fall
    for value in at - n * step:
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, count = blocks.pop()
            other, before = blocks[-1]
            blocks[-1] = [(mean * count + other * before) / (count + before), count + before]
    level = np.concatenate([np.full(int(count), value) for value, count in blocks])
    low, high = step / 2, 1 - step / 2 - (len(at) - 1) * step
    return np.asarray(np.clip(level, low, max(low, high)) + n * step, dtype=np.float64)


@checked_call
def name_curves(
    figure: Figure, curves: Iterable[tuple[Any, ...]], elements: str | Sequence[str]
) -> None:
    """The lines or edges of these elements on every panel whose spectra have any.

    X-ray lines or edges: as the metadata say, else the axis; see `fusion.elements.labels`.

    Args:
        figure: of the panels, all else drawn.
        curves: (panel, its horizontal axis), or (panel, axis, metadata of the data set).
        elements: as for `fusion.elements.labels`.

    Raises:
        ValueError: if no axis is one of energies, no spectrum has lines or edges, or there is no
            such element.
    """
    figure.draw_without_rendering()  # so that the panels have their size
    told = [(panel, axis, *(known or ({},))) for panel, axis, *known in curves]
    of_energies = [(panel, axis, known) for panel, axis, known in told if axis.units in KEV]
    if not of_energies:
        raise ValueError(
            f"`plot(elements={elements!r})`: no curve runs along an axis in {' or '.join(KEV)}: "
            "give the axis of energies its units, or leave the elements out."
        )
    marked = [each for each in of_energies if has_edges(*each[1:]) is not None]
    for panel, axis, known in marked or of_energies[:1]:  # which says why there is none
        mark(panel, labels(axis, elements, metadata=known))

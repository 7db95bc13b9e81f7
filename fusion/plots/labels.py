"""Names of lines and edges on curves, beside each other. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.data.signal_type import has_edges
from fusion.elements.shown_lines import shown_elements
from fusion.plots.style import GREY
from fusion.xrays.table import KEV, labels

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
    _raise_top(panel, 1 / (1 - tall - 0.1))
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


def _raise_top(panel: Panel, room: float) -> None:
    """More room above, on any scale: so many times the height."""
    ends = np.array(panel.get_ylim())
    scale = panel.yaxis.get_transform()
    low, high = scale.transform(ends)
    top = scale.inverted().transform(np.array([low + (high - low) * room]))
    panel.set_ylim(ends[0], float(top[0]))


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
    """The lines or edges of these elements on every panel whose curves show them.

    X-ray lines or edges: as the metadata say, else the axis; see `fusion.elements.labels`. Elements
    that no curve of a panel shows (`fusion.elements.shown_lines`) are not named there; those that
    none shows at all are told of in the first panel.

    Args:
        figure: of the panels, all else drawn.
        curves: (panel, its horizontal axis), or with the data set's metadata as a third, and what
            the panel shows, (channel, n), as a fourth, where its lines are drawn at other heights.
        elements: as for `fusion.elements.labels`.

    Raises:
        ValueError: if no axis is one of energies, no spectrum has lines or edges, or there is no
            such element.
    """
    figure.draw_without_rendering()  # so that the panels have their size
    told = [_told(*curve) for curve in curves]
    of_energies = [each for each in told if each[1].units in KEV]
    if not of_energies:
        raise ValueError(
            f"`plot(elements={elements!r})`: no curve runs along an axis in {' or '.join(KEV)}: "
            "give the axis of energies its units, or leave the elements out."
        )
    marked = [each for each in of_energies if has_edges(each[1], each[2]) is not None]
    entries = [elements] if isinstance(elements, str) else list(elements)
    seen: set[str] = set()
    for panel, axis, known, values in marked or of_energies[:1]:  # labels says why there is none
        found = labels(axis, entries, metadata=known)
        shown = _drawn(panel, axis) if values is None else values
        here = shown_elements(shown, axis, entries, metadata=known) if found else []
        seen |= set(here)
        mark(panel, [(at, name) for at, name in found if name.split()[0] in here])
    _tell_missing(marked[0][0], [name for name in entries if name.split()[0] not in seen])


def _told(
    panel: Panel, axis: Axis, known: Mapping[str, Any] | None = None, shown: Any = None
) -> tuple[Panel, Axis, Mapping[str, Any], Any]:
    """A panel with all that may be told of it."""
    return panel, axis, known or {}, shown


def _drawn(panel: Panel, axis: Axis) -> NDArray[np.float64]:
    """(channel, n) curves of a panel along this axis."""
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in panel.lines]
    curves = [curve for curve in curves if len(curve) == (axis.size or 1)]
    return np.stack(curves, 1) if curves else np.zeros((axis.size or 1, 1))


def _tell_missing(panel: Panel, missing: Sequence[str]) -> None:
    """Which elements were looked for and do not stand out."""
    if missing:
        text = f"not seen: {', '.join(missing)}"
        panel.annotate(
            text, (1.0, 0.0), (0, -13), "axes fraction", "offset points", ha="right", va="top",
            fontsize=SIZE, color=GREY,
        )  # fmt: skip

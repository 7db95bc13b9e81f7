"""A vertical scale in two parts, where one peak hides all others.

The C Kα of a support, or a zero-loss peak, is up to thousands of times as high as what a spectrum
is drawn for. There the lower part of the panel goes up to a little above all else, the part above
a line up to the top of the highest peak: nothing is cut off, and all is read at the axis. A peak at
energy 0 alone is none of the sample: there the panel ends above all else, and says how high it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.plots.style import ELSEWHERE, GREY, SOFT, STEPS, VEIL

FARTHEST = 1000.0
"""Times the highest of all else, beyond which that is not worth the room; a peak at 0 is cut."""
TALL = 8.0
"""Times the highest of all else, from which a peak has a scale of its own."""
SHARE = 0.25
"""Of the channels at most are of such peaks: else they are what the spectrum is."""
FOOT = 1e-3
"""Of the highest, below which a slope is not seen."""
EDGE = 0.1
"""Of the channels at most are of a peak that is cut by an end of the axis."""
FEW = 16
"""Channels, below which there is one scale."""
NOISES = 6.0
"""Of the others, that the highest of them has to have: noise alone is not worth the room."""
ROOM = 1.15
"""Of the highest of all else, that the lower part has."""
PART = 0.7
"""Of the panel, that the lower part has."""
MARK = "split scale"

Array = NDArray[np.float64]
Scale = Literal["auto", "linear", "log"]
"""Of the intensities of spectra: "auto" splits it where one line hides the rest."""


def height_of_the_rest(values: Array) -> float | None:
    """The highest of a spectrum beside peaks that would hide it; None where none does.

    See `_tall`.
    """
    taken = _tall(values)
    return None if taken is None else float(np.nan_to_num(values)[~taken].max())


def _tall(values: Array) -> NDArray[np.bool_] | None:
    """Which channels are of peaks that hide the rest of a spectrum; None where none does.

    Peaks are taken away, the highest first, each with its slopes, until what is left is far lower.

    Args:
        values: (channel,), NaN counts as nothing.
    """
    y = np.nan_to_num(np.asarray(values, dtype=float))
    if len(y) < FEW or y.max() <= 0 or y.min() < -1e-9 * y.max():
        return None
    taken = np.zeros(len(y), dtype=bool)
    while taken.mean() <= SHARE and not taken.all():
        taken[_peak(y, int(np.where(taken, -1.0, y).argmax()))] = True
        rest = y[~taken]
        if rest.size and rest.max() * TALL < y.max():
            break
    rest = y[~taken]
    seen = taken & (y > FOOT * y.max())
    ends = [int(np.argmin(seen)), int(np.argmin(seen[::-1]))]  # channels taken at either end
    if max(ends) > EDGE * len(y):  # no peak, but a background that falls
        return None
    if taken.mean() > SHARE or not rest.size or rest.max() <= 0 or TALL * rest.max() >= y.max():
        return None
    noise = float(np.median(np.abs(np.diff(rest))))
    return taken if rest.max() > NOISES * noise + np.median(rest) else None


def _peak(y: Array, top: int) -> slice:
    """A peak, as far as it falls to either side, with a channel beside each foot."""
    first = last = top
    while first > 0 and y[first - 1] < y[first]:
        first -= 1
    while last + 1 < len(y) and y[last + 1] < y[last]:
        last += 1
    return slice(max(first - 1, 0), last + 2)


def split(values: Array, knee: float, top: float) -> Array:
    """Where values stand, from 0 to 1 at `top`: below `knee` up to `PART`, above it the rest."""
    y = np.asarray(values, dtype=float)
    return np.where(y <= knee, PART * y / knee, PART + (1 - PART) * (y - knee) / (top - knee))


def compression(knee: float, top: float) -> float:
    """How many times less height a value has in the upper part than in the lower."""
    return (top - knee) / knee * PART / (1 - PART)


def _unsplit(places: Array, knee: float, top: float) -> Array:
    """The values that stand there."""
    u = np.asarray(places, dtype=float)
    return np.where(u <= PART, knee * u / PART, knee + (top - knee) * (u - PART) / (1 - PART))


def split_where_hidden(panel: Any, axis: Axis) -> bool:
    """Give a panel a scale in two parts, where a peak of its curves hides the rest of them.

    The last curve decides with all before it; a panel with a scale of its own keeps that.

    Returns:
        Whether the panel has its limits now.
    """
    if panel.get_yscale() not in ("linear", "function"):
        return False
    one_scale(panel)
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in panel.lines]
    curves = [y for y in curves if len(y) >= FEW]
    if not curves:
        return False
    same = [y for y in curves if len(y) == len(curves[-1])]
    highest = np.nanmax(np.nan_to_num(np.stack(same)), axis=0)
    taken = _tall(highest)
    if taken is None or min(np.nanmin(y) for y in curves) < -1e-9 * highest.max():
        return False
    rest, top = float(highest[~taken].max()), float(highest.max())
    if len(taken) == axis.size and _at_zero(highest, taken, axis):
        _end_below(panel, ROOM * rest, top)
    elif top > FARTHEST * rest:
        return False
    else:
        _set_scale(panel, ROOM * rest, 1.05 * top)
    return True


def _at_zero(highest: Array, taken: NDArray[np.bool_], axis: Axis) -> bool:
    """Whether these channels are one peak, and energy 0 is within its width of its upper half."""
    top = int(highest.argmax())
    others = taken.copy()
    others[_peak(highest, top)] = False
    if not axis.units.endswith("eV") or highest[others].max(initial=0.0) > highest[~taken].max():
        return False
    low = np.flatnonzero(highest < highest[top] / 2)
    first = int(low[low < top].max(initial=-1)) + 1
    last = int(low[low > top].min(initial=len(highest))) - 1
    x = np.sort(axis.values[[first, last]])
    wide = float(np.ptp(x)) + abs(axis.scale)
    return bool(x[0] - wide <= 0 <= x[1] + wide)


def _end_below(panel: Any, top: float, peak: float) -> None:
    """Let a panel end above what is beside a peak at 0, and say how high that is."""
    panel.set_ylim(0.0, top)
    text = panel.annotate(
        f"peak at 0 up to {peak:.3g}", (1.0, 1.0), (-1, -1), "axes fraction", "offset points",
        ha="right", va="top", fontsize=5.5, color=GREY, bbox=VEIL,
    )  # fmt: skip
    text.set_gid(MARK)


def one_scale(panel: Any) -> None:
    """Take a split scale away again."""
    for artist in [*panel.lines, *panel.texts, *panel.patches]:
        if artist.get_gid() == MARK:
            artist.remove()
    if panel.get_yscale() == "function":
        panel.set_yscale("linear")


def set_scale(panel: Any, scale: Scale) -> None:
    """The scale that was asked for, "linear" or "log"; "auto" leaves all as it is."""
    if scale == "auto" or not panel.lines:
        return
    one_scale(panel)
    curves = [np.asarray(line.get_ydata(), dtype=float) for line in panel.lines]
    values = np.concatenate([y for y in curves if len(y) == max(map(len, curves))])
    values = values[np.isfinite(values)]
    positive = values[values > 0]
    if scale == "linear" or not positive.size:
        panel.autoscale(axis="y")
        if values.size and values.min() >= -1e-9 * np.abs(values).max():
            panel.set_ylim(bottom=0.0)
        return
    panel.set_yscale("log", nonpositive="mask")
    panel.set_ylim(np.percentile(positive, 1) / 2, 2 * positive.max())


def _set_scale(panel: Any, knee: float, top: float) -> None:
    """The scale, its ticks, and the line at which it changes."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

    both = partial(split, knee=knee, top=top), partial(_unsplit, knee=knee, top=top)
    panel.set_yscale("function", functions=both)
    panel.set_ylim(0.0, top)
    low = [t for t in MaxNLocator(3, steps=STEPS).tick_values(0.0, knee) if 0 <= t <= 0.97 * knee]
    high = [t for t in MaxNLocator(2, steps=STEPS).tick_values(0.0, top) if 3 * knee < t <= top]
    ticks = [*low, *high[-1:]]
    panel.yaxis.set_major_locator(FixedLocator(ticks))
    panel.yaxis.set_major_formatter(FixedFormatter([_told(t) for t in ticks]))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.axhspan(knee, top, color=ELSEWHERE, linewidth=0, zorder=-2, gid=MARK)
    line = {"color": SOFT, "linewidth": 0.6, "linestyle": (0, (4, 3)), "gid": MARK, "zorder": 0}
    panel.axhline(knee, **line)
    ratio = compression(knee, top)
    text = panel.annotate(
        f"above this line heights are drawn {ratio:.0f} × smaller", (1.0, knee), (-1, 1.5),
        ("axes fraction", "data"),
        "offset points", ha="right", va="bottom", fontsize=5.5, color=GREY,
        bbox=VEIL,
    )  # fmt: skip
    text.set_gid(MARK)


def _told(value: float) -> str:
    """A tick in few letters."""
    return f"{value:.0f}" if 1 <= value < 1e5 and value == round(value) else f"{value:.3g}"

"""What was noticed in a data set, in words, each with the line that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fusion.data.tally import tally
from fusion.prepare.noticed import Noticed
from fusion.prepare.zero_peak import Peak, zero_peak

if TYPE_CHECKING:
    from fusion.algebra.axis import Axis
    from fusion.data.dataset import Dataset
    from fusion.prepare.inspection import Inspection

LISTED = 4  # channels that are named
FEW = 10.0  # counts of a pixel, below which some are empty by chance
SCATTERED = 0.01  # share of empty pixels that is told
ZERO_PEAK = "the zero peak of the electronics"
COARSE = 5.0  # eV of a channel, from which an axis is one of X-rays


def noticed_advice(facts: Inspection, data: Dataset) -> Iterator[str]:
    """What to mend, a sentence each."""
    found = facts.noticed
    yield from _empty_advice(facts, found, data)
    if found.peak is not None:
        yield _peak_advice(found.peak, data)
    if found.hot_channels:
        yield (
            f"Far above the channels beside {_them(found.hot_channels)} in nearly all pixels: "
            f"{_channels(found.hot_channels, data)}: a defect of the detector? "
            f"{_mask(data, found.hot_channels)}"
        )
    if found.dead_channels:
        yield (
            f"Nothing was counted in {_channels(found.dead_channels, data)}, though much on either "
            f"side: {_mask(data, found.dead_channels)}"
        )
    if found.saturated:
        yield (
            f"{found.saturated} values are at the maximum, {facts.maximum:.6g}: cut off there? "
            f"masked(data.numpy() >= {facts.maximum:.6g}), on the command line --mask FILE."
        )
    if found.count_value not in (None, 1.0):
        yield (
            f"Values are counts × {found.count_value:.4g}: divide by that for Poisson; "
            "estimate_variance() allows for it."
        )


def _empty_advice(facts: Inspection, found: Noticed, data: Dataset) -> Iterator[str]:
    """Empty pixels: a border, lines, or scattered."""
    if not found.empty_pixels:
        return
    scan = data.shape[: len(data.pixels)]
    crops, said = [], []
    for axis, n, (first, last) in zip(data.pixels, scan, found.filled_box, strict=True):
        if (first, last) == (0, n - 1):
            continue
        crops.append(f"{axis.name.replace(' ', '_')}=slice({first}, {last + 1})")
        said.append(f"{axis.name} {_borders(first, last, n)}")
    lines = [
        f"{axis.name} {_some(entries)}"
        for axis, entries in zip(data.pixels, found.empty_lines, strict=True)
        if entries
    ]
    start = f"Nothing was counted in {found.empty_pixels} of {prod(scan)} pixels"
    if crops:
        text = f"{start}: {' and '.join(said)} are empty: crop({', '.join(crops)})"
        yield f"{text}; within it {', '.join(lines)}, too: masked()." if lines else f"{text}."
    elif lines:
        yield f"{start}: {', '.join(lines)} are empty: {_EMPTY_MASK}"
    elif found.empty_pixels > SCATTERED * prod(scan):
        if facts.mean_per_pixel < FEW * (found.count_value or 1.0):
            n = " and ".join(f"{axis.name}=2" for axis in data.pixels)
            yield f"{start}, scattered, as is natural with so few: bin({n.replace(' and', ',')})."
        else:
            yield f"{start}, scattered among others with many: {_EMPTY_MASK}"


_EMPTY_MASK = "masked(data.numpy().sum(-1) == 0), on the command line --mask FILE."


def _borders(first: int, last: int, n: int) -> str:
    """ "0 to 2 and 60 to 63"."""
    ends = [(0, first - 1)] * (first > 0) + [(last + 1, n - 1)] * (last < n - 1)
    return " and ".join(f"{a} to {b}" if a < b else f"{a}" for a, b in ends)


def zero_peak_advice(data: Dataset) -> str:
    """What the zero peak of X-ray electronics holds, and how to leave it out; "" where little."""
    peak = zero_peak(data, tally(data)) if data.signal == 1 else None
    return "" if peak is None else _peak_advice(peak, data)


def _peak_advice(peak: Peak, data: Dataset) -> str:
    """Where nearly all counts are, and how to leave them out or keep only them."""
    axis = data.channels[0]
    word, x = axis.name.split()[0], axis.values
    low, high = sorted((float(x[peak.first]), float(x[peak.last])))
    first, last = _outwards(axis, low, high)
    share = f"{100 * peak.share:.3g} % of the counts lie between {first} and {last}"
    share = f"{share} {axis.units}".rstrip()
    if not peak.at_zero:
        return f"{share}: crop({word}=({first}, {last})), --energy {first}:{last}."
    beyond = x[x > high]
    after, _ = _outwards(axis, float(beyond.min()) if beyond.size else high, high)
    mend = f"crop({word}=({after}, None)), --energy {after}:"
    if _of_losses(axis):
        return (
            f"{share}, the zero-loss peak, as is natural: {mend} where only losses are asked for."
        )
    return (
        f"{share}, {_of_electronics(low, axis)}, which says nothing of the sample: {mend} "
        "leaves it out."
    )


def _of_electronics(low: float, axis: Axis) -> str:
    """What the peak is: whole, or what a crop left of it."""
    begins = float(axis.values.min())
    cut = begins > 0 and low <= begins
    return "what is left of the zero peak of the electronics" if cut else ZERO_PEAK


def _outwards(axis: Axis, low: float, high: float) -> tuple[str, str]:
    """Two positions with a digit more than the steps have, so that no channel is lost."""
    step = float(np.abs(np.diff(axis.values)).min(initial=1.0)) or 1.0
    scale = 10 ** max(1 - int(np.floor(np.log10(step))), 0)
    ends = np.floor(low * scale + 1e-6) / scale, np.ceil(high * scale - 1e-6) / scale
    return f"{ends[0]:.12g}", f"{ends[1]:.12g}"


def _of_losses(axis: Axis) -> bool:
    """Whether an energy is that of losses: by its name, else by its step."""
    electronvolts = abs(axis.scale) * (1000.0 if axis.units == "keV" else 1.0)
    return "loss" in axis.name.lower() or (axis.units == "eV" and electronvolts < COARSE)


def _channels(numbers: Sequence[int], data: Dataset) -> str:
    """ "channel 7 (0.35 keV)"."""
    axis = data.channels[0]
    named = [f"{i} ({axis.values[i]:.4g} {axis.units})".replace(" )", ")") for i in numbers]
    more = f" and {len(named) - LISTED} more" if len(named) > LISTED else ""
    return f"channel{'s' * (len(named) > 1)} {', '.join(named[:LISTED])}{more}"


def _them(numbers: Sequence[int]) -> str:
    return "them" if len(numbers) > 1 else "it"


def _some(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - LISTED} more" if len(numbers) > LISTED else ""
    return ", ".join(map(str, numbers[:LISTED])) + more


def _mask(data: Dataset, numbers: Sequence[int]) -> str:
    """How channels are masked."""
    listed = ", ".join(map(str, numbers[:LISTED])) + ", …" * (len(numbers) > LISTED)
    return (
        f"masked(numpy.isin(numpy.arange({data.shape[-1]}), [{listed}])), on the command line "
        "--mask FILE."
    )

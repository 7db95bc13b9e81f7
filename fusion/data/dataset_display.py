"""What a data set and a scan show of themselves: nothing that would take a pass over the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.display import Display, Facts, Part, Table
from fusion.algebra.text_columns import in_one_line

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.data.scan import Scan

STEPS = 6
"""Lines of the history that are shown, the last ones."""
QUICK = 10**6
"""Entries of a mask that are counted."""


def in_a_line(data: Dataset) -> str:
    """Name, axes with their sizes, and the type of the values."""
    axes = ", ".join(f"{axis.name} {n}" for axis, n in zip(data.axes, data.shape, strict=True))
    return f"Dataset({data.name!r}, {axes}; {_kind(data)})"


def dataset_display(data: Dataset) -> Display:
    """Axes, noise, mask, and what was done before."""
    facts = [("noise", _noise(data)), *_mask(data), *_values(data), *_history(data)]
    return Display(in_a_line(data), (axes_table(data.axes, data.signal), Facts(facts)))


def scan_display(scan: Scan) -> Display:
    """The axes of the scan, and a row for every data set."""
    names = " × ".join(f"{axis.name} {axis.size}" for axis in scan.axes)
    rows = [(in_one_line(d.name), _spectral(d), _kind(d), _noise(d)) for d in scan.values()]
    parts: list[Part] = [axes_table(scan.axes)]
    parts.append(Table(("data set", "beside the scan", "values", "noise"), rows, left=4))
    return Display(f"Scan: {len(scan)} data set{'s' * (len(scan) != 1)}, {names}", parts)


def axes_table(axes: Axes, signal: int = 0) -> Table:
    """Size, range, unit and step of every axis; spectral ones are told."""
    split = len(axes) - signal
    rows = [
        (in_one_line(axis.name), f"{axis.size}", *_where(axis), "spectral" if i >= split else "")
        for i, axis in enumerate(axes)
    ]
    return Table(("axis", "size", "from", "to", "step", "unit", ""), rows)


def _where(axis: Axis) -> tuple[str, str, str, str]:
    """First and last position, step and unit; an axis that only counts has none."""
    first, last = axis.ends
    step = f"{axis.scale:.6g}" if axis.uniform else "varies"
    return f"{first:.6g}", f"{last:.6g}", step, axis.units or "–"


def _kind(data: Dataset) -> str:
    """Type of the values, and how they are stored."""
    stored = ", sparse" * (data.entries is not None) + ", lazy" * (data.lazy is not None)
    return str(data.dtype).removeprefix("torch.") + stored


def _spectral(data: Dataset) -> str:
    """What there is beside the pixels of a scan: channels with their range."""
    told = []
    for axis in data.channels:
        first, last = axis.ends
        told.append(f"{axis.name} {axis.size}, {first:.4g} to {last:.4g} {axis.units}".rstrip())
    return "; ".join(told) or "–"


def _noise(data: Dataset) -> str:
    """Of how many entries the variance is known; what kind of noise was found stands in history."""
    if data.variance is None:
        return "no variance given"
    shape = tuple(data.variance.shape)
    shape = (1,) * (len(data.shape) - len(shape)) + shape
    split = len(shape) - data.signal
    pixels, channels = (any(n > 1 for n in part) for part in (shape[:split], shape[split:]))
    if not pixels and not channels:
        return "variance known, one for all values"
    what = "value" if pixels and channels else "pixel" if pixels else "channel"
    return f"variance known, one for every {what}"


def _mask(data: Dataset) -> list[tuple[str, str]]:
    """How much is left out; not counted where that takes time."""
    if data.mask is None:
        return []
    if data.mask.numel() > QUICK:
        return [("mask", "single values are left out")]
    out, all_ = int(data.mask.sum()), data.mask.numel()
    shape = (1,) * (len(data.shape) - data.mask.ndim) + tuple(data.mask.shape)
    split = len(data.shape) - data.signal
    pixels, channels = (any(n > 1 for n in part) for part in (shape[:split], shape[split:]))
    what = "values" if pixels == channels else "pixels" if pixels else "channels"
    return [("mask", f"{out} of {all_} {what} left out ({100 * out / all_:.3g} %)")]


def _values(data: Dataset) -> list[tuple[str, str]]:
    """Their range, where it is known already."""
    if data.tallied is None:
        return []
    return [("values", f"{data.tallied.minimum:.5g} to {data.tallied.maximum:.5g}")]


def _history(data: Dataset) -> list[tuple[str, str]]:
    """The last steps, and how many there were before."""
    before = len(data.history) - STEPS
    steps = list(data.history[-STEPS:])
    if before > 0:
        steps[0] = f"… {before + 1} steps before"
    return [("history" if i == 0 else "", _short(step)) for i, step in enumerate(steps)]


def _short(step: str) -> str:
    return step if len(step) <= 170 else step[:169] + "…"

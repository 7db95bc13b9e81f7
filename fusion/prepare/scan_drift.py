"""Energy drift that several data sets of a scan share: `Scan.align`."""

from __future__ import annotations

from collections.abc import Mapping

from fusion.algebra.axis import Axis
from fusion.algebra.units import ratio
from fusion.algebra.waiting import waiting
from fusion.data.dataset import Dataset
from fusion.data.preparing import Window
from fusion.data.scan import Scan
from fusion.prepare.energy_drift import drifts


def align(scan: Scan, names: tuple[str, ...], window: Mapping[str, Window], progress: bool) -> Scan:
    """See `Scan.align`."""
    call = f"Scan.align({', '.join(map(repr, names))})"
    if not names:
        raise ValueError(
            f"`{call}`: name the data set that shows the drift and those that drifted with it, "
            f"of {', '.join(scan)}: `scan.align('{next(iter(scan))}', energy_loss=(-5, 5))`."
        )
    seen, *others = (scan[name] for name in names)
    steps = [_channels(call, seen, other) for other in others]
    with waiting("align", progress):
        shifts = drifts(seen, window, "align")
    made = [seen.align(shifts=shifts, progress=progress)]
    for data, step in zip(others, steps, strict=True):
        made.append(data.align(shifts=shifts * step, progress=progress))
    return scan.replaced(*made)


def _channels(call: str, seen: Dataset, other: Dataset) -> float:
    """Channels of `other` that are as wide as one of `seen`."""
    one, two = _spectral(call, seen), _spectral(call, other)
    if other.shape[:-1] != seen.shape[:-1]:
        raise ValueError(
            f"`{call}`: {seen.name!r} has pixels {seen.shape[:-1]}, {other.name!r} "
            f"{other.shape[:-1]}: what shares one drift has the same pixels."
        )
    units = ratio(two.units, one.units)
    if units is None:
        raise ValueError(
            f"`{call}`: {seen.name!r} has energies in {one.units or 'no unit'}, {other.name!r} in "
            f"{two.units or 'no unit'}: calibrate them, `data.with_axes(…)`."
        )
    return _step(one) * units / _step(two)


def _spectral(call: str, data: Dataset) -> Axis:
    if data.signal != 1:
        raise ValueError(f"`{call}`: {data} has {data.signal} signal axes: give spectra.")
    return data.channels[0]


def _step(axis: Axis) -> float:
    """Mean width of a channel."""
    return float((axis.values[-1] - axis.values[0]) / (len(axis.values) - 1))

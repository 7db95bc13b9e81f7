"""Another calibration of axes: `with_axes`."""

from __future__ import annotations

from collections.abc import Mapping

from fusion.algebra.axis import Axis
from fusion.data.dataset import Dataset
from fusion.prepare.crop_bin import by_axis_index


def with_axes(data: Dataset, axes: Mapping[str, Axis]) -> Dataset:
    """See `Dataset.with_axes`."""
    call = f"with_axes({', '.join(f'{name}=…' for name in axes)})"
    new = list(data.axes)
    for i, axis in by_axis_index(data, axes, call).items():
        if not isinstance(axis, Axis):
            raise ValueError(f"`{call}`: {type(axis).__name__} is no axis: give a `fusion.Axis`.")
        new[i] = axis.sized(data.shape[i])
    changed = [f"{a!r} for {b!r}" for a, b in zip(new, data.axes, strict=True) if a != b]
    return data.derive(data._array, f"with_axes: {'; '.join(changed) or 'none'}", axes=new)

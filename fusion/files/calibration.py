"""Names, units and positions as files write them, in this project's words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fusion.algebra.axis import Axes, Axis, named
from fusion.algebra.unit_names import clean
from fusion.algebra.units import in_units

NAMES = {
    "width": "x",
    "scanx": "x",
    "height": "y",
    "scany": "y",
    "x-ray energy": "energy",
    "energy-loss": "energy loss",
    "energyloss": "energy loss",
    "eels": "energy loss",
}
TINY = 1e-3  # steps below which a length is not told in m or mm


def axis_name(value: Any) -> str:
    """The name as the rest of the project writes it: "energy loss", "energy", "x", "y" …"""
    cleaned = " ".join(clean(value).lower().replace("_", " ").split())
    return NAMES.get(cleaned, cleaned)


def slug(value: Any) -> str:
    """A short name of lower-case letters, digits and "_"; empty if nothing is left."""
    plain = unicodedata.normalize("NFKD", clean(value)).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9]+", "_", plain.lower()).strip("_")[:40].strip("_")


def axis_at(name: str, values: ArrayLike, units: str = "") -> Axis:
    """An axis at these positions: scale and offset where they are evenly spaced.

    Evenly means to four units in the last place of the type that they are stored in.

    Args:
        name: of the axis.
        values: (n,) positions, in `units`.
        units: of the positions.
    """
    values = np.asarray(values)
    precision = np.finfo(values.dtype).eps if values.dtype.kind == "f" else np.finfo(float).eps
    values = values.astype(float)
    n = values.size
    if n == 1 and np.isfinite(values[0]):
        return Axis(name, 1.0, values[0], units)
    scale = (values[-1] - values[0]) / max(n - 1, 1)
    off = np.abs(values[0] + scale * np.arange(n) - values)
    if scale != 0 and off.max() <= 4 * precision * np.abs(values).max():
        return Axis(name, scale, values[0], units)
    return Axis(name, values=values, units=units)


def readable(axis: Axis, *, spectral: bool) -> Axis:
    """The axis in nm or µm where it has steps of far less than its unit: 7.8e-9 m, 1e-6 mm."""
    length = {"m": 1e9, "mm": 1e6}.get(axis.units)
    x = axis.values
    step = abs(axis.scale) if axis.uniform else float(np.abs(np.diff(x)).min(initial=np.inf))
    if length is None or not step < TINY:
        return axis
    units = "nm" if spectral or step * length < 100 else "µm"
    return in_units(axis, units, "load")


def complete_axes(axes: list[Axis], shape: tuple[int, ...], signal: int) -> Axes:
    """The axes, sized; those without a name get the one that `Dataset` would give them."""
    used = {each.name for each in axes}
    for i, (each, default) in enumerate(zip(axes, named(None, shape, signal), strict=True)):
        if not each.name:
            name = default.name if default.name not in used else f"axis {i}"
            values = None if each.uniform else each.values
            axes[i] = Axis(name, each.scale, each.offset, each.units, values)
            used.add(name)
    return named(axes, shape, signal)


KEPT = "sdfusion"
"""Key in the metadata of what HyperSpy has no place for: mask, variance, history, signal axes."""


def is_as_saved(kept: Any, names: Sequence[str], shape: Sequence[int]) -> bool:
    """Whether axes are those that a data set was saved with, in their order."""
    if not isinstance(kept, Mapping) or "axes" not in kept or "shape" not in kept:
        return False
    saved = [axis_name(name) for name in str(kept["axes"]).split("\n")]
    distinct = len(set(saved)) == len(saved)  # else lengths tell, as far as they do
    same = distinct or [int(n) for n in kept["shape"]] == list(shape)
    return same and saved == [*map(axis_name, names)]

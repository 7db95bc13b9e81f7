"""Axes of an array as an HDF5 file tells them: dimension scales, or the attributes of NeXus."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.unit_names import unit
from fusion.files.calibration import axis_at, axis_name
from fusion.files.hdf5_links import DAMAGE, array_at

UNITS = ("units", "unit", "Units", "Unit")
"""Attributes that hold the unit of an array."""


def told_axes(path: Path, file: Any, array: Any) -> list[Axis | None]:
    """An axis for every axis of an HDF5 array, None where nothing is told of it."""
    scales = [_scale(dim, n) for dim, n in zip(array.dims, array.shape, strict=True)]
    nexus = _nexus_axes(path, file, array)
    return [a if a is not None else b for a, b in zip(scales, nexus, strict=True)]


def positions_in(path: Path, file: Any, where: str) -> tuple[NDArray[Any], str]:
    """Positions that lie in the file, and their unit.

    Raises:
        ValueError: if they are no array of one axis.
    """
    array = array_at(path, file, where)
    if array.ndim != 1 and array.size != max(array.shape, default=0):
        raise ValueError(f"{path}: {where} has shape {array.shape}: give one of one axis.")
    return np.asarray(array[()]).reshape(-1), unit_of(array)


def unit_of(array: Any) -> str:
    """The unit among the attributes of an array; empty where there is none."""
    return next((unit(text(array.attrs[key])) for key in UNITS if key in array.attrs), "")


def text(value: Any) -> str:
    """Text as h5py hands it on: bytes, or an array of one."""
    value = value.ravel()[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _scale(dim: Any, size: int) -> Axis | None:
    """The axis of a dimension scale."""
    with suppress(*DAMAGE):
        if len(dim) == 0:
            return Axis(axis_name(dim.label)) if dim.label else None
        return _axis(dim.label or dim[0].name.rpartition("/")[2], dim[0], size)
    return None


def _axis(name: str, array: Any, size: int) -> Axis | None:
    if array.shape != (size,):
        return None
    return axis_at(axis_name(name), array[()], unit_of(array))


def _nexus_axes(path: Path, file: Any, array: Any) -> Sequence[Axis | None]:
    """Axes that the attribute "axes" of the group names, in the order of the array."""
    nothing: list[Axis | None] = [None] * array.ndim
    group = array.parent
    with suppress(*DAMAGE):
        names = [text(name) for name in np.atleast_1d(group.attrs.get("axes", []))]
        if len(names) != array.ndim:
            return nothing
        return [
            None if name == "." else _axis(name, array_at(path, file, f"{group.name}/{name}"), n)
            for name, n in zip(names, array.shape, strict=True)
        ]
    return nothing

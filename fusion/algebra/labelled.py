"""Arrays with axes as those of xarray, which is imported where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fusion.algebra.axes_array import AxesArray
    from fusion.algebra.axis import Axis

COMPONENT = "component"
"""The dimension of components, whatever the factor."""


def data_array(array: AxesArray, name: str | None = None) -> Any:
    """A `DataArray`: dimensions by the names of the axes, positions as coordinates with units."""
    xr = xarray("to_xarray")
    dims = [axis.name for axis in array.axes]
    return _made(xr, array, name, dims)


def dataset(arrays: Mapping[str, AxesArray], attributes: Mapping[str, Any]) -> Any:
    """A `Dataset` of all; axes of one name that differ get what follows "_" in the array's name."""
    xr = xarray("to_xarray")
    first: dict[str, Axis] = {}
    made = {}
    for name, array in arrays.items():
        dims = []
        for axis in array.axes:
            same = first.setdefault(axis.name, axis) == axis
            dims.append(axis.name if same else f"{axis.name} {name.partition('_')[2] or name}")
        made[name] = _made(xr, array, name, dims)
    return xr.Dataset(made, attrs=dict(attributes))


def xarray(call: str) -> Any:
    """The package.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import xarray as xr
    except ImportError as error:
        raise ImportError(
            f'`{call}`: xarray is not installed: pip install "sdfusion[xarray]".'
        ) from error
    return xr


def _made(xr: Any, array: AxesArray, name: str | None, dims: list[str]) -> Any:
    """Components by their names where they have some, else by their numbers."""
    coords: dict[str, Any] = {}
    for dim, axis in zip(dims, array.axes, strict=True):
        values: Any = axis.values
        if axis.name == COMPONENT:
            named = not all(each.isdecimal() for each in array.components)
            values = list(array.components) if named else np.arange(1, len(values) + 1)
        coords[dim] = (dim, values, {"units": axis.units} if axis.units else {})
    return xr.DataArray(np.array(array.values), dims=dims, coords=coords, name=name)

"""An array that knows what runs along its axes; what is made of it is plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from fusion.algebra.axis import Axes, Axis


class AxesArray(NDArrayOperatorsMixin):
    """Maps or spectra with their axes: an array to read, index, compute and draw with.

    `shape`, `sum(…)`, `max(…)`, `[…]`, `+`, NumPy's and matplotlib's functions do what they do to
    `values`, and give NumPy arrays: what is left of the axes then, nobody has to guess.

    Args:
        values: the array.
        axes: an `Axis` for every array axis.
        components: names of the components along the last axis; none where there is no such axis.

    Attributes:
        values: the NumPy array, not to be written to.

    Example:
        >>> from fusion.algebra.axes_array import AxesArray
        >>> energy = fu.Axis("energy loss", scale=0.5, offset=100, units="eV", size=4)
        >>> spectrum = AxesArray(np.array([0.0, 2.0, 5.0, 1.0]), (energy,))
        >>> spectrum.peak, (spectrum / spectrum.sum()).tolist()
        (101.0, [0.0, 0.25, 0.625, 0.125])
    """

    def __init__(
        self, values: NDArray[Any], axes: Sequence[Axis], components: Sequence[str] = ()
    ) -> None:
        self.axes: Axes = tuple(axis.sized(n) for axis, n in zip(axes, values.shape, strict=True))
        self.components = tuple(components)
        self.values = values.view()
        self.values.flags.writeable = False

    @property
    def peak(self) -> Any:
        """Where the highest value lies: its position, in the unit of the axis; of several, each.

        Of more components than one ask for one first: `result.spectrum(2).peak`.
        """
        if np.isnan(self.values).all():
            return float("nan")
        places = np.unravel_index(int(np.nanargmax(self.values)), self.values.shape)
        found = [float(axis.values[i]) for axis, i in zip(self.axes, places, strict=True)]
        return found[0] if len(found) == 1 else tuple(found)

    def to_xarray(self, name: str | None = None) -> Any:
        """A `DataArray` of the package xarray: a dimension an axis, positions as coordinates.

        Raises:
            ImportError: if xarray is not installed.
        """
        from fusion.algebra.labelled import data_array

        return data_array(self, name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.values if dtype is None else self.values.astype(dtype, copy=False)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = (x.values if isinstance(x, AxesArray) else x for x in inputs)
        return getattr(ufunc, method)(*plain, **options)

    def __getitem__(self, key: Any) -> Any:
        return self.values[key]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Any:
        return iter(self.values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "values":  # while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.values, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self.values)})

    def __repr__(self) -> str:
        along = ", ".join(f"{axis.name} {axis.size}" for axis in self.axes)
        named = [name for name in self.components if not name.isdecimal()]
        said = f"; {', '.join(named)}" if named else ""
        return f"AxesArray({along}{said}; {self.values.dtype}, {prod(self.values.shape)} values)"

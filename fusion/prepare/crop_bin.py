"""Parts and sums of a data set: `crop` and `bin`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axis
from fusion.algebra.unit_names import ENERGIES, LENGTHS, clean
from fusion.data.dataset import Dataset
from fusion.prepare.sparse_parts import binned, cropped

UNITS_OF = {"energy": ENERGIES, "wavelength": LENGTHS, "wavenumber": ("1/cm",)}
"""Words for a spectral axis, whatever it is called, by its unit."""


def axis_index(data: Dataset, name: str, call: str) -> int:
    """Which axis is meant: its name, or the beginning of it where that is unique; or by its unit.

    `energy`, `wavelength` and `wavenumber` mean the spectral axis of such a unit, whatever its name
    is, where none is called so.

    Raises:
        ValueError: if none or several are.
    """
    names = [axis.name.lower().replace("_", " ") for axis in data.axes]
    word = name.lower().replace("_", " ")
    fitting = [i for i, n in enumerate(names) if n == word]
    fitting = fitting or [i for i, n in enumerate(names) if n.startswith(word)]
    fitting = fitting or [i for i, n in enumerate(names) if f" {word}" in n]
    spectral = range(len(data.axes) - data.signal, len(data.axes))
    units = UNITS_OF.get(word, ())
    fitting = fitting or [i for i in spectral if clean(data.axes[i].units) in units]
    if len(fitting) != 1:
        known = ", ".join(f"{axis.name} ({axis.size})" for axis in data.axes)
        raise ValueError(
            f"`{call}`: {len(fitting) or 'no'} axes are called {name!r}; {data} has {known}: "
            "give enough of one name." + (f" {_instead(data)}" if units and not fitting else "")
        )
    return fitting[0]


def _instead(data: Dataset) -> str:
    """What the data have in the place of such a spectral axis."""
    if data.signal != 1:
        return f"It is {'an image' if data.signal == 0 else 'of patterns'}, without such an axis."
    units = clean(data.channels[0].units)
    word = next((w for w, known in UNITS_OF.items() if units in known), data.channels[0].name)
    return f"Its spectral axis is in {units or 'no unit'}: {word.replace(' ', '_')}=…."


def by_axis_index(data: Dataset, parts: Mapping[str, Any], call: str) -> dict[int, Any]:
    """What is asked for, by the axis that is meant.

    Raises:
        ValueError: if a name means no axis, or several, or two names the same one.
    """
    asked = [(axis_index(data, name, call), part) for name, part in parts.items()]
    twice = [i for i, _ in asked if sum(i == j for j, _ in asked) > 1]
    if twice:
        raise ValueError(
            f"`{call}`: {len(twice)} of the names mean {data.axes[twice[0]].name}: give one."
        )
    return dict(asked)


def crop(data: Dataset, ranges: Mapping[str, Any]) -> Dataset:
    """See `Dataset.crop`."""
    arguments = ", ".join(f"{name}={_range_text(part)}" for name, part in ranges.items())
    call = f"crop({arguments})"
    chosen = [slice(None)] * len(data.shape)
    for i, part in by_axis_index(data, ranges, call).items():
        chosen[i] = index_range(data, i, part, call)
    axes = [axis.cut(part) for axis, part in zip(data.axes, chosen, strict=True)]
    if data.entries is None:
        array = _array_unread(data)[tuple(chosen)]
    else:
        array = cropped(data.entries, data.shape, chosen)
    return data.derive(
        array,
        call,
        axes=axes,
        mask=cut(data.mask, data.shape, chosen),
        variance=cut(data.variance, data.shape, chosen),
    )


def take_entries(data: Dataset, i: int, rows: NDArray[np.intp]) -> Dataset:
    """These entries of axis i, in this order."""
    chosen: list[Any] = [slice(None)] * len(data.shape)
    chosen[i] = rows
    axes = list(data.axes)
    axes[i] = Axis(axes[i].name, units=axes[i].units, values=axes[i].values[rows])
    return data.derive(
        _array_unread(data)[tuple(chosen)],
        f"{len(rows)} of {data.shape[i]} entries along {axes[i].name}",
        axes=axes,
        mask=cut(data.mask, data.shape, chosen),
        variance=cut(data.variance, data.shape, chosen),
    )


def bin_by(data: Dataset, factors: Mapping[str, int]) -> Dataset:
    """See `Dataset.bin`."""
    call = f"bin({', '.join(f'{name}={n}' for name, n in factors.items())})"
    groups = [1] * len(data.shape)
    for i, n in by_axis_index(data, factors, call).items():
        groups[i] = _checked_divisor(data, i, n, call)
    variance = data.variance
    if variance is not None:  # one value that stands for all n: their sum is n times it
        for n, size in zip(groups, variance.shape, strict=True):
            variance = variance * n if size == 1 else variance
        variance = block_sums(variance, _broadcast_groups(groups, variance))
    mask = data.mask
    if mask is not None:
        mask = block_sums(mask.int(), _broadcast_groups(groups, mask)) > 0
    if data.entries is None:
        array = block_sums(_array_unread(data), groups)
    else:
        array = binned(data.entries, data.shape, groups)
    return data.derive(
        array,
        call,
        axes=[axis.binned(n) for axis, n in zip(data.axes, groups, strict=True)],
        mask=mask,
        variance=variance,
    )


def block_sums(array: Any, groups: list[int]) -> Any:
    """Sums of this many neighbours along every axis; NumPy, dask and torch alike.

    Integers become int64, half precision becomes single, so that no sum overflows.
    """
    wide = {} if isinstance(array, Tensor) else _sum_dtype(array.dtype)
    for i, n in enumerate(groups):
        if n > 1:
            shape = tuple(array.shape)
            split: Any = array.reshape((*shape[:i], shape[i] // n, n, *shape[i + 1 :]))
            array = split.sum(axis=i + 1, **wide)
    return array


def index_range(data: Dataset, i: int, part: Any, call: str) -> slice:
    """Indices of a range along axis i: (first, last) in its unit, or a slice.

    Raises:
        ValueError: if it is neither, or holds nothing.
    """
    n, axis = data.shape[i], data.axes[i]
    if isinstance(part, slice):
        whole = all(end is None or isinstance(end, Integral) for end in (part.start, part.stop))
        if not whole or part.step not in (None, 1) or not len(range(*part.indices(n))):
            raise ValueError(
                f"`{call}`: nothing is left of the {n} entries along {axis.name}: "
                f"give whole numbers from 0 to {n}, first < last, step 1."
            )
        return part
    pair = isinstance(part, tuple | list) and len(part) == 2
    if not pair or not all(end is None or isinstance(end, Real) for end in part):
        raise ValueError(
            f"`{call}`: {axis.name}={part!r} for {n} entries: give two numbers (first, last) in "
            f"{axis.units or 'its unit'}, None for an end, or a slice of indices."
        )
    try:
        return axis.window(*part)
    except ValueError as error:
        raise ValueError(f"`{call}`: {error}") from None


def _checked_divisor(data: Dataset, i: int, n: Any, call: str) -> int:
    """The factor along axis i, if it is one."""
    size, name = data.shape[i], data.axes[i].name
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise ValueError(f"`{call}`: {name}={n!r}: give a whole number from 1 to {size}.")
    n = index(n)
    if remainder := size % n:
        rest = size - remainder
        word = name.replace(" ", "_")
        advice = f"crop first, {word}=slice(0, {rest})" if rest else f"give {size} or less"
        raise ValueError(
            f"`{call}`: the {size} entries along {name} do not divide by {n}: {advice}."
        )
    return n


def _broadcast_groups(groups: list[int], array: Tensor) -> list[int]:
    """The factors of something that broadcasts to the data."""
    return [1 if size == 1 else n for n, size in zip(groups, array.shape, strict=True)]


def _sum_dtype(dtype: np.dtype) -> dict[str, Any]:
    """In what to sum."""
    if dtype.kind in "bui":
        return {"dtype": np.int64}
    return {"dtype": np.float32} if dtype.itemsize < 4 else {}


def _array_unread(data: Dataset) -> Any:
    """The data without reading what is lazy; NumPy sums every integer type, torch does not."""
    return data.numpy() if data.lazy is None else data.lazy


def _range_text(part: Any) -> str:
    if isinstance(part, slice):
        return f"slice({part.start}, {part.stop})"
    return str(tuple(part)) if isinstance(part, list | tuple) else repr(part)


def cut(
    array: Tensor | None, shape: Sequence[int], chosen: Sequence[int | slice | NDArray[np.intp]]
) -> Tensor | None:
    """The same part of something that broadcasts to the data."""
    if array is None:
        return None
    sizes = zip(chosen, array.shape, shape, strict=True)
    return array[
        tuple(
            part if m == n else 0 if isinstance(part, int) else slice(None) for part, m, n in sizes
        )
    ]

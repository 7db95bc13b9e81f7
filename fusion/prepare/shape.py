"""Parts and sums of a data set: `crop` and `bin`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from fusion.dataset import Dataset


def place(data: Dataset, name: str, call: str) -> int:
    """Which axis is meant: its name, or the beginning of it where that is unique.

    Raises:
        ValueError: if none or several are.
    """
    names = [axis.name.lower() for axis in data.axes]
    word = name.lower().replace("_", " ")
    fitting = [i for i, n in enumerate(names) if n == word]
    fitting = fitting or [i for i, n in enumerate(names) if n.startswith(word)]
    if len(fitting) != 1:
        raise ValueError(
            f"`{call}`: {'no' if not fitting else 'more than one'} axis {name!r}; {data} has "
            f"{', '.join(axis.name for axis in data.axes)}."
        )
    return fitting[0]


def crop(data: Dataset, ranges: Mapping[str, Any]) -> Dataset:
    """See `Dataset.crop`."""
    said = ", ".join(f"{name}={_shown(part)}" for name, part in ranges.items())
    call = f"crop({said})"
    index = [slice(None)] * len(data.shape)
    for name, part in ranges.items():
        i = place(data, name, call)
        index[i] = _slice(data, i, part, call)
    axes = [axis.cut(part) for axis, part in zip(data.axes, index, strict=True)]
    return data.derive(
        _source(data)[tuple(index)],
        call,
        axes=axes,
        mask=_part(data.mask, data.shape, index),
        variance=_part(data.variance, data.shape, index),
    )


def bin_by(data: Dataset, factors: Mapping[str, int]) -> Dataset:
    """See `Dataset.bin`."""
    call = f"bin({', '.join(f'{name}={n}' for name, n in factors.items())})"
    groups = [1] * len(data.shape)
    for name, n in factors.items():
        i, size = place(data, name, call), data.shape[place(data, name, call)]
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"`{call}`: {name}={n!r}: give a whole number, 1 or more.")
        if size % n:
            rest = size - size % n
            advice = f"crop first, {name}=slice(0, {rest})" if rest else f"give {size} or less"
            raise ValueError(
                f"`{call}`: the {size} entries along {name} do not divide by {n}: {advice}."
            )
        groups[i] = n
    variance = data.variance
    if variance is not None:  # one value that stands for all n: their sum is n times it
        for i, n in enumerate(groups):
            variance = variance * n if variance.shape[i] == 1 != data.shape[i] else variance
        variance = grouped(
            variance, [min(n, m) for n, m in zip(groups, variance.shape, strict=True)]
        )
    mask = data.mask
    if mask is not None:
        mask = grouped(mask.int(), [min(n, m) for n, m in zip(groups, mask.shape, strict=True)]) > 0
    return data.derive(
        grouped(_source(data), groups),
        call,
        axes=[axis.binned(n) for axis, n in zip(data.axes, groups, strict=True)],
        mask=mask,
        variance=variance,
    )


def grouped(array: Any, groups: list[int]) -> Any:
    """Sums of this many neighbours along every axis; NumPy, dask and torch alike."""
    for i, n in enumerate(groups):
        if n > 1:
            shape = tuple(array.shape)
            array = array.reshape(shape[:i] + (shape[i] // n, n) + shape[i + 1 :]).sum(axis=i + 1)
    return array


def _source(data: Dataset) -> Any:
    """The data without reading what is lazy; NumPy sums every integer type, torch does not."""
    return data.numpy() if data.lazy is None else data.lazy


def _shown(part: Any) -> str:
    if isinstance(part, slice):
        return f"slice({part.start}, {part.stop})"
    return str(tuple(part)) if isinstance(part, list | tuple) else repr(part)


def _slice(data: Dataset, i: int, part: Any, call: str) -> slice:
    """Indices of a range along axis i."""
    n, axis = data.shape[i], data.axes[i]
    if isinstance(part, slice):
        if not len(range(*part.indices(n))) or part.step not in (None, 1):
            raise ValueError(
                f"`{call}`: nothing is left of {n} entries: give first < last, step 1."
            )
        return part
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise ValueError(
            f"`{call}`: {axis.name}={part!r}: give (first, last) in {axis.units or 'its units'}, "
            "or a slice of indices."
        )
    try:
        return axis.window(*part)
    except ValueError as error:
        raise ValueError(f"`{call}`: {error}") from None


def _part(array: Tensor | None, shape: tuple[int, ...], index: list[slice]) -> Tensor | None:
    """The same part of something that broadcasts to the data."""
    if array is None:
        return None
    return array[
        tuple(
            part if m == n else slice(None)
            for part, m, n in zip(index, array.shape, shape, strict=True)
        )
    ]

"""Sums and means along axes, without what is masked: `data.sum(…)`, `data.mean(…)`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.data.dataset import Dataset
from fusion.prepare.crop_bin import axis_index
from fusion.prepare.sparse_parts import places

Array = NDArray[Any]


def total(data: Dataset, names: Sequence[str]) -> Dataset:
    """See `Dataset.sum`."""
    call, along = _axes_meant(data, names, "sum")
    sums, counts = _sums_and_counts(data, along)
    most = int(counts.max(initial=0))
    scale = most / np.maximum(counts, 1)
    even = bool((counts == most).all())
    return _derived(data, call, along, sums if even else sums * scale, counts, scale)


def mean(data: Dataset, names: Sequence[str]) -> Dataset:
    """See `Dataset.mean`."""
    call, along = _axes_meant(data, names, "mean")
    sums, counts = _sums_and_counts(data, along)
    scale = 1.0 / np.maximum(counts, 1)
    return _derived(data, call, along, sums * scale, counts, scale)


def _axes_meant(data: Dataset, names: Sequence[str], verb: str) -> tuple[str, tuple[int, ...]]:
    """(the call, which axes go): those named, else the pixels'.

    Raises:
        ValueError: if there is no such axis, or none would be left.
    """
    call = f"{data.name}.{verb}({', '.join(map(repr, names))})"
    split = len(data.shape) - data.signal
    for name in names:
        if not isinstance(name, str):
            raise ValueError(
                f"`{call}`: {name!r} is no name of an axis: {data} has "
                f"{', '.join(repr(axis.name) for axis in data.axes)}."
            )
    along = {axis_index(data, name, call) for name in names} if names else set(range(split))
    if not along or len(along) == len(data.shape):
        numpy = "sum()" if verb == "sum" else "mean()"
        left = "there are no pixels to add up" if not along else "one value is no data set"
        raise ValueError(f"`{call}`: {left}: take it of the array, `{data.name}.data.{numpy}`.")
    return call, tuple(sorted(along))


def _sums_and_counts(data: Dataset, along: tuple[int, ...]) -> tuple[Any, Array]:
    """(sums of what is neither masked nor NaN or infinite, of how many values each)."""
    if data.entries is not None:
        return _sparse_sums(data, along)
    array: Any = data.lazy if data.lazy is not None else data.numpy()
    wide = {"dtype": np.int64} if array.dtype.kind in "bui" else {}
    wide = {"dtype": np.float64} if array.dtype.kind == "f" else wide
    left = _left_in(data, array)
    if left is None:
        n = prod(data.shape[i] for i in along)
        kept = tuple(m for i, m in enumerate(data.shape) if i not in along)
        sums = array.sum(axis=along, **wide)
        return sums if data.lazy is None else sums.compute(), np.full(kept, n)
    if data.lazy is None:
        return array.sum(axis=along, where=left, **wide), left.sum(axis=along)
    import dask.array as da
    from dask.base import compute

    counts = da.broadcast_to(left, data.shape).sum(axis=along)
    return compute(da.where(left, array, 0).sum(axis=along, **wide), counts)  # both at once


def _left_in(data: Dataset, array: Any) -> Any:
    """Where values count, broadcast to the array; None where all do."""
    left = None if data.mask is None else ~data.mask.numpy()
    if array.dtype.kind == "f":
        finite = np.isfinite(array)
        if data.lazy is not None or not finite.all():
            left = finite if left is None else finite & left
    if left is None:
        return None
    return np.broadcast_to(left, data.shape) if data.lazy is None else left


def _sparse_sums(data: Dataset, along: tuple[int, ...]) -> tuple[Array, Array]:
    """The same of counts of which most are zero; sums are dense."""
    assert data.entries is not None
    kept = [i for i in range(len(data.shape)) if i not in along]
    shape = [data.shape[i] for i in kept]
    where, values = places(data.entries, data.shape), data.entries.x
    counts = np.full(shape, prod(data.shape[i] for i in along))
    if data.mask is not None:
        left = ~data.mask.expand(data.shape)
        counts = left.sum(dim=along).numpy()
        seen = left[tuple(where)]
        where, values = where[:, seen], values[seen]
    flat = torch.zeros(1, dtype=torch.int64).expand(where.shape[1]).clone()
    for i in kept:
        flat = flat * data.shape[i] + where[i]
    whole = not values.dtype.is_floating_point
    sums = torch.zeros(prod(shape), dtype=torch.int64 if whole else torch.float64)
    sums.index_add_(0, flat, values.to(sums.dtype))
    return sums.reshape(shape).numpy(), counts


def _derived(
    data: Dataset, call: str, along: tuple[int, ...], array: Any, counts: Array, scale: Any
) -> Dataset:
    """The data set of what is left of the axes; where nothing was added up it is masked."""
    split = len(data.shape) - data.signal
    kept = [i for i in range(len(data.shape)) if i not in along]
    empty = counts == 0
    variance = _variance(data, along)
    if variance is not None:
        variance = variance * torch.as_tensor(scale).square()
        variance = torch.where(torch.as_tensor(empty), 1.0, variance) if empty.any() else variance
    return data.derive(
        array,
        call.partition(".")[2],
        axes=[data.axes[i] for i in kept],
        signal=sum(i >= split for i in kept),
        mask=empty if empty.any() else None,
        variance=variance,
    )


def _variance(data: Dataset, along: tuple[int, ...]) -> Tensor | None:
    """Sums of the variances of what was added up; small where all are alike."""
    v = data.variance
    if v is None:
        return None
    if data.mask is not None:
        return (v.double() * ~data.mask).expand(data.shape).sum(dim=along)
    many = prod(data.shape[i] for i in along if v.shape[i] == 1)
    return v.double().sum(dim=along) * many

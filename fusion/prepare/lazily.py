"""Steps that stay lazy: a function of blocks of whole spectra, as a dask array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.memory import total_bytes
from fusion.data.array_input import SHARE
from fusion.data.dataset import Dataset

BLOCK = 2**26
"""Bytes of a block of whole spectra, about, where the chunks hold parts of them."""


def whole_spectra(data: Dataset) -> Any:
    """The dask array of a lazy data set in blocks of whole spectra.

    Raises:
        ValueError: if these would take more than a quarter of the memory.
    """
    array, split = data.lazy, len(data.pixels)
    signal = range(split, len(data.shape))
    if all(len(array.chunks[i]) == 1 for i in signal):
        check_blocks(data)
        return array
    check_blocks(data)
    block = prod(max(c) for c in array.chunks[:split]) * data.matrix_shape[1] * array.dtype.itemsize
    scan: dict[int, Any] = dict.fromkeys(range(split), "auto") if block > BLOCK else {}
    return array.rechunk(scan | dict.fromkeys(signal, -1), block_size_limit=BLOCK)


def check_blocks(data: Dataset) -> None:
    """Complain of chunks whose whole spectra are too much to be held at a time.

    Raises:
        ValueError: with the line that mends it.
    """
    split, have = len(data.pixels), total_bytes()
    chunks = [max(sizes) for sizes in data.lazy.chunks]
    need = prod(chunks[:split]) * data.matrix_shape[1] * data.lazy.dtype.itemsize
    if have is None or need <= SHARE * have:
        return
    fewer = max(int((BLOCK / (need / prod(chunks[:split]))) ** (1 / max(split, 1))), 1)
    scan = ", ".join(f"{i}: {min(fewer, n)}" for i, n in enumerate(data.shape[:split]))
    rest = "".join(f", {i}: -1" for i in range(split, len(data.shape)))
    raise ValueError(
        f"`{data}`: stored in chunks of {data.lazy.chunksize}, so that whole spectra are read "
        f"{need / 1e9:.3g} GB at a time, the machine has {have / 1e9:.3g}: store it in smaller "
        f"parts of the scan with whole spectra, `array.rechunk({{{scan}{rest}}})` written to zarr."
    )


def beside(values: Any, array: Any) -> Any:
    """What broadcasts to an array, as a dask array in its chunks; axes of length 1 stay so."""
    import dask.array as da

    values = np.asarray(values)
    values = values.reshape((1,) * (array.ndim - values.ndim) + values.shape)
    sizes = zip(array.chunks, values.shape, strict=True)
    chunks: Any = tuple(c if n > 1 else (1,) for c, n in sizes)
    return da.from_array(values, chunks=chunks)


def by_block(
    function: Callable[..., NDArray[Any]],
    array: Any,
    *others: Any,
    dtype: Any,
    channels: int | None = None,
) -> Any:
    """function(block, its part of what stands beside, …), as a dask array of this type.

    Args:
        function: gives an array of the shape of the block, but for the last axis.
        array: of dask; others: what broadcasts to it, or None, which the function is given.
        dtype: of what it gives.
        channels: length of the last axis, which then is one chunk; default: as it is.
    """
    given = [None if each is None else beside(each, array) for each in others]
    there = [each for each in given if each is not None]
    places = [each is not None for each in given]
    chunks = None if channels is None else (*array.chunks[:-1], (channels,))
    return array.map_blocks(
        _on_block,
        *there,
        dtype=dtype,
        chunks=chunks,
        meta=np.empty((0,) * array.ndim, dtype),
        function=function,
        places=tuple(places),
    )


def _on_block(block: Any, *there: Any, function: Any, places: Sequence[bool]) -> NDArray[Any]:
    parts = iter(there)
    return function(np.asarray(block), *(next(parts) if place else None for place in places))

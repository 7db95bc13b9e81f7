"""A data set part by part, as (pixel, channel), so that no more of it is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset

PART = 2**18
"""Values that are looked at once."""
BLOCKS = 2**23
"""Bytes of lazy data that are read at once: neighbouring blocks up to that; a larger one alone."""


class Part(NamedTuple):
    """Values of some pixels and channels, (pixel, channel), as they are stored."""

    pixels: NDArray[np.intp]
    channels: NDArray[np.intp] | slice
    values: NDArray[Any]


def parts(data: Dataset, wanted: NDArray[np.bool_] | None = None) -> Iterator[Part]:
    """All values in parts; what is lazy is read in blocks, once, and not kept.

    Args:
        data: dense or lazy, not sparse.
        wanted: of every pixel; parts without one are left out, and not read where that is possible.
    """
    if data.lazy is not None:
        yield from _lazy_parts(data, wanted)
        return
    m = data.matrix_shape[1]
    for first, matrix in _matrices(data.tensor.detach(), len(data.shape) - data.signal, 0, m):
        step = max(PART // m, 1)
        for start in range(0, len(matrix), step):
            rows = np.arange(first + start, first + min(start + step, len(matrix)))
            if wanted is None:
                yield Part(rows, slice(None), as_numpy(matrix[start : start + step]))
            elif (kept := wanted[rows]).any():
                chosen = torch.from_numpy(np.flatnonzero(kept) + start).to(matrix.device)
                yield Part(rows[kept], slice(None), as_numpy(matrix[chosen]))


def as_numpy(values: Tensor) -> NDArray[Any]:
    """A tensor in NumPy, which has no bfloat16."""
    values = values.cpu()
    return (values.float() if values.dtype is torch.bfloat16 else values).numpy()


def array_of(data: Dataset) -> Any:
    """The array in its shape, not to be written to: NumPy; dask if it is lazy; sparse of torch."""
    if data.lazy is not None:
        return data.lazy
    if data.entries is None:
        array = data.numpy().view()
        array.flags.writeable = False
        return array
    flat = data.entries.i.long() * data.entries.shape[1] + data.entries.j
    # not torch's `unravel_index`: its first call imports sympy, for more than a second
    places = torch.from_numpy(np.stack(np.unravel_index(flat.cpu().numpy(), data.shape)))
    return torch.sparse_coo_tensor(
        places.to(flat), data.entries.x, data.shape, check_invariants=False
    )


class PartOfMask:
    """The mask of a part, without the whole of it expanded."""

    def __init__(self, data: Dataset) -> None:
        assert data.mask is not None
        self.split, self.shape, self.mask = len(data.pixels), data.shape, data.mask.numpy()

    def of(self, part: Part) -> NDArray[np.bool_]:
        """Of the same shape as the values of the part."""
        scan = self.mask.shape[: self.split]
        places = np.unravel_index(part.pixels, self.shape[: self.split]) if scan else ()
        index = tuple(p if n > 1 else 0 for p, n in zip(places, scan, strict=True))
        rows = np.broadcast_to(self.mask[index], (len(part.pixels), *self.shape[self.split :]))
        return rows.reshape(len(part.pixels), -1)[:, part.channels]


def _matrices(tensor: Tensor, split: int, first: int, m: int) -> Iterator[tuple[int, Tensor]]:
    """(number of the first pixel, (pixel, channel) without a copy of all) of a strided array."""
    try:
        yield first, tensor.view(-1, m)
    except RuntimeError:  # the strides of a part of an array do not merge
        if split == 0:
            yield first, tensor.reshape(1, m)
            return
        size = prod(tensor.shape[1:split])
        for i, inner in enumerate(tensor):
            yield from _matrices(inner, split - 1, first + i * size, m)


def _lazy_parts(data: Dataset, wanted: NDArray[np.bool_] | None) -> Iterator[Part]:
    """The same of a dask array."""
    lazy, split = data.lazy, len(data.shape) - data.signal
    scan, spectrum = data.shape[:split], data.shape[split:]
    for box in product(*boxes(lazy.chunks, max(BLOCKS // lazy.dtype.itemsize, 1))):
        pixels, channels = numbers(box[:split], scan), numbers(box[split:], spectrum)
        if wanted is not None and not wanted[pixels].any():
            continue
        values = np.asarray(lazy[box].compute()).reshape(len(pixels), len(channels))
        step = max(PART // len(channels), 1)
        for rows in (slice(i, i + step) for i in range(0, len(pixels), step)):
            kept: Any = slice(None) if wanted is None else wanted[pixels[rows]]
            if wanted is None or kept.any():
                yield Part(pixels[rows][kept], channels, values[rows][kept])
        del values  # before the next are read


def boxes(chunks: Sequence[Sequence[int]], room: int) -> list[list[slice]]:
    """Slices along every axis: whole chunks, neighbours together as long as they are small.

    Args:
        chunks: sizes along every axis.
        room: values that may be together; a larger chunk stands alone.
    """
    along, outer = [], prod(max(sizes) for sizes in chunks)
    for sizes in reversed(chunks):
        outer //= max(sizes)
        ends = [0]
        for end in np.cumsum(sizes).tolist():
            if len(ends) > 1 and (end - ends[-2]) * outer <= room:
                ends[-1] = end
            else:
                ends.append(end)
        along.append([slice(a, b) for a, b in pairwise(ends)])
        room = max(room // max(b - a for a, b in pairwise(ends)), 1)
    return along[::-1]


def numbers(box: Sequence[slice], shape: Sequence[int]) -> NDArray[np.intp]:
    """Numbers, in the unfolded array, of what lies in a box."""
    made = np.zeros(1, dtype=np.intp)
    for part, n in zip(box, shape, strict=True):
        made = (made[:, None] * n + np.arange(part.start, part.stop)).reshape(-1)
    return made

"""A data set piece by piece of its scan, whole spectra together: what is lazy is read so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.data.dataset import Dataset
from fusion.data.parts import BLOCKS, boxes, numbers
from fusion.prepare.crop_bin import cut
from fusion.prepare.lazily import check_blocks
from fusion.prepare.sparse_parts import cropped

Box = tuple[slice, ...]
"""A part of a scan, along each of its axes."""


def scan_boxes(datasets: Sequence[Dataset]) -> list[Box]:
    """Parts of the scan that data sets have in common, all of it together.

    Whole chunks of the lazy data set with the most bytes, neighbours up to some megabytes; the
    whole scan where none is lazy.

    Raises:
        ValueError: if whole spectra of a chunk are too much to be held at a time.
    """
    scan = datasets[0].shape[: len(datasets[0].pixels)]
    lazy = [data for data in datasets if data.lazy is not None]
    if not lazy or not scan:
        return [tuple(slice(0, n) for n in scan)]
    for data in lazy:
        check_blocks(data)
    largest = max(lazy, key=lambda data: prod(data.shape) * data.lazy.dtype.itemsize)
    pixel = sum(data.matrix_shape[1] * data.lazy.dtype.itemsize for data in lazy)
    return list(product(*boxes(largest.lazy.chunks[: len(scan)], max(BLOCKS // pixel, 1))))


def piece(data: Dataset, box: Box) -> Dataset:
    """These pixels, in memory; they may be all zero, or all masked, as a fit's data may not.

    Raises:
        ValueError: if values outside the mask are NaN or infinite: how many, and where.
    """
    whole = all(part == slice(0, n) for part, n in zip(box, data.shape, strict=False))
    index = (*box, *(slice(0, n) for n in data.shape[len(box) :]))
    array: Any
    if data.entries is not None:
        array = data.entries if whole else cropped(data.entries, data.shape, index)
    elif data.lazy is not None:
        array = np.asarray(data.lazy[index].compute())
    else:
        array = data.tensor[index]
    axes = [axis.cut(part) for axis, part in zip(data.axes, index, strict=True)]
    mask, variance = (cut(each, data.shape, index) for each in (data.mask, data.variance))
    made = data.derive(array, "a piece", axes=axes, mask=mask, variance=variance)
    made._checked, made._finite = True, _finite(data, made, box)
    return made


def pieces(data: Dataset) -> Iterator[tuple[NDArray[np.intp], Dataset]]:
    """(numbers of the pixels, their data set in memory), every pixel once."""
    scan = data.shape[: len(data.pixels)]
    for box in scan_boxes([data]):
        yield numbers(box, scan), piece(data, box)


def _finite(data: Dataset, made: Dataset, box: Box) -> bool:
    """Whether all values are, masked ones too."""
    if made.entries is not None or not made.tensor.dtype.is_floating_point:
        return True
    x = made.tensor
    if bool(torch.isfinite(torch.linalg.vector_norm(x))):
        return True  # what is not finite would show in the norm
    bad = ~torch.isfinite(x)
    seen = bad if made.mask is None else bad & ~made.mask.to(bad.device)
    if bool(seen.any()):
        corner = [part.start for part in box] + [0] * data.signal
        first = tuple(int(i) + a for i, a in zip(seen.nonzero()[0], corner, strict=True))
        raise ValueError(
            f"`{data}`: {int(seen.sum())} values are NaN or infinite, the first at {first} "
            f"({', '.join(axis.name for axis in data.axes)}): mask them "
            "(mask=~numpy.isfinite(array))."
        )
    return not bool(bad.any())

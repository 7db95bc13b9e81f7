"""Spectra of some pixels of a data set, dense, lazy or sparse, read a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.data.dataset import Dataset
from fusion.data.parts import Part, PartOfMask, as_numpy, numbers, parts
from fusion.data.tally import Tally
from fusion.prepare.scan_pieces import scan_boxes

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEW = 64  # spectra, where some are enough
READ = 512  # sparse pixels that are read at once
READ_ENTRIES = 2**20  # of sparse data that are read at once, about
FEW_BLOCKS, OF_A_BLOCK = 8, 512  # that are looked at of lazy data, and spectra of each


def spectra_of(data: Dataset, wanted: Bools) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """(pixels, their spectra) of those that are wanted.

    Where blocks of lazy data hold a part of the channels, a pixel comes with each of them, the
    other channels 0: sums of what comes are whole.
    """
    m = data.matrix_shape[1]
    if data.entries is not None:
        yield from _of_sparse(data, np.flatnonzero(wanted))
        return
    for part in parts(data, wanted):
        if isinstance(part.channels, slice) or len(part.channels) == m:
            yield part.pixels, part.values
            continue
        whole = np.zeros((len(part.pixels), m), dtype=part.values.dtype)  # a block of channels
        whole[:, part.channels] = part.values
        yield part.pixels, whole


def spectra_in_parts(data: Dataset, most: int) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """(pixels, their whole spectra), every pixel once, so many at a time; dense or lazy."""
    scan = data.shape[: len(data.pixels)]
    for box in scan_boxes([data]):
        pixels = numbers(box, scan)
        values = data.numpy() if data.lazy is None else np.asarray(data.lazy[box].compute())
        values = values.reshape(len(pixels), -1)
        for part in (slice(i, i + most) for i in range(0, len(pixels), most)):
            yield pixels[part], values[part]
        del values  # before the next are read


def sample_of_blocks(data: Dataset) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """(pixels, their spectra) of a few blocks of lazy data, spread over the scan."""
    scan, boxes = data.shape[: len(data.pixels)], scan_boxes([data])
    for box in boxes[:: -(-len(boxes) // FEW_BLOCKS)]:
        pixels = numbers(box, scan)
        values = np.asarray(data.lazy[box].compute()).reshape(len(pixels), -1)
        spread = slice(None, None, -(-len(pixels) // OF_A_BLOCK))
        yield pixels[spread], values[spread].copy()


def mask_of_pixels(data: Dataset, pixels: NDArray[np.intp]) -> Bools:
    """The mask of some pixels, (pixel, channel), without the whole of it expanded."""
    values = np.empty((len(pixels), 0))
    return PartOfMask(data).of(Part(pixels, slice(None), values))


def _of_sparse(
    data: Dataset, pixels: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
    """The same of sparse data: the entries of a row stand together."""
    m = data.matrix_shape[1]
    for part in (pixels[a : a + READ] for a in range(0, len(pixels), READ)):
        values = np.zeros((len(part), m))
        for rows, channels, counted in entries_of(data, part):
            values[rows, channels] = counted
        yield part, values


def entries_of(
    data: Dataset, pixels: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[Any], NDArray[Any]]]:
    """(numbers in `pixels`, channels, values) of the entries of sparse data, some at a time."""
    held = data.entries
    assert held is not None
    begin = as_numpy(held.start).astype(np.int64)
    sizes = begin[pixels + 1] - begin[pixels]
    ends = np.cumsum(sizes)
    last = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(0, last, READ_ENTRIES))
    for a, b in pairwise([*np.unique(cuts).tolist(), len(pixels)]):
        of = sizes[a:b]
        rows = np.repeat(np.arange(a, b), of)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(of) - of, of)
        places = torch.from_numpy(np.repeat(begin[pixels[a:b]], of) + within).to(held.x.device)
        yield rows, as_numpy(held.j[places]), as_numpy(held.x[places])


def spread_spectra(data: Dataset, stats: Tally) -> Array:
    """A few spectra as measured, spread over those that are not empty, (pixel, channel)."""
    filled = np.flatnonzero(stats.filled_rows)
    return spectra_at(data, filled[:: max(1, len(filled) // FEW)])


def spectra_at(data: Dataset, chosen: NDArray[np.intp]) -> Array:
    """The spectra of these pixels, in rising order, (pixel, channel); no other block is read."""
    wanted = np.zeros(data.matrix_shape[0], dtype=bool)
    wanted[chosen] = True
    spectra = np.zeros((len(chosen), data.matrix_shape[1]))
    for pixels, values in spectra_of(data, wanted):
        spectra[np.searchsorted(chosen, pixels)] += values
    return spectra

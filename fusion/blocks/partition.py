"""The pixels of scans in blocks: as the data are stored, as large as the memory allows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product, zip_longest
from math import prod
from typing import NoReturn

from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.cautions import MemoryWarning, users_line
from fusion.blocks.on_rows import Scans, pixel_factors
from fusion.blocks.pieces import Box, Piece, rows_of
from fusion.blocks.sample import SHARE as OF_SAMPLE
from fusion.data.dataset import Dataset
from fusion.data.parts import boxes
from fusion.forms.reading import CHUNK
from fusion.language.model import Model

LARGEST, LEAST = 2**23, 2**20
"""Bytes of a block, at most and at least, where the data are stored in smaller chunks."""
EACH = 8
"""Blocks for every thread of a cluster, where they are not too small then."""
COPIES = 8
"""Blocks of this size that a thread may hold: what is read, what is made of it, what comes next."""
ROOM = 40
"""Bytes that a thread takes beside for each of the values that are converted together."""
MAPS = 5
"""Times that the maps are held at the end: of two points, in the model, the result, residuals."""
BLOCKS = 0.5
"""Share of the memory that is left to blocks at least, however large sample and maps are."""


@dataclass(frozen=True)
class Block:
    """Some pixels of every scan.

    Attributes:
        number: from 0.
        boxes: where they lie, scan by scan; a scan that has ended before is missing.
        pieces: of the data sets.
    """

    number: int
    boxes: Mapping[Axes, Box]
    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> dict[Axes, Tensor]:
        """Numbers of its pixels, scan by scan."""
        return {scan: rows_of(scan, box) for scan, box in self.boxes.items()}

    def part_of(self, values: Tensor, scan: Axes) -> Tensor:
        """Its pixels' part of a factor (pixel, …) of a scan, a view: along the box, then (…)."""
        return values.unflatten(0, [axis.size or 1 for axis in scan])[self.boxes[scan]]

    @cached_property
    def bytes(self) -> int:
        """Of what is read."""
        return sum(piece.bytes for piece in self.pieces)

    @property
    def place(self) -> str:
        """In words."""
        return "; ".join(piece.place for piece in self.pieces)


def partition(
    datasets: Mapping[str, Dataset], scans: Scans, memory: int, threads: int, workers: int = 0
) -> tuple[list[Block], int]:
    """(all pixels in blocks, threads that work on them); data sets of one scan go together.

    Args:
        datasets: by name.
        scans: the axes of their pixels.
        memory: bytes that all blocks in work may take.
        threads: blocks that are in work at a time, at most; fewer where chunks are large.
        workers: of a cluster, threads of all together: a few blocks each, where chunks are small
            enough, so that none waits long for the last. Threads here take what comes next, and
            what they find is the same however many they are.

    Raises:
        ValueError: if a chunk of the data is larger than that.
    """
    for count in range(threads, 0, -1):
        along, fit = _along(datasets, scans, memory // count, EACH * workers)
        if fit:
            break
    else:
        _complain(datasets, scans, memory)
    blocks = []
    for number, parts in enumerate(zip_longest(*along.values())):
        here = {scan: box for scan, box in zip(along, parts, strict=True) if box is not None}
        pieces = tuple(
            Piece.of(datasets[name], scan, here[scan])
            for name, scan in scans.items()
            if scan in here
        )
        blocks.append(Block(number, here, pieces))
    return blocks, count


def room_of_blocks(
    model: Model, datasets: Mapping[str, Dataset], scans: Scans, memory: int, sample: int | None
) -> int:
    """Bytes that are left to blocks beside the sample and the maps, and all that is made of them.

    Warns:
        MemoryWarning: if these take more than half, so that the fit takes more than was allowed.
    """
    pixels = {scan: prod(axis.size or 1 for axis in scan) for scan in scans.values()}
    names = pixel_factors(model, scans)
    maps = sum(8 * prod(model.factor(name).shape) for name in names)
    held = sum(8 * prod(datasets[n].shape) // pixels[scan] for n, scan in scans.items())
    kept = MAPS * maps + (memory // OF_SAMPLE if sample is None else sample * held)
    if kept > (1 - BLOCKS) * memory:
        warnings.warn(
            f"`fit(…, blocks=…)`: maps of {sum(pixels.values()):.3g} pixels and the sample take "
            f"about {kept / 1e9:.3g} GB with what is made of them, more than half of the "
            f"{memory / 1e9:.3g} GB that are allowed: {kept / 1e9 + BLOCKS * memory / 1e9:.3g} GB "
            "are taken. Allow as much, `fusion.Blocks(memory=…)`, or bin the data.",
            MemoryWarning,
            stacklevel=users_line(),
        )
    return max(memory - kept, int(BLOCKS * memory))


def _along(
    datasets: Mapping[str, Dataset], scans: Scans, share: int, number: int
) -> tuple[dict[Axes, list[Box]], bool]:
    """(boxes along every scan, whether each can be worked on with this memory).

    Where chunks are small there are about `number` boxes, or more.
    """
    along: dict[Axes, list[Box]] = {}
    fit = True
    for scan in dict.fromkeys(scans.values()):
        members = [datasets[name] for name, axes in scans.items() if axes == scan]
        most = pixels_in(share, members, scan)
        n = prod(axis.size or 1 for axis in scan)
        pixel = max(sum(map(_bytes, members)) // n, 1)
        shared = max(LEAST // pixel, n // number) if number else n
        along[scan] = _boxes_of(scan, members, min(LARGEST // pixel, shared, most))
        lazy = any(data.lazy is not None for data in members)
        fit &= not lazy or _largest(along[scan]) <= most
    return along, fit


def pixels_in(share: int, members: Sequence[Dataset], scan: Axes) -> int:
    """Pixels that a thread can work on with so many bytes."""
    n = prod(axis.size or 1 for axis in scan)
    stored = COPIES * sum(map(_bytes, members)) / n
    values = max(prod(data.shape) // n for data in members)
    few = share / (stored + ROOM * values)
    if few * values > CHUNK:
        few = (share - ROOM * CHUNK) / stored
    return max(int(few), 0)


def _largest(boxes_: Sequence[Box]) -> int:
    return max(prod(part.stop - part.start for part in box) for box in boxes_)


def _boxes_of(scan: Axes, members: Sequence[Dataset], room: int) -> list[Box]:
    """Whole chunks of the data set that has the most bytes; of what is in memory some lines.

    Args:
        scan: its axes; members: its data sets.
        room: pixels that may be together.
    """
    largest = max(members, key=_bytes)
    split = len(largest.pixels) - len(scan)
    if largest.lazy is None:
        sizes = [axis.size or 1 for axis in scan]
        chunks = [(1,) * sizes[0], *((n,) for n in sizes[1:])]
    else:
        chunks = largest.lazy.chunks[split : split + len(scan)]
    return list(product(*boxes(chunks, max(room, 1))))


def _complain(datasets: Mapping[str, Dataset], scans: Scans, memory: int) -> NoReturn:
    """Complain of chunks that are too large to be worked on, even one at a time."""
    for scan in dict.fromkeys(scans.values()):
        members = [datasets[name] for name, axes in scans.items() if axes == scan]
        most = pixels_in(memory, members, scan)
        largest = _largest(_boxes_of(scan, members, most))
        if largest <= most or all(data.lazy is None for data in members):
            continue
        data = max((each for each in members if each.lazy is not None), key=_bytes)
        pixel = _bytes(data) / prod(axis.size or 1 for axis in scan)
        fewer = max(int(most ** (1 / len(scan))), 1)
        split = len(data.pixels) - len(scan)
        line = ", ".join(f"{split + i}: {fewer}" for i in range(len(scan)))
        raise ValueError(
            f"`fit(…, blocks=…)`: {data} is stored in chunks of {data.lazy.chunksize}, of "
            f"which {largest * pixel / 1e6:.4g} MB hold whole spectra; with memory "
            f"{memory / 1e9:.3g} GB beside maps and sample {most * pixel / 1e6:.4g} MB may be read "
            "together: store it in smaller parts of the scan, with the energies in one chunk "
            f"(`array.rechunk({{{line}}})`, written to zarr), or allow more: "
            "`fusion.Blocks(memory=…)`."
        )
    raise AssertionError


def _bytes(data: Dataset) -> int:
    if data.entries is not None:
        return len(data.entries.x) * (data.entries.x.element_size() + 8)
    array = data.tensor if data.lazy is None else data.lazy
    return prod(data.shape) * array.dtype.itemsize

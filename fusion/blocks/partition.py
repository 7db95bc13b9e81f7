"""The pixels of scans in blocks: as the data are stored, as large as the memory allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product, zip_longest
from math import prod

from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.blocks.on_rows import Scans
from fusion.blocks.pieces import Box, Piece, rows_of
from fusion.data.dataset import Dataset
from fusion.data.parts import boxes

LARGEST = 2**24
"""Bytes of a block, at most, where the data are stored in smaller chunks."""
COPIES = 8
"""Blocks of this size that a thread may hold: what is read, what is made of it, what comes next."""


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

    @property
    def bytes(self) -> int:
        """Of what is read."""
        return sum(piece.bytes for piece in self.pieces)

    @property
    def place(self) -> str:
        """In words."""
        return "; ".join(piece.place for piece in self.pieces)


def partition(
    datasets: Mapping[str, Dataset], scans: Scans, memory: int, threads: int
) -> list[Block]:
    """All pixels in blocks; data sets of one scan are taken together.

    Args:
        datasets: by name.
        scans: the axes of their pixels.
        memory: bytes that all blocks in work may take.
        threads: blocks that are in work at a time.

    Raises:
        ValueError: if a chunk of the data is larger than that.
    """
    allowed = memory // (COPIES * threads)
    along: dict[Axes, list[Box]] = {}
    for scan in dict.fromkeys(scans.values()):
        members = [datasets[name] for name, axes in scans.items() if axes == scan]
        along[scan] = _boxes_of(scan, members, min(LARGEST, allowed))
        _check_size(scan, members, along[scan], allowed, memory)
    blocks = []
    for number, parts in enumerate(zip_longest(*along.values())):
        here = {scan: box for scan, box in zip(along, parts, strict=True) if box is not None}
        pieces = tuple(
            Piece.of(datasets[name], scan, here[scan])
            for name, scan in scans.items()
            if scan in here
        )
        blocks.append(Block(number, here, pieces))
    return blocks


def _boxes_of(scan: Axes, members: Sequence[Dataset], room: int) -> list[Box]:
    """Whole chunks of the data set that has the most bytes; of what is in memory some lines."""
    largest = max(members, key=_bytes)
    split = len(largest.pixels) - len(scan)
    if largest.lazy is None:
        sizes = [axis.size or 1 for axis in scan]
        chunks = [(1,) * sizes[0], *((n,) for n in sizes[1:])]
    else:
        chunks = largest.lazy.chunks[split : split + len(scan)]
    pixel = sum(_bytes(data) for data in members) // prod(axis.size or 1 for axis in scan)
    return list(product(*boxes(chunks, max(room // max(pixel, 1), 1))))


def _check_size(
    scan: Axes, members: Sequence[Dataset], along: Sequence[Box], allowed: int, memory: int
) -> None:
    """Complain of chunks that are too large to be worked on."""
    for data in members:
        pixel = _bytes(data) // prod(axis.size or 1 for axis in scan)
        most = max(pixel * prod(part.stop - part.start for part in box) for box in along)
        if data.lazy is not None and most > allowed:
            fewer = max(int((allowed / pixel) ** (1 / len(scan))), 1)
            split = len(data.pixels) - len(scan)
            line = ", ".join(f"{split + i}: {fewer}" for i in range(len(scan)))
            raise ValueError(
                f"`fit(…, blocks=…)`: {data} is stored in chunks of {data.lazy.chunksize}, of "
                f"which {most / 1e6:.4g} MB hold whole spectra; with memory {memory / 1e9:.3g} GB "
                f"{allowed / 1e6:.4g} MB may be read together: store it in smaller parts of the "
                f"scan, with the energies in one chunk (`array.rechunk({{{line}}})`, written to "
                "zarr), or allow more: `fusion.Blocks(memory=…)`."
            )


def _bytes(data: Dataset) -> int:
    if data.entries is not None:
        return len(data.entries.x) * (data.entries.x.element_size() + 8)
    array = data.tensor if data.lazy is None else data.lazy
    return prod(data.shape) * array.dtype.itemsize

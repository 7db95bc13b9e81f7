"""A lazy array whose blocks count how often each is read, and how much of them is held."""

from __future__ import annotations

import weakref

import dask.array as da
import numpy as np


class CountedBlocks:
    """A dask array of an array in memory.

    Attributes:
        array: of dask, in these chunks; every block is a copy.
        reads: how often each block was read, by its place.
        held: bytes of blocks that are in memory; `most`: that were, at a time.
    """

    def __init__(self, values, chunks):
        self.reads, self.held, self.most, self.bytes = {}, 0, 0, values.nbytes

        def read(block_info=None):
            info = block_info[None]
            place = tuple(slice(a, b) for a, b in info["array-location"])
            key = tuple(info["chunk-location"])
            self.reads[key] = self.reads.get(key, 0) + 1
            return self._counted(values[place].copy())

        chunks = da.core.normalize_chunks(chunks, values.shape)
        meta = np.empty((0,) * values.ndim, values.dtype)
        self.array = da.map_blocks(read, chunks=chunks, dtype=values.dtype, meta=meta)

    def _counted(self, block):
        self.held += block.nbytes
        self.most = max(self.most, self.held)
        weakref.finalize(block, self._gone, block.nbytes)
        return block

    def _gone(self, size):
        self.held -= size

    @property
    def passes(self):
        """Reads over blocks."""
        return sum(self.reads.values()) / self.array.npartitions

    @property
    def share(self):
        """The largest part of all that was in memory at a time."""
        return self.most / self.bytes

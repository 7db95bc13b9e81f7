"""Parts of lazy data: as many neighbouring chunks as fit, every value once."""

from __future__ import annotations

from itertools import product
from math import prod

import dask.array as da
import numpy as np
import pytest

import fusion as fu
from fusion.data import parts
from fusion.data.parts import boxes


@pytest.mark.parametrize("room", [1, 64, 500, 4096, 10**6])
@pytest.mark.parametrize(
    "chunks", [((8,) * 6, (8,) * 6), ((16, 16, 3), (5, 30), (7,) * 4), ((40,), (1,) * 9)], ids=str
)
def test_neighbours_are_together_only_as_long_as_all_of_a_box_fits(chunks, room):
    shape = tuple(map(sum, chunks))
    seen = np.zeros(shape, dtype=int)
    largest = prod(map(max, chunks))
    for box in product(*boxes(chunks, room)):
        seen[box] += 1
        assert prod(part.stop - part.start for part in box) <= max(room, largest)
    assert (seen == 1).all()
    if room >= prod(shape):
        assert len(list(product(*boxes(chunks, room)))) == 1


def test_square_blocks_are_not_read_by_whole_rows_of_them(monkeypatch):
    monkeypatch.setattr(parts, "BLOCKS", 4 * 8 * 8 * 10)
    data = fu.Dataset("a", da.zeros((64, 64, 10), chunks=(8, 8, 10), dtype=np.float32))
    assert max(len(part.pixels) for part in parts.parts(data)) == 64

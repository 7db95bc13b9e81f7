"""A fit keeps to the memory that it is allowed: counts in a store, read in another process."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

import fusion as fu
from benchmarks.blocks import in_a_process, write_counts
from fusion.blocks.partition import COPIES, ROOM, partition, room_of_blocks
from fusion.models import NMF

MB = 10**6
SHAPE = 512, 320, 768
"""Of uint16: 252 MB, in chunks of 6.3 MB: more than the memory allowed, for two threads at once."""


@pytest.mark.slow
def test_a_quarter_of_a_gigabyte_is_fitted_in_250_mb_above_the_imports_and_seven_passes(tmp_path):
    pytest.importorskip("zarr")
    write_counts(tmp_path / "counts.zarr", SHAPE, 0.1, drawn=8)
    made = in_a_process(str(tmp_path / "counts.zarr"), "250 MB", "Gaussian", "2", "1")
    assert made["memory"] - made["before"] <= 250 * MB
    assert made["passes"] <= 7
    assert np.isfinite(made["loss"])


def blocks(memory: int, threads: int, side: int = 64):
    array = da.zeros((512, 512, 1024), chunks=(side, side, -1), dtype="u2")
    data = fu.Dataset("edxs", array)
    return partition({"edxs": data}, {"edxs": data.pixels}, memory, threads)


def test_blocks_of_all_threads_together_take_no_more_than_the_memory():
    for memory, threads in ((150 * MB, 1), (300 * MB, 2), (600 * MB, 4)):
        made, count = blocks(memory, threads)
        largest = max(block.bytes for block in made)
        assert count * (COPIES * largest + ROOM * 2**20) <= memory


def test_workers_of_a_cluster_have_some_blocks_each(monkeypatch):
    """Two of 16 MB for two workers were too few: the one waited for the other."""
    monkeypatch.setattr("fusion.blocks.partition.LARGEST", 2**24)
    data = fu.Dataset("edxs", da.zeros((256, 256, 256), chunks=(16, 16, -1), dtype="uint16"))
    of_two, _ = partition({"edxs": data}, {"edxs": data.pixels}, 2**31, 1, workers=2)
    alone, _ = partition({"edxs": data}, {"edxs": data.pixels}, 2**31, 1)
    assert len(alone) == 2
    assert len(of_two) == 16
    assert len({block.bytes for block in of_two}) == 1
    small = fu.Dataset("edxs", da.zeros((16, 16, 256), chunks=(2, 2, -1), dtype="uint16"))
    assert len(partition({"edxs": small}, {"edxs": small.pixels}, 2**31, 1, workers=2)[0]) == 1


def test_fewer_threads_work_where_a_chunk_for_each_is_too_much():
    assert blocks(150 * MB, 2)[1] == 1
    assert blocks(300 * MB, 4)[1] == 2
    assert blocks(600 * MB, 4)[1] == 4


def test_maps_and_sample_are_taken_off_what_blocks_may_take():
    data = fu.Dataset("edxs", da.zeros((512, 512, 64), chunks=(64, 64, -1), dtype="u2"))
    scans = {"edxs": data.pixels}
    few, many = (
        room_of_blocks(NMF(data, K), {"edxs": data}, scans, 500 * MB, 1000) for K in (1, 3)
    )
    assert few - many == 5 * 2 * 8 * 512 * 512


def test_maps_that_take_more_than_half_of_the_memory_are_said():
    data = fu.Dataset("edxs", da.zeros((512, 512, 64), chunks=(64, 64, -1), dtype="u2"))
    with pytest.warns(fu.MemoryWarning, match="maps of 2.62e\\+05 pixels and the sample take"):
        room = room_of_blocks(NMF(data, 5), {"edxs": data}, {"edxs": data.pixels}, 80 * MB, None)
    assert room == 40 * MB

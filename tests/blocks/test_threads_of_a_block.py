"""A block is the work of one thread: none of ours beside it, and one of torch."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra import threads as told
from fusion.blocks import passes
from fusion.losses import L1, Gaussian, Poisson
from fusion.models import NMF


@pytest.mark.parametrize("which", ["squares", "counts by descent"])
def test_a_block_has_one_thread_and_measures_none(monkeypatch, which):
    monkeypatch.setattr(told, "cores", lambda: 2)
    monkeypatch.setattr(told, "pool_sizes", lambda: (2, 1))
    seen, read = set(), passes._read

    def kept(piece):
        seen.add((told.threads(), torch.get_num_threads()))
        return read(piece)

    monkeypatch.setattr(passes, "_read", kept)
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.random((256, 2)) @ rng.random((2, 40))).reshape(16, 16, 40)
    data = fu.Dataset("data", da.from_array(counts.astype("u2"), chunks=(8, 8, 40)))
    loss = Gaussian(data) if which == "squares" else Poisson(data) + 0.01 * L1("C")
    fu.fit(NMF(data, 2), loss, starts=1, blocks=fu.Blocks(passes=3), progress=False)
    assert seen == {(1, 1)}

"""Lazy data are never computed whole, and no block more often than passes are told."""

from __future__ import annotations

import re
from collections import Counter

import dask.array as da
import numpy as np
import pytest
from scipy import sparse

import fusion as fu
from fusion.algebra import memory
from fusion.blocks import fit_by_blocks
from fusion.language import loss as language_loss
from fusion.losses import Frobenius, Gaussian, Poisson
from fusion.models import NMF, SharedMaps
from tests.helpers.block_data import (
    SCAN,
    K,
    by_blocks,
    counted,
    in_memory,
    lazy,
    noisy,
    planted,
    same_answer,
)

C, S = planted()
CUBE, COUNTS = noisy(C, S), counted(C, S + 0.02)
READ: Counter = Counter()
"""How often each chunk was computed, by its place."""


def watched(array: np.ndarray, chunks) -> da.Array:
    """A dask array that counts how often each chunk is made."""

    def made(block_info=None):
        where = block_info[None]["array-location"]
        READ[tuple(start for start, _ in where)] += 1
        return array[tuple(slice(*ends) for ends in where)]

    READ.clear()
    chunks = da.core.normalize_chunks((*chunks, array.shape[-1]), array.shape)
    return da.map_blocks(made, chunks=chunks, dtype=array.dtype, meta=np.empty(0, array.dtype))


@pytest.mark.parametrize(("loss", "array"), [(Gaussian, CUBE), (Poisson, COUNTS)])
def test_every_chunk_is_computed_once_a_pass(loss, array):
    data = fu.Dataset("eels", watched(array, (7, 12)))
    result = by_blocks(NMF(data, K), loss(data))
    passes = int(re.search(r"(\d+) passes", result.solver)[1])
    assert passes <= 7
    assert set(READ.values()) == {passes}
    assert len(READ) == 3 * 2


def test_making_and_showing_a_data_set_a_model_and_a_loss_reads_nothing():
    data = fu.Dataset("eels", watched(CUBE, (5, 8)))
    repr(data), str(NMF(data, K)), str(1.0 * Gaussian(data)), repr(fu.Blocks())
    assert not READ


def test_the_data_set_stays_lazy():
    data = fu.Dataset("eels", watched(CUBE, (5, 8)))
    result = by_blocks(NMF(data, K), Gaussian(data))
    assert data.lazy is not None
    assert result.minimised.datasets["eels"].lazy is not None
    repr(result), result.summary() if hasattr(result, "summary") else None


def small_machine(monkeypatch, size: int) -> None:
    for module in (fit_by_blocks, language_loss):
        monkeypatch.setattr(module, "total_bytes", lambda: size)
    monkeypatch.setattr("fusion.blocks.settings.total_bytes", lambda: 2**26)


def test_data_above_a_quarter_of_the_memory_go_by_blocks_unasked(monkeypatch):
    data = fu.Dataset("eels", watched(CUBE, (5, 8)))
    small_machine(monkeypatch, 4 * CUBE.nbytes - 1)
    result = in_memory(NMF(data, K), Gaussian(data))
    assert result.solver.startswith("12 blocks, ")


def test_data_up_to_a_quarter_of_the_memory_are_read_whole(monkeypatch):
    data = fu.Dataset("eels", watched(CUBE, (5, 8)))
    small_machine(monkeypatch, 4 * CUBE.nbytes)
    result = in_memory(NMF(data, K), Gaussian(data))
    assert "blocks" not in result.solver


def test_what_cannot_go_by_blocks_is_read_whole_while_it_fits(monkeypatch):
    def fitted():
        data = fu.Dataset("eels", lazy(CUBE, (5, 8)))
        loss = Gaussian(data) + 0.1 * fu.losses.SoftOrthogonality("C")
        return in_memory(NMF(data, K), loss, max_steps=3)

    small_machine(monkeypatch, 3 * CUBE.nbytes)
    assert "blocks" not in fitted().solver
    small_machine(monkeypatch, CUBE.nbytes)
    with pytest.raises(ValueError, match=r"SoftOrthogonality.*depend on each other"):
        fitted()


def test_a_quarter_of_the_memory_is_what_blocks_take():
    assert fu.Blocks().bytes == (memory.total_bytes() or 2**32) // 4


def sparse_data(kind: str) -> fu.Dataset:
    axes = [fu.Axis("y", size=SCAN[0]), fu.Axis("x", size=SCAN[1]), "energy"]
    if kind == "scipy":
        return fu.Dataset("eels", sparse.csr_matrix(COUNTS.reshape(-1, len(S))), axes=axes)
    coo = pytest.importorskip("sparse")
    if kind == "sparse":
        return fu.Dataset("eels", coo.COO.from_numpy(COUNTS), axes=["y", "x", "energy"])
    blocks = lazy(COUNTS, (5, 8)).map_blocks(coo.COO.from_numpy, dtype=COUNTS.dtype)
    return fu.Dataset("eels", blocks, axes=["y", "x", "energy"])


@pytest.mark.parametrize(
    ("kind", "loss"), [("scipy", Poisson), ("sparse", Frobenius), ("blocks of sparse", Frobenius)]
)
def test_sparse_counts_go_by_blocks(kind, loss):
    data = sparse_data(kind)
    result = by_blocks(NMF(data, K), loss(data))
    assert result.solver.startswith("20 blocks, ")
    dense = fu.Dataset("eels", COUNTS)
    same_answer(
        result, in_memory(NMF(dense, K), loss(dense)), degrees=0.3 if loss is Poisson else 0.05
    )


def test_sparse_counts_beside_a_lazy_map():
    def posed(eels, edxs):
        return SharedMaps(eels, edxs, K=K), Gaussian(eels) + Frobenius(edxs)

    eels, edxs = fu.Dataset("eels", lazy(CUBE, (7, 9))), sparse_data("scipy").renamed("edxs")
    whole = in_memory(*posed(fu.Dataset("eels", CUBE), fu.Dataset("edxs", COUNTS)))
    same_answer(by_blocks(*posed(eels, edxs)), whole)


def test_a_line_scan_and_an_image_of_one_channel_go_by_blocks():
    line = fu.Dataset("eels", lazy(CUBE.reshape(-1, len(S)), (50,)), axes=["x", "energy"])
    result = by_blocks(NMF(line, K), Gaussian(line))
    assert result.solver.startswith("10 blocks, ")
    whole = fu.Dataset("eels", CUBE.reshape(-1, len(S)), axes=["x", "energy"])
    same_answer(result, in_memory(NMF(whole, K), Gaussian(whole)))


def test_two_spectral_axes_go_by_blocks():
    shaped = CUBE.reshape(*SCAN, 6, 10)
    data = fu.Dataset("eels", da.from_array(shaped, chunks=(5, 8, 3, 10)), signal=2)
    result = by_blocks(NMF(data, K), Gaussian(data))
    whole = fu.Dataset("eels", shaped, signal=2)
    same_answer(result, in_memory(NMF(whole, K), Gaussian(whole)))


def test_what_goes_to_a_worker_is_not_sent_to_itself_to_be_named():
    from dask.tokenize import tokenize

    from fusion.blocks.passes import _Parcel

    class Refuses:
        def __reduce__(self):
            raise AssertionError("pickled")

    one, two = (tokenize(_Parcel((Refuses(), [], [], ()))) for _ in range(2))
    assert one != two

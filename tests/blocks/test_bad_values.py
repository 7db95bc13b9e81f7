"""Values that no fit can use are told by the first pass, with their place in the scan."""

from __future__ import annotations

from functools import cache

import dask.array as da
import numpy as np
import pytest
import zarr
from scipy import sparse

import fusion as fu
from fusion.losses import BetaDivergence, Frobenius, Poisson
from fusion.models import NMF
from tests.helpers.block_data import SCAN, K, by_blocks, counted, lazy, noisy, planted

C, S = planted()
CUBE, COUNTS = noisy(C, S), counted(C, S + 0.02)
AXES = ["y", "x", fu.Axis("energy", 0.01, 0.2, "keV")]


def fitted(array, *, chunks=(6, 9), loss=Frobenius, sample=60, **options):
    array = lazy(array, chunks) if isinstance(array, np.ndarray) else array
    data = fu.Dataset("edxs", array, axes=AXES, **options)
    return by_blocks(NMF(data, K), loss(data), sample=sample, settings={"passes": 3})


@cache
def plain(loss=Frobenius) -> fu.Result:
    """Of the counts as they are."""
    return fitted(COUNTS, loss=loss)


def with_value(value, *places):
    array = CUBE.copy() if isinstance(value, float) else COUNTS.astype("int32")
    for place in places:
        array[place] = value
    return array


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_told_with_its_place_in_the_scan(value):
    place = r"the first at y 13, x 19, energy 41: mask them"
    with pytest.raises(ValueError, match=rf"2 values of block y 12–17, x 18–23 of 'edxs'.*{place}"):
        fitted(with_value(value, (13, 19, 41), (14, 18, 2)))


def test_nan_is_told_once_it_is_masked_no_more():
    mask = np.zeros(SCAN, bool)
    mask[13, 19] = True
    assert np.isfinite(fitted(with_value(np.nan, (13, 19, 41)), mask=mask).loss)


def test_negative_counts_in_a_block_without_a_pixel_of_the_sample_are_found():
    with pytest.raises(ValueError, match=r"1 of 28800 .* negative \(lowest -4 at y 0, x 0, ener"):
        fitted(with_value(-4, (0, 0, 0)), loss=Poisson, sample=3)
    array = with_value(-4, (19, 2, 8))
    array[3, 3, 3] = -1
    with pytest.raises(ValueError, match=r"2 of 28800 .* negative \(lowest -4 at y 19, x 2, ener"):
        fitted(array, loss=Poisson, sample=3)


def test_negative_counts_under_the_mask_are_none():
    mask = np.zeros(SCAN, bool)
    mask[19, 2] = True
    assert np.isfinite(fitted(with_value(-4, (19, 2, 8)), loss=Poisson, mask=mask).loss)


def test_negative_counts_of_sparse_data_are_found():
    counts = sparse.csr_matrix(with_value(-4, (19, 2, 8)).reshape(-1, len(S)))
    axes = [fu.Axis("y", size=SCAN[0]), fu.Axis("x", size=SCAN[1]), AXES[2]]
    data = fu.Dataset("edxs", counts, axes=axes)
    with pytest.raises(ValueError, match=r"negative \(lowest -4 at y 19, x 2, energy 8\)"):
        by_blocks(NMF(data, K), Poisson(data), sample=3)


def test_zeros_where_a_divergence_has_no_value_are_found():
    def itakura(data):
        return BetaDivergence(data, beta=0)

    array = with_value(0.0, (19, 2, 8)) + 30
    array[19, 2, 8] = 0
    with pytest.raises(ValueError, match=r"1 of 28800 values are 0 or below \(lowest 0\)"):
        fitted(array, loss=itakura, sample=3)


def test_zeros_alone_and_masks_over_all_are_refused():
    with pytest.raises(ValueError, match="all values are zero: there is nothing to fit"):
        fitted(np.zeros_like(COUNTS))
    with pytest.raises(ValueError, match="the mask excludes all"):
        fitted(COUNTS, mask=np.ones(SCAN, bool))


def test_a_block_of_zeros_amid_counts_is_said():
    array = COUNTS.copy()
    array[6:12, 9:18] = 0
    with pytest.warns(fu.CutWarning, match="1 block of .*y 6–11, x 9–17 of 'edxs'.*lost chunk"):
        result = fitted(array, loss=Poisson)
    assert any("lost chunk" in text for text in result.messages)
    assert np.abs(result["C"].reshape(*SCAN, K)[6:12, 9:18]).max() < 1e-6


def test_blocks_with_counts_each_are_not_said_to_be_lost():
    assert not any("lost chunk" in text for text in plain(Poisson).messages)


def stored_counts(folder):
    """(store of zarr 2 or 3, the file of the chunk at y 6–11, x 18–23)."""
    array = zarr.open(
        store=str(folder / "a.zarr"), mode="w", shape=COUNTS.shape, chunks=(6, 9, 60), dtype="u2"
    )
    array[:] = COUNTS
    names = "1.2.0", "c/1/2/0"
    paths = [folder / "a.zarr" / name for name in names if (folder / "a.zarr" / name).exists()]
    return str(folder / "a.zarr"), paths[0]


def test_a_broken_chunk_is_told_with_its_place_and_can_be_masked(tmp_path):
    store, chunk = stored_counts(tmp_path)
    chunk.write_bytes(chunk.read_bytes()[:40])
    array = da.from_zarr(store)
    line = r"mask\[6:12, 18:24\] = True"
    with pytest.raises(ValueError, match=rf"y 6–11, x 18–23 of 'edxs' could not be read.*{line}"):
        fitted(array)
    mask = np.zeros(SCAN, bool)
    mask[6:12, 18:24] = True
    result = fitted(array, mask=mask)
    whole = fitted(COUNTS, mask=mask)
    assert result.loss == pytest.approx(whole.loss, rel=1e-9)


def test_a_lost_chunk_is_said(tmp_path):
    store, chunk = stored_counts(tmp_path)
    chunk.unlink()
    with pytest.warns(fu.CutWarning, match="y 6–11, x 18–23"):
        fitted(da.from_zarr(store))


def test_a_store_of_another_file_system_is_read():
    pytest.importorskip("fsspec")
    da.to_zarr(lazy(COUNTS, (6, 9)), "memory://counts.zarr")
    result = fitted(da.from_zarr("memory://counts.zarr"))
    assert result.loss == pytest.approx(plain().loss, rel=1e-9)


@pytest.mark.parametrize("dtype", [">u2", "f2", "u4", "bool"])
def test_values_of_any_type_are_read(dtype):
    array = COUNTS.astype(dtype)
    expected = fitted(COUNTS.clip(0, 1)) if dtype == "bool" else plain()
    assert fitted(array).loss == pytest.approx(expected.loss, rel=1e-5)


def test_arrays_that_cannot_be_written_to_are_read():
    array = COUNTS.copy()
    array.flags.writeable = False
    data = fu.Dataset("edxs", da.from_array(array, chunks=(6, 9, 60)).persist(), axes=AXES)
    by_blocks(NMF(data, K), Frobenius(data), sample=60, settings={"passes": 3})

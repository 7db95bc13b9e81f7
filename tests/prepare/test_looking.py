"""What looking at data holds in memory, and that dense, lazy and sparse data look the same."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import fusion as fu
from fusion.data.tally import tally
from fusion.prepare.noise import noise_of_what_is_left
from fusion.prepare.noise_sample import noise_sample
from tests.helpers.inspected_data import counts, expected

LARGE = np.random.default_rng(0).poisson(expected((40, 60), 300) / 50).astype(np.uint16)


def kinds(values):
    dask, sparse = pytest.importorskip("dask.array"), pytest.importorskip("sparse")
    chunks = (7, 9, values.shape[-1] // 3)
    return {
        "dense": fu.Dataset("a", values),
        "strided": fu.Dataset("a", np.concatenate([values, values], 1)[:, : values.shape[1]]),
        "lazy": fu.Dataset("a", dask.from_array(values, chunks=chunks)),
        "sparse": fu.Dataset("a", sparse.COO.from_numpy(values)),
    }


@pytest.mark.parametrize("share", [1.0, 0.02])
def test_noise_is_the_same_of_dense_lazy_and_sparse_data(share):
    values = LARGE if share == 1.0 else np.random.default_rng(1).binomial(LARGE, share)
    noises = {kind: data.noise() for kind, data in kinds(values).items()}
    assert noises["dense"].counts
    for noise in noises.values():
        assert noise.binned == noises["dense"].binned
        np.testing.assert_allclose(noise.scree.values, noises["dense"].scree.values, rtol=1e-9)


def test_a_lazy_data_set_stays_lazy_after_it_was_looked_at():
    data = kinds(LARGE)["lazy"]
    text = data.summary()
    data.noise()
    data.check()
    assert data.lazy is not None
    assert data._tensor is None
    assert text.splitlines()[4:] == kinds(LARGE)["dense"].summary().splitlines()[4:]


def test_sparse_data_can_be_inspected():
    assert "Poisson counts" in kinds(counts())["sparse"].summary()


def test_sums_of_neighbours_are_those_of_the_array():
    values = np.random.default_rng(0).poisson(0.05, (40, 60, 300))
    data = fu.Dataset("a", values)
    sample = noise_sample(data, tally(data), 1.0)
    gy, gx, gc = sample.binned
    assert gy * gx * gc > 1
    blocks = values[: 40 - 40 % gy, : 60 - 60 % gx, : 300 - 300 % gc]
    blocks = blocks.reshape(40 // gy, gy, 60 // gx, gx, 300 // gc, gc).sum((1, 3, 5))
    np.testing.assert_array_equal(sample.values, blocks.reshape(-1, 300 // gc)[:, sample.channels])


def test_a_mask_that_hides_a_value_of_every_pixel_is_told():
    mask = np.zeros((12, 10, 40), bool)
    mask.reshape(-1, 40)[np.arange(120), np.arange(120) % 40] = True
    hidden = fu.Dataset("a", np.random.default_rng(0).poisson(3.0, (12, 10, 40)), mask=mask)
    for look in (hidden.noise, hidden.estimate_variance, lambda: hidden.denoise(2)):
        with pytest.raises(ValueError, match=r"here 0 and 40 are whole and not empty"):
            look()


def test_few_channels_of_a_long_axis_are_not_summed_to_nothing():
    values = np.zeros((16, 16, 4096), np.uint16)
    values[..., 19:33] = np.random.default_rng(0).poisson(5.0, (16, 16, 14))
    noise = fu.Dataset("a", values).noise()
    assert noise.counts
    assert noise.binned == (1, 1, 1)


@pytest.mark.parametrize("value", [0.25, 3.0])
def test_scaled_counts_have_the_noise_of_counts_in_their_unit(value):
    noise = fu.Dataset("a", counts() * value).noise()
    assert noise.gain == pytest.approx(value, rel=0.15)
    assert not noise.counts


def test_noise_of_what_is_not_finite_leaves_out_these_pixels():
    values = counts().astype(float)
    whole = fu.Dataset("a", values[1:]).noise()
    values[0, :, 3] = np.nan
    left = noise_of_what_is_left(fu.Dataset("a", values))
    np.testing.assert_allclose(left.scree.values, whole.scree.values)


def test_looking_holds_no_copy_of_the_data():
    values = np.zeros((64, 256, 1024), np.uint16)
    values[..., 100:140] = np.random.default_rng(0).poisson(3.0, (64, 256, 40))
    data = fu.Dataset("a", values)
    tracemalloc.start()
    try:
        data.noise()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < values.nbytes

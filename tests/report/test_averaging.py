"""Neighbours averaged until a page is light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

import fusion as fu
from fusion.report.averaging import bins_for, cell_of, data_means, means
from tests.helpers.report_data import cube


def test_averages_of_dense_and_sparse_data_are_means_of_what_is_not_masked():
    counts = cube((5, 7), 11).astype(float)
    mask = np.zeros((5, 7), bool)
    mask[0, :3] = True
    bins = (2, 2, 3)
    given = {"axes": [fu.Axis("y", size=5), fu.Axis("x", size=7), fu.Axis("e", size=11)]}
    dense = fu.Dataset("a", counts, mask=mask, **given)
    sparse = fu.Dataset("a", scipy.sparse.csr_array(counts.reshape(35, 11)), mask=mask, **given)
    got = data_means(dense, bins).reshape(3, 4, 4)
    hidden = np.where(mask[..., None], np.nan, counts)
    np.testing.assert_allclose(got[1, 1, 1], hidden[2:4, 2:4, 3:6].mean())
    np.testing.assert_allclose(got[0, 0, 3], np.nanmean(hidden[:2, :2, 9:]))
    np.testing.assert_allclose(data_means(sparse, bins), got.reshape(12, 4))
    maps = means(hidden[..., 0].reshape(-1), cell_of((5, 7), (2, 2)), 12)
    np.testing.assert_allclose(maps[5], hidden[2:4, 2:4, 0].mean())


@pytest.mark.parametrize(
    ("nav", "signal", "bins"),
    [
        ((256, 256), (2048,), (4, 4, 2)),
        ((40, 44), (240,), (1, 1, 1)),
        ((31, 200, 200), (1024,), (1, 16, 16, 4)),
        ((100_000,), (2000,), (64, 1)),
        ((5000, 3), (2000,), (8, 1, 1)),
        ((), (4096,), (1,)),
    ],
)
def test_large_data_are_averaged_until_the_page_is_light_and_small_data_never(nav, signal, bins):
    budget = 4_500_000
    got = bins_for(nav, signal, budget)
    assert got == bins
    left = [-(-n // b) for n, b in zip((*nav, *signal), got, strict=True)]
    assert np.prod(left) <= budget


def test_a_large_result_makes_a_page_below_twenty_megabytes_that_says_what_was_averaged(joint):
    rng = np.random.default_rng(0)
    block = rng.integers(0, 255, (4096, 2048), dtype=np.uint8)  # which no packing makes smaller
    data = fu.Dataset("large", np.tile(block, (4, 1)).reshape(128, 128, 2048))
    summary = replace(
        joint.data["eels"],
        shape=data.shape,
        axes=data.axes,
        residual_map=rng.random((128, 128)),
        residual_spectrum=rng.random(2048),
        mean_spectrum=rng.random(2048),
        component_variance=None,
    )
    result = replace(
        joint,
        data={"large": summary},
        factors={"C": rng.random((128 * 128, 4)), "S": rng.random((2048, 4))},
        structure=("cp", ("C", "S")),
        model=None,
        minimised=None,
    )
    page = result.report(data=data).html
    assert 8e6 < len(page.encode()) < 20e6
    assert "means over neighbours, 2 along y, 2 along x and 2 along channel" in page

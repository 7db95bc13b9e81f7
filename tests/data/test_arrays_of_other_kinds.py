"""Masked, sparse, event and dask arrays keep what they hold; what is no data set is told how."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson

N = np.random.default_rng(0).poisson(0.3, (6, 7, 40))


def test_a_masked_array_keeps_its_mask_beside_another():
    X = np.random.default_rng(0).poisson(5.0, (6, 7, 12)).astype(float)
    bad = np.zeros(X.shape, bool)
    bad[2, 3, 4] = True
    X[bad] = 1e6
    pixels = np.zeros((6, 7), bool)
    pixels[0, 0] = True
    mask = fu.Dataset("a", np.ma.masked_array(X, bad), mask=pixels).mask.numpy()
    np.testing.assert_array_equal(mask, bad | pixels[..., None])
    assert fu.Dataset("a", np.ma.masked_array(X, False)).mask is None


def test_a_fit_does_not_read_what_was_masked():
    X = np.random.default_rng(0).random((5, 2)) @ np.random.default_rng(1).random((2, 9))
    bad = np.zeros(X.shape, bool)
    bad[1, 2] = True
    spoiled = np.ma.masked_array(np.where(bad, 1e9, X), bad)
    data = fu.Dataset("a", spoiled)
    result = fu.fit(fu.models.NMF(data, 2), Frobenius(data), starts=5, progress=False)
    assert result.loss < 1e-8 * (X**2).sum()


def test_dask_arrays_of_masked_and_sparse_blocks():
    da, sparse = pytest.importorskip("dask.array"), pytest.importorskip("sparse")
    masked = da.from_array(np.ma.masked_array(N.astype(float), N == 2), chunks=(3, 7, 40))
    data = fu.Dataset("a", masked)
    np.testing.assert_array_equal(data.mask.numpy(), N == 2)
    blocks = fu.Dataset("a", da.from_array(sparse.COO.from_numpy(N), chunks=(3, 7, 40)))
    assert blocks.entries is not None
    assert float(blocks.entries.x.sum()) == N.sum()


def test_a_sparse_array_with_a_fill_value_is_dense_in_truth():
    sparse = pytest.importorskip("sparse")
    data = fu.Dataset("a", sparse.COO.from_numpy(N) + 1)
    np.testing.assert_array_equal(data.numpy(), N + 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.uint32, np.int32])
def test_events_at_one_place_add_up_in_any_type(dtype):
    sp = pytest.importorskip("scipy.sparse")
    z = np.zeros(300, int)
    data = fu.Dataset("eds", sp.coo_array((np.ones(300, dtype), (z, z)), shape=(2, 3)))
    assert data.entries.x.tolist() == [300]


class Signal:
    axes_manager, data = None, N


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (Signal(), "from_hyperspy"),
        (N, "Dataset\\('name', array"),
        ({"eels": 1, "edxs": 2}, "'eels', 'edxs'"),
        (7, "give a `fusion.Dataset`"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda x: fu.models.NMF(x, 2),
        lambda x: fu.models.CPD(x, 2),
        lambda x: fu.models.SharedMaps(x, K=2),
        lambda x: Poisson(x),
        lambda x: fu.rank(x),
        lambda x: fu.detectability(x, np.ones(40), 0.05),
        lambda x: fu.mlls(x, {"a": np.ones(40)}),
    ],
)
def test_what_is_no_data_set_is_told_how_to_become_one(given, line, call):
    with pytest.raises(ValueError, match=line):
        call(given)


def test_an_axis_is_named_by_any_of_its_words():
    data = fu.Dataset("a", N, axes=["y", "x", fu.Axis("Electron energy loss", units="eV")])
    assert data.crop(energy=(0, 9)).shape[-1] == 10
    assert data.crop(loss=(0, 9)).shape[-1] == 10

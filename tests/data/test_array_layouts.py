"""Every layout of sparse arrays and every kind of integers, floats and strides: right values."""

import numpy as np
import pytest
import torch

import fusion as fu

N = np.random.default_rng(0).poisson(0.4, (4, 6, 8))
M = N.reshape(24, 8)


def dense(data: fu.Dataset) -> np.ndarray:
    """Values as (pixel, channel)."""
    if data.entries is None:
        return data.numpy().reshape(data.matrix_shape)
    held, values = data.entries, np.zeros(data.entries.shape)
    np.add.at(values, (held.i.numpy(), held.j.numpy()), held.x.double().numpy())
    return values


def assert_sparse(array, values=M) -> fu.Dataset:
    data = fu.Dataset("a", array)
    assert data.entries is not None
    np.testing.assert_array_equal(dense(data), values)
    return data


@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("layout", ["coo", "csr", "csc", "bsr", "dia", "dok", "lil"])
def test_every_layout_of_scipy(layout, kind):
    sp = pytest.importorskip("scipy.sparse")
    assert_sparse(getattr(sp, f"{layout}_{kind}")(M))


def test_a_list_of_entries_with_more_axes():
    sp = pytest.importorskip("scipy.sparse")
    assert assert_sparse(sp.coo_array(N)).shape == N.shape


@pytest.mark.parametrize("layout", ["coo", "gcxs", "dok"])
def test_every_layout_of_the_package_sparse_in_memory_and_as_blocks_of_dask(layout):
    sparse, da = pytest.importorskip("sparse"), pytest.importorskip("dask.array")
    array = sparse.COO.from_numpy(N)
    assert assert_sparse(array.asformat(layout)).shape == N.shape
    blocks = da.from_array(array, chunks=(2, 4, 5)).map_blocks(lambda b: b.asformat(layout))
    assert assert_sparse(blocks).shape == N.shape


def test_blocks_with_a_fill_value_are_dense_in_truth():
    sparse, da = pytest.importorskip("sparse"), pytest.importorskip("dask.array")
    data = fu.Dataset("a", da.from_array(sparse.COO.from_numpy(N) + 1, chunks=(2, 3, 8)))
    assert data.entries is None
    np.testing.assert_array_equal(data.numpy(), N + 1)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    "convert",
    [
        lambda t: t.to_sparse_coo(),
        lambda t: t.to_sparse_csr(),
        lambda t: t.to_sparse_csc(),
        lambda t: t.to_sparse_bsr((3, 4)),
        lambda t: t.to_sparse_bsc((3, 4)),
        lambda t: t.to_sparse(1),
    ],
    ids=["coo", "csr", "csc", "bsr", "bsc", "hybrid"],
)
def test_every_layout_of_torch(convert):
    assert_sparse(convert(torch.from_numpy(M)))


@pytest.mark.parametrize("sparse_axes", [1, 2, 3])
def test_tensors_whose_last_axes_are_dense(sparse_axes):
    assert assert_sparse(torch.from_numpy(N).to_sparse(sparse_axes)).shape == N.shape


@pytest.mark.parametrize("signal", [0, 1, 2, 3])
def test_sparse_patterns_are_counted_as_pixels_and_channels(signal):
    sparse = pytest.importorskip("sparse")
    data = fu.Dataset("a", sparse.COO.from_numpy(N), signal=signal)
    np.testing.assert_array_equal(dense(data), N.reshape(data.matrix_shape))


TYPES = ["ulonglong", "longlong", "uint", "intc", "uintc", "ushort", "byte", "bool", "longdouble"]


@pytest.mark.parametrize("dtype", [*TYPES, "float16", ">u2", ">i4", ">u8", ">f8"])
@pytest.mark.parametrize("turned", [False, True])
def test_every_type_and_order_of_bytes_with_negative_strides_and_read_only(dtype, turned):
    values = N.astype(getattr(np, dtype) if hasattr(np, dtype) else dtype)
    values = values[::-1, :, ::-1] if turned else values
    values.flags.writeable = False
    expected = np.ascontiguousarray(values).astype(float)
    data = fu.Dataset("a", values)
    np.testing.assert_array_equal(data.numpy(), expected)
    assert f"{expected.sum():.5g}" in data.summary()


@pytest.mark.parametrize("field", ["u1", "<f4", ">u2", "ulonglong"])
def test_a_field_of_records_whose_strides_are_no_multiple_of_its_size(field):
    dtype = getattr(np, field) if hasattr(np, field) else np.dtype(field)
    records = np.zeros(N.shape, dtype=[("t", "u1"), ("v", dtype)])
    records["v"] = N
    np.testing.assert_array_equal(fu.Dataset("a", records["v"]).numpy(), N)


def test_large_unsigned_integers_keep_their_value():
    values = np.array([[2**63 + 2**12, 1], [3, 4]], dtype=np.ulonglong)
    assert int(fu.Dataset("a", values).numpy()[0, 0]) == 2**63 + 2**12


def test_a_matrix_of_counts_folds_by_its_pixels_axes_though_the_energies_have_no_size():
    sp = pytest.importorskip("scipy.sparse")
    matrix = sp.random(12, 50, density=0.2, format="csr", random_state=0)
    energy = fu.Axis("energy", 0.02, 0.2, "keV")
    data = fu.Dataset("edxs", matrix, axes=[fu.Axis("y", size=3), fu.Axis("x", size=4), energy])
    assert data.shape == (3, 4, 50)
    assert data.axes[-1].size == 50
    np.testing.assert_allclose(data.sum("energy").numpy().ravel(), matrix.toarray().sum(1))

"""Sums and means along axes, of every storage, and the array itself."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import torch

import fusion as fu
from tests.helpers.short_fits import complaint

COUNTS = np.random.default_rng(0).poisson(0.7, (4, 6, 9)).astype(np.int32)
ENERGY = fu.Axis("energy loss", scale=2.0, offset=500.0, units="eV")
AXES = [fu.Axis("y", 0.5, units="nm"), fu.Axis("x", 0.5, units="nm"), ENERGY]
PIXELS = np.zeros((4, 6), bool)
PIXELS[1, 2:4] = True
HOW = {
    "dense": lambda x: x,
    "float": lambda x: x.astype(np.float32),
    "lazy": lambda x: da.from_array(x, chunks=(2, 3, 9)),
    "sparse": lambda x: torch.from_numpy(x).to_sparse(),
}


def data(how="dense", counts=COUNTS, **options):
    return fu.Dataset("eels", HOW[how](counts), axes=AXES, **options)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    ("names", "axes", "signal"),
    [((), (0, 1), 1), (("energy loss",), 2, 0), (("energy",), 2, 0), (("y",), 0, 1)],
)
def test_sums_are_those_of_the_array_without_these_axes(how, names, axes, signal):
    whole = data(how)
    total, mean = whole.sum(*names), whole.mean(*names)
    np.testing.assert_array_equal(total, COUNTS.sum(axes))
    np.testing.assert_allclose(mean, COUNTS.mean(axes), rtol=1e-12)
    assert (total.signal, mean.signal) == (signal, signal)
    gone = np.atleast_1d(axes)
    assert total.axes == tuple(a for i, a in enumerate(whole.axes) if i not in gone)
    assert (whole.lazy is None) == (how != "lazy")  # the sums are kept, not the data
    assert total.history[-1] == f"sum({', '.join(map(repr, names))})"
    if how != "float":
        assert str(total.dtype).endswith("int64")


@pytest.mark.parametrize("how", HOW)
def test_what_is_masked_is_left_out_and_made_up_for(how):
    masked = data(how, mask=PIXELS)
    np.testing.assert_allclose(masked.mean(), COUNTS[~PIXELS].mean(0), rtol=1e-12)
    np.testing.assert_allclose(masked.sum(), COUNTS[~PIXELS].sum(0))
    assert str(masked.sum().dtype).endswith("64")
    image = masked.sum("energy loss")
    np.testing.assert_array_equal(image.mask.numpy(), PIXELS)
    np.testing.assert_array_equal(image.numpy()[~PIXELS], COUNTS.sum(2)[~PIXELS])
    along_y = masked.sum("y")  # three of four values in two columns of pixels
    expected = COUNTS.sum(0).astype(float)
    expected[2:4] = COUNTS[[0, 2, 3], 2:4].sum(0) * 4 / 3
    np.testing.assert_allclose(along_y, expected)


def test_nan_counts_as_masked():
    counts = COUNTS.astype(float)
    counts[0, 0, 3] = np.nan
    for how in ("dense", "lazy"):
        expected = np.nanmean(counts, (0, 1))
        np.testing.assert_allclose(data(how, counts).mean(), expected, rtol=1e-12)


def test_variances_add_up():
    per_channel = np.linspace(1, 2, 9)
    per_entry = np.random.default_rng(1).random(COUNTS.shape) + 0.5
    for given in (per_channel, per_entry, 3.0):
        full = np.broadcast_to(given, COUNTS.shape)
        noisy = data(variance=given)
        for names, axes in (((), (0, 1)), (("energy",), 2)):
            got = noisy.sum(*names).variance.expand(full.sum(axes).shape)
            np.testing.assert_allclose(got, full.sum(axes))
            n = COUNTS.size / full.sum(axes).size
            got = noisy.mean(*names).variance.expand(full.sum(axes).shape)
            np.testing.assert_allclose(got, full.sum(axes) / n**2)
        some = data(variance=given, mask=PIXELS).sum().variance
        np.testing.assert_allclose(some, full[~PIXELS].sum(0))


def test_the_noise_of_a_sum_is_that_of_many_measurements():
    rng = np.random.default_rng(2)
    sums = []
    for _ in range(400):
        noisy = fu.Dataset("a", rng.normal(0, 2.0, (4, 5, 6)), mask=PIXELS[:, :5], variance=4.0)
        sums.append(noisy.sum("y").numpy())
    expected = noisy.sum("y").variance.numpy()
    np.testing.assert_allclose(np.var(sums, axis=0) / expected, 1.0, atol=0.35)


REFUSED = {
    "all": (lambda: data().sum("y", "x", "energy"), "one value is no data set", "eels.data.sum()"),
    "an image": (lambda: data()[..., 0].sum(), "one value is no data set", "eels.data.sum()"),
    "a spectrum": (lambda: data()[0, 0].mean(), "no pixels", "eels.data.mean()"),
    "no such axis": (lambda: data().sum("z"), "eels.sum('z')", "energy loss (9)"),
    "a number": (lambda: data().sum(2), "eels.sum(2)", "'y', 'x', 'energy loss'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_leaves_nothing_is_refused(case):
    call, *said = REFUSED[case]
    with pytest.raises(ValueError, match=complaint(*said)):
        call()


def test_the_array_is_as_it_was_given():
    assert isinstance(data("lazy").data, da.Array)
    np.testing.assert_array_equal(data().data, COUNTS)
    assert data().data.dtype == COUNTS.dtype
    sparse = data("sparse").data
    assert sparse.is_sparse
    np.testing.assert_array_equal(sparse.to_dense(), COUNTS)
    with pytest.raises(ValueError, match="read-only"):
        data().data[0] = 1


def test_numpy_reads_a_data_set_and_its_length_is_that_of_the_first_axis():
    for how in ("dense", "float", "lazy"):
        np.testing.assert_array_equal(np.asarray(data(how)), COUNTS)
    assert np.asarray(data(), dtype=float).dtype == float
    assert np.array(data()).flags.writeable
    assert len(data()) == 4
    assert len(data()[0, 0]) == 9
    with pytest.raises(ValueError, match="sparse"):
        np.asarray(data("sparse"))


KEYS = [
    (slice(1, 3), slice(None, None, 2)),
    (Ellipsis, slice(502.0, 512.0)),
    2,
    (1, 2),
    (Ellipsis, 504.0),
    (slice(None), -1, slice(1, 8, 3)),
    (1, 2, slice(None, None, 2)),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_parts_of_sparse_counts_are_those_of_dense_ones(key):
    mask, variance = PIXELS, np.linspace(1, 2, 9)
    dense, sparse = (data(how, mask=mask, variance=variance)[key] for how in ("dense", "sparse"))
    found = sparse.data.to_dense() if sparse.entries is not None else sparse.data
    np.testing.assert_array_equal(found, dense.data)
    assert (sparse.axes, sparse.signal) == (dense.axes, dense.signal)
    for what in ("mask", "variance"):
        np.testing.assert_array_equal(getattr(sparse, what), getattr(dense, what))
    assert (sparse.entries is None) == (len(dense.pixels) == 0 or dense.signal == 0)

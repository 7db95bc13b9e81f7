"""Sparse counts against dense ones."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse
import torch

import fusion as fu
from fusion.data.tally import tally
from fusion.losses import Frobenius, Gaussian, Poisson
from fusion.models import NMF
from tests.helpers.planted_factors import counts

RNG = np.random.default_rng(0)


def few(shape=(6, 7, 30), level=0.2, seed=0):
    return counts(*shape, level=level, seed=seed).astype(np.int64)


def axes(X):
    return [fu.Axis(n, size=s) for n, s in zip(("y", "x", "energy"), X.shape, strict=True)]


def _csr(X):
    with warnings.catch_warnings():  # torch says once that its CSR tensors are in beta
        warnings.simplefilter("ignore", UserWarning)
        return X.to_sparse_csr()


SPARSE = {
    "torch coo": lambda X: torch.from_numpy(X).to_sparse(),
    "torch csr": lambda X: _csr(torch.from_numpy(X.reshape(-1, X.shape[-1]))),
    "scipy csr": lambda X: scipy.sparse.csr_matrix(X.reshape(-1, X.shape[-1])),
    "scipy coo": lambda X: scipy.sparse.coo_array(X.reshape(-1, X.shape[-1])),
    "sparse": lambda X: pytest.importorskip("sparse").COO.from_numpy(X),
}


TOLD = {"starts": 2, "seed": 0, "progress": False, "max_steps": 20}


@cache
def of_dense(fit):
    """The answer that sparse data are to give, too."""
    X = few()
    dense = fu.Dataset("a", X, axes=axes(X))
    return fu.fit(NMF(dense, 3), fit(dense), **TOLD)


@pytest.mark.parametrize("kind", SPARSE)
@pytest.mark.parametrize("fit", [Poisson, Frobenius, Gaussian])
def test_sparse_data_give_the_fit_of_dense_ones(kind, fit):
    X = few()
    data = fu.Dataset("a", SPARSE[kind](X), axes=axes(X))
    assert data.shape == X.shape
    assert "sparse" in repr(data)
    made, wanted = fu.fit(NMF(data, 3), fit(data), **TOLD), of_dense(fit)
    assert made.loss == pytest.approx(wanted.loss, rel=1e-8)
    for key in ("residual_map", "residual_spectrum", "mean_spectrum"):
        a, b = (getattr(r.data["a"], key) for r in (made, wanted))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", ["pixels", "channels"])
def test_masks_of_pixels_or_channels_hold_for_sparse_data(which):
    X = few()
    mask = np.random.default_rng(0).random(X.shape[:2] if which == "pixels" else X.shape[2:]) < 0.3
    dense = fu.Dataset("a", X, mask=mask)
    data = fu.Dataset("a", torch.from_numpy(X).to_sparse(), mask=mask)
    told = {"starts": 1, "seed": 0, "progress": False, "max_steps": 20}
    made, wanted = (fu.fit(NMF(d, 3), Poisson(d), **told) for d in (data, dense))
    assert made.loss == pytest.approx(wanted.loss, rel=1e-8)


def test_sums_of_sparse_data_are_those_of_dense_ones():
    X = few()
    pixels, channels = np.random.default_rng(0).random((6, 7)) < 0.3, np.arange(30) < 4
    for mask in (None, channels, pixels, pixels[..., None] | channels):
        a = tally(fu.Dataset("a", X, mask=mask))
        b = tally(fu.Dataset("a", torch.from_numpy(X).to_sparse(), mask=mask))
        for key, value in vars(a).items():
            if key == "sample":  # of sparse data what is not 0
                np.testing.assert_array_equal(np.sort(value[value != 0]), np.sort(b.sample))
                continue
            np.testing.assert_array_equal(value, getattr(b, key), err_msg=key)


def test_counts_of_one_place_add_up_and_zeros_are_dropped():
    i, j, x = np.array([0, 0, 1, 1]), np.array([2, 2, 0, 1]), np.array([1, 2, 0, 4])
    data = fu.Dataset("a", scipy.sparse.coo_matrix((x, (i, j)), (2, 3)))
    assert data.entries.x.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fu.Dataset("a", torch.zeros(3, 4).to_sparse()), "all values are zero"),
        (lambda: fu.Dataset("a", scipy.sparse.csr_matrix([[np.nan, 1.0]])), "NaN"),
        (lambda: fu.Dataset("a", scipy.sparse.csr_matrix([[1j, 1.0]])), "real"),
        (lambda: fu.Dataset("a", torch.eye(3).to_sparse()).numpy(), "todense"),
        (lambda: fu.Dataset("a", torch.eye(3).to_sparse()).remove_spikes(), "todense"),
    ],
)
def test_what_sparse_data_cannot_do_is_said(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_entries_may_not_be_masked_one_by_one():
    X = few()
    data = fu.Dataset("a", torch.from_numpy(X).to_sparse(), mask=RNG.random(X.shape) < 0.1)
    with pytest.raises(ValueError, match="sparse"):
        fu.fit(NMF(data, 2), Poisson(data), progress=False)


def test_negative_entries_are_no_counts():
    data = fu.Dataset("a", scipy.sparse.csr_matrix([[1.0, -1.0], [2.0, 3.0]]))
    with pytest.raises(ValueError, match=r"1 of 4 values are negative \(lowest -1\)"):
        fu.fit(NMF(data, 1), Poisson(data), progress=False)


def test_pixels_and_channels_may_both_be_masked_in_sparse_data():
    X = few()
    pixels, channels = np.random.default_rng(0).random((6, 7)) < 0.3, np.arange(30) < 4
    thin = fu.Dataset("a", torch.from_numpy(X).to_sparse(), mask=pixels).masked(channels)
    dense = fu.Dataset("a", X, mask=pixels).masked(channels)
    told = {"starts": 1, "seed": 0, "progress": False, "max_steps": 20}
    for fit in (Frobenius, Poisson):
        made, wanted = (fu.fit(NMF(d, 3), fit(d), **told) for d in (thin, dense))
        assert made.loss == pytest.approx(wanted.loss, rel=1e-8)
    form = thin.form(thin.matrix_shape, torch.device("cpu"), torch.float64)
    assert not set(form.held.j.tolist()) & set(range(4))


def test_rows_of_sparse_data_are_those_asked_for_in_that_order():
    full = torch.poisson(torch.full((30, 8), 0.4), generator=torch.Generator().manual_seed(1))
    full[[4, 7]] = 0  # without a count
    data = fu.Dataset("a", full.to_sparse_csr())
    form = data.form(data.matrix_shape, torch.device("cpu"), torch.float64)
    index = torch.tensor([29, 4, 0, 11, 7, 12])
    part = form.rows(index)
    assert bool((part.nonzeros().i.diff() >= 0).all())
    torch.testing.assert_close(part.whole(), full[index].double())


def test_columns_of_a_matrix_by_rows_are_shared_not_copied():
    given = scipy.sparse.csr_matrix(np.eye(40, 20, dtype=np.float32))
    entries = fu.Dataset("a", given).entries
    assert entries.j.data_ptr() == given.indices.ctypes.data
    assert entries.x.data_ptr() == given.data.ctypes.data


def test_two_forms_of_one_data_set_share_the_copy_that_they_need():
    data = fu.Dataset(
        "a", scipy.sparse.csr_matrix(np.eye(40, 20, dtype=np.int64)), variance=np.ones(20)
    )
    place = torch.device("cpu"), torch.float64
    plain, weighted = (data.form((40, 20), *place, variance=v) for v in (False, True))
    assert plain.held.x.dtype == torch.float32
    assert plain.held.x.data_ptr() == weighted.held.x.data_ptr()

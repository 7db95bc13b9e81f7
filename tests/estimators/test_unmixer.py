"""`Unmixer`: scikit-learn's own checks, what its options do, and what it says."""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fusion as fu
from fusion.estimators import Unmixer
from fusion.losses import (
    ARD,
    BetaDivergence,
    Frobenius,
    Gaussian,
    Poisson,
    Smoothness,
    SoftOrthogonality,
    SpatialSmoothness,
)
from fusion.simulate import concurrent
from tests.helpers.planted_factors import nearest_angles
from tests.helpers.planted_pixels import CHANNELS, QUICK, K, planted

# --- scikit-learn's contract -----------------------------------------------------------------


# none of the checks contradicts non-negative factors: no failure is expected
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([Unmixer(2, solver=QUICK, starts=1, max_steps=30),
                          Unmixer(2, likelihood=Poisson, solver=QUICK, starts=1,
                                  max_steps=30)])  # fmt: skip
def test_scikit_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


def test_clone_keeps_every_option_and_mean_is_not_there():
    est = Unmixer(4, likelihood=Poisson, penalty=0.05 * SoftOrthogonality("C") + ARD("C"),
                  scan=(6, 10), starts=3, memory=1000, random_state=7)  # fmt: skip
    other = clone(est)
    told, was = other.get_params(), est.get_params()
    assert {k: str(v) for k, v in told.items()} == {k: str(v) for k, v in was.items()}
    quick = est.set_params(penalty=None, scan=None, max_steps=2, starts=1)
    assert not hasattr(quick.fit(planted()[0]), "mean_")


def test_a_fitted_estimator_is_pickled_without_its_data():
    X, _, _ = planted(2000)
    est = Unmixer(K, starts=1).fit(X)
    text = pickle.dumps(est)
    assert len(text) < X.nbytes
    np.testing.assert_array_equal(pickle.loads(text).components_, est.components_)


def test_without_scikit_learn_it_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import fusion.estimators"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "sdfusion[hyperspy]"' in said.stderr.splitlines()[-1]


# --- the answer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "likelihood", [Frobenius, Gaussian, Poisson, partial(BetaDivergence, beta=1.5)]
)
def test_planted_maps_and_spectra_come_back_from_integer_counts(likelihood):
    X, C, S = planted()
    est = Unmixer(K, likelihood=likelihood, starts=2)
    maps = est.fit_transform(X)
    assert nearest_angles(est.components_.T, S).max() < 4
    assert nearest_angles(maps, C).max() < 6
    again = est.transform(X)
    np.testing.assert_allclose(again, maps, atol=2e-3 * maps.max())
    expected = C @ S.T
    assert np.linalg.norm(est.inverse_transform(maps) - expected) < np.linalg.norm(X - expected)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.coo_matrix])
def test_sparse_counts_give_what_dense_ones_give(form):
    X, _, _ = planted(counts=20)
    dense, sparse = (Unmixer(K, likelihood=Poisson, starts=2) for _ in range(2))
    maps, others = dense.fit_transform(X), sparse.fit_transform(form(X))
    np.testing.assert_allclose(sparse.components_, dense.components_, atol=1e-3)
    np.testing.assert_allclose(others, maps, atol=2e-3 * maps.max())
    np.testing.assert_allclose(sparse.transform(form(X)), others, atol=2e-3 * maps.max())


def test_ard_reduces_k_and_explained_variance_adds_up():
    X, _, S = planted()
    est = Unmixer(5, likelihood=Poisson, penalty=ARD("C"), starts=2)
    maps = est.fit_transform(X)
    assert est.n_components_ == len(est.components_) == maps.shape[1] == K
    assert est.n_components == 5
    assert list(est.get_feature_names_out()) == ["unmixer0", "unmixer1", "unmixer2"]
    assert nearest_angles(est.components_.T, S).max() < 4
    power = (est.inverse_transform(maps) ** 2).sum() / len(X)
    np.testing.assert_allclose(est.explained_variance_.sum(), power)
    assert (np.diff(est.explained_variance_) < 0).all()


def test_without_a_number_as_many_components_as_stand_out_of_the_noise():
    edxs = concurrent(seed=0, shape=(16, 12), channels=100, dose=4.0).datasets["edxs"]
    told = fu.rank(edxs, held_out=False, ard=False, stability=False).recommended
    X = edxs.numpy().reshape(-1, 100)
    assert told > 1
    assert Unmixer(likelihood=Poisson, starts=1, max_steps=5).fit(X).n_components_ == told
    X, _, _ = planted()
    few = Unmixer(likelihood=Frobenius, starts=1).fit(X[:3, :3] + 1.0)
    assert few.n_components_ == 3  # too few to tell: all


def test_penalties_act_and_neighbours_come_from_the_scan():
    X, _, _ = planted(60, counts=30)
    rough = Unmixer(K, starts=1).fit(X)
    smooth = Unmixer(K, penalty=1e4 * Smoothness("S"), starts=1).fit(X)
    steps = [np.square(np.diff(e.components_, axis=1)).sum() for e in (rough, smooth)]
    assert steps[1] < 0.8 * steps[0]
    mapped = Unmixer(K, penalty=0.01 * SpatialSmoothness("C"), scan=(6, 10), starts=1)
    grid = mapped.fit_transform(X).reshape(6, 10, K)
    plain = rough.transform(X).reshape(6, 10, K)
    rough_map, smooth_map = (np.square(np.diff(g, axis=0)).sum() / np.square(g).sum()
                             for g in (plain, grid))  # fmt: skip
    assert smooth_map < rough_map
    with pytest.raises(ValueError, match=r"48 pixels, the data have 60"):
        mapped.set_params(scan=(6, 8)).fit(X)


def test_it_is_a_step_of_a_pipeline():
    X, C, _ = planted()
    pipeline = make_pipeline(MaxAbsScaler(), Unmixer(K, starts=2))
    assert nearest_angles(pipeline.fit_transform(X.astype(float)), C).max() < 8


def test_a_likelihood_may_be_any_function_of_the_data():
    X, _, S = planted()
    est = Unmixer(K, likelihood=lambda data: Frobenius(data.with_variance(50.0)), starts=2)
    maps = est.fit_transform(X)
    assert nearest_angles(est.components_.T, S).max() < 4
    assert est.transform(X).shape == maps.shape
    with pytest.raises(ValueError, match=r"it makes a Dataset of a data set"):
        Unmixer(K, likelihood=lambda data: data).fit(X)


def test_pixels_without_counts_and_channels_that_no_spectrum_reaches_are_finite():
    X, _, _ = planted()
    X[:, -1] = 0
    est = Unmixer(K, likelihood=Poisson, starts=1).fit(X)
    new = X[:3].copy()
    new[0], new[1, -1] = 0, 5
    maps = est.transform(new)
    assert np.isfinite(maps).all()
    assert (maps[0] == 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("likelihood", [Gaussian, Poisson])
def test_a_gpu_gives_the_same(likelihood):
    X, _, _ = planted()
    here, there = (Unmixer(K, likelihood=likelihood, starts=2, device=d) for d in (None, "cuda"))
    maps, others = here.fit_transform(X), there.fit_transform(X)
    assert nearest_angles(there.components_.T, here.components_.T).max() < 0.5
    np.testing.assert_allclose(there.transform(X).sum(1), maps.sum(1), rtol=0.02)
    np.testing.assert_allclose(others.sum(1), maps.sum(1), rtol=0.02)


# --- batches ---------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", [Gaussian, Poisson])
def test_batches_give_what_all_at_once_give(likelihood):
    X, _, _ = planted()
    whole, parts = (Unmixer(K, likelihood=likelihood, starts=2) for _ in range(2))
    for batch in np.array_split(X, 7):
        parts.partial_fit(batch)
    np.testing.assert_array_equal(parts.components_, whole.fit(X).components_)
    np.testing.assert_array_equal(parts.explained_variance_, whole.explained_variance_)


def test_more_than_the_memory_holds_is_sampled_and_the_spectra_found():
    X, _, S = planted(1200)
    est = Unmixer(K, likelihood=Poisson, starts=2, memory=150 * CHANNELS)
    for batch in np.array_split(X, 9):
        est.partial_fit(batch)
    assert est._sample.random.rows.shape == (150, CHANNELS)
    assert nearest_angles(est.components_.T, S).max() < 4
    assert est.transform(X).shape == (1200, K)


# --- what is said ----------------------------------------------------------------------------


@pytest.mark.parametrize("components", [0, 31, 100])
def test_a_number_of_components_out_of_range_is_said_with_the_sizes(components):
    with pytest.raises(ValueError, match=r"K must be a whole number from 1 to 30"):
        Unmixer(components).fit(planted()[0])


def test_negative_counts_are_refused_by_a_fit_of_counts():
    X, _, _ = planted()
    with pytest.raises(ValueError, match="Negative values in data passed to a fit of counts: 1"):
        Unmixer(K, likelihood=Poisson).fit(X - 1.0)


def test_before_a_fit_there_is_no_answer():
    with pytest.raises(AttributeError, match="call `fit` first"):
        _ = Unmixer().components_
    assert not hasattr(Unmixer(), "explained_variance_")


def test_a_second_signal_begins_anew_and_says_so():
    random = np.random.default_rng(0)
    first, second = (random.random((40, 2)) @ random.random((2, 12)) for _ in range(2))
    used, fresh = Unmixer(2), Unmixer(2)
    for batch in (first[:25], first[25:]):
        used.partial_fit(batch)
    for batch in (first[:25], first[25:]):  # as HyperSpy does at the end of a lazy decomposition
        used.transform(batch)
    with pytest.warns(fu.ClaimWarning, match="all 40 pixels"):
        used.partial_fit(second[:10])
    used.partial_fit(second[10:])
    fresh.partial_fit(second)
    assert np.allclose(used.components_, fresh.components_)


def test_batches_before_the_first_maps_all_count():
    random = np.random.default_rng(0)
    data = random.random((40, 2)) @ random.random((2, 12))
    batches, whole = Unmixer(2), Unmixer(2)
    batches.partial_fit(data[:25])
    batches.transform(data[:5])
    batches.partial_fit(data[25:])
    whole.partial_fit(data)
    assert np.allclose(batches.components_, whole.components_)

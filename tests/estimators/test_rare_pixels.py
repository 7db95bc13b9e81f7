"""`Unmixer.partial_fit`: five pixels of a phase among more than memory holds."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from fusion.estimators import Unmixer
from fusion.losses import ARD, BetaDivergence, Frobenius, Poisson
from fusion.solvers import GaussNewton
from tests.helpers.planted_factors import nearest_angles

CHANNELS, MOST, FIVE = 32, 800, 5
ROUGH = GaussNewton(tolerance=1e-4)
ENERGY = np.linspace(0, 1, CHANNELS)[:, None]
SPECTRA = np.exp(-(((ENERGY - [0.2, 0.5, 0.8]) / [0.1, 0.06, 0.15]) ** 2)) + 0.05


def scene(seed, *, pixels=20_000, counts=False):
    """(values, spectrum, numbers of the five): 5 σ in 10 channels."""
    random = np.random.default_rng(seed)
    C = 10 * random.random((pixels, 3), dtype="f4")
    C[: pixels // 2, 2] = 0  # the third phase comes with later batches
    M = C @ SPECTRA.T.astype("f4")
    rare = np.zeros(CHANNELS)
    rare[random.permutation(CHANNELS)[:10]] = 5.0
    five = np.sort(random.choice(pixels // 4, FIVE, replace=False))
    if counts:
        rare *= M.mean(0) ** 0.5
        M[five] += 1.5 * rare
        return random.poisson(M), rare, five
    M[five] = rare
    return M + random.standard_normal(M.shape, dtype="f4"), rare, five


def in_batches(X, K=4, **options):
    options = {"starts": 1, "solver": ROUGH, "memory": MOST * CHANNELS, "progress": False} | options
    est = Unmixer(K, **options)
    for batch in np.array_split(X, 6):
        est.partial_fit(batch)
    return est


def off(est, spectrum):
    return nearest_angles(est.components_.T, spectrum[:, None]).min()


@pytest.fixture(scope="module")
def streamed():
    X, rare, five = scene(0)
    return in_batches(X), X, rare, five


def test_five_pixels_are_found_and_are_the_largest_of_their_map(streamed):
    est, X, rare, five = streamed
    assert off(est, rare) < 10
    assert nearest_angles(est.components_.T, SPECTRA).max() < 8
    assert np.sort(np.argsort(est.transform(X)[:, -1])[-FIVE:]).tolist() == five.tolist()
    assert "component 4: of" in est.result_.messages[-1]


def test_a_random_sample_alone_misses_them(streamed):
    est, _, rare, _ = streamed
    alone = Unmixer(4, starts=1, solver=ROUGH, progress=False).fit(est._sample.random.rows)
    assert off(alone, rare) > 30


def test_pixels_drawn_stand_for_many_and_one_that_stands_out_for_itself(streamed):
    est, X, _, five = streamed
    sample = est._sample
    rows, each = sample.weighted()
    np.testing.assert_array_equal(sample.random.rows, X[sample.random.numbers])
    np.testing.assert_array_equal(sample.standing, X[sample.numbers])
    assert set(five) <= set(sample.numbers)
    assert each.sum() == pytest.approx(len(X))
    assert (each[MOST:] == 1).all()
    assert len(rows) == len(each)


@pytest.mark.parametrize(
    ("likelihood", "penalty"),
    [(lambda data: Frobenius(data.with_variance(1.0)), ARD("C")), (Poisson, None)],
    ids=["switched off", "counts"],
)
def test_they_are_found_under_other_likelihoods_and_beliefs(likelihood, penalty):
    X, rare, _ = scene(1, counts=likelihood is Poisson)
    assert off(in_batches(X, likelihood=likelihood, penalty=penalty), rare) < 12


def test_where_all_components_are_needed_the_answer_is_that_of_the_sample():
    X, _, _ = scene(0)
    est = in_batches(X, 3)
    assert len(est._sample.standing) >= FIVE
    same = Unmixer(3, starts=1, solver=ROUGH, progress=False).fit(est._sample.random.rows)
    np.testing.assert_allclose(est.components_, same.components_, atol=1e-9)
    assert not est.result_.messages


def test_rows_without_anything_and_other_noise_are_met():
    X = np.abs(scene(0, pixels=2000)[0])
    X[:1000] = 0
    est = in_batches(X, likelihood=partial(BetaDivergence, beta=1.5), max_steps=5)
    assert np.isfinite(est.components_).all()
    assert np.isfinite(est.explained_variance_).all()

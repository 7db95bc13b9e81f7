"""`ARD`: how many components are left, with which noise, and the path of its scales."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import ARD, Exponential, Gaussian, HalfNormal, Poisson
from fusion.models import NMF
from tests.helpers.planted_factors import counts, noisy_map

EXPONENTIAL, HALF_NORMAL = PRIORS = (Exponential(), HalfNormal())
SCALES = "λ of ARD('C')"
TOLD = {"starts": 1, "progress": False}


@pytest.mark.parametrize(("prior", "seed"), [(EXPONENTIAL, 0), (HALF_NORMAL, 2)], ids=str)
def test_counts_keep_the_planted_number(prior, seed):
    data = fu.Dataset("a", counts(8, 9, 30, level=20.0))
    result = fu.fit(NMF(data, 6), Poisson(data) + ARD("C", prior=prior), seed=seed, **TOLD)
    assert result.n_components == 3


@pytest.mark.parametrize(
    ("prior", "noise", "seed"),
    [
        (EXPONENTIAL, 0.1, 0),
        (HALF_NORMAL, 1e-2, 0),
        (EXPONENTIAL, 1e-3, 2),
        (HALF_NORMAL, 1e-4, 0),
        (EXPONENTIAL, 1e-4, 0),
    ],
    ids=str,
)
def test_the_number_is_the_planted_one_at_every_level_of_noise(prior, noise, seed):
    data = noisy_map(noise, seed)
    result = fu.fit(NMF(data, 6), Gaussian(data) + ARD("C", prior=prior), **TOLD)
    assert result.n_components == 3


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_one_component_is_left_where_there_is_one(prior):
    rng = np.random.default_rng(0)
    X = 5 * np.outer(1 + rng.random(40), rng.random(20)) + rng.standard_normal((40, 20))
    data = fu.Dataset("a", X)
    result = fu.fit(NMF(data, 5), Gaussian(data) + ARD("C", prior=prior), **TOLD)
    assert result.n_components == 1
    assert result["C"].any()


@pytest.mark.parametrize(("prior", "seed"), [(EXPONENTIAL, 0), (HALF_NORMAL, 1)], ids=str)
def test_noise_alone_leaves_what_fits_best_and_says_so(prior, seed):
    data = fu.Dataset("a", np.random.default_rng(seed).standard_normal((40, 20)))
    result = fu.fit(NMF(data, 5), Gaussian(data) + ARD("C", prior=prior), seed=seed, **TOLD)
    assert result.n_components == 1
    assert any("no component beyond their noise" in m for m in result.messages)
    init = [{"C": result["C"], "S": result["S"]}]
    alone = fu.fit(NMF(data, 1), Gaussian(data), init=init, **TOLD)  # no prior
    assert np.linalg.norm(result["C"]) == pytest.approx(np.linalg.norm(alone["C"]), rel=0.02)


@pytest.mark.parametrize(("prior", "seed"), [(EXPONENTIAL, 0), (HALF_NORMAL, 1)], ids=str)
def test_a_few_counts_leave_one_component_that_expects_most_of_them(prior, seed):
    X = np.random.default_rng(seed).poisson(0.05, (40, 20))
    data = fu.Dataset("a", X)
    result = fu.fit(NMF(data, 5), Poisson(data) + ARD("C", prior=prior), **TOLD)
    assert result.n_components == 1
    assert 0.75 < (result["C"] @ result["S"].T).sum() / X.sum() < 1.01


def expected(result, X):
    """Share of the counts that the answer expects."""
    return (result["C"] @ result["S"].T).sum() / X.sum()


@pytest.mark.parametrize(
    ("prior", "level", "starts", "seed"),
    [
        (EXPONENTIAL, 0.05, 1, 1),
        (HALF_NORMAL, 0.05, 4, 2),
        (HALF_NORMAL, 0.2, 1, 1),
        (EXPONENTIAL, 0.2, 4, 2),
        (EXPONENTIAL, 1.0, 1, 1),
        (HALF_NORMAL, 1.0, 4, 2),
    ],
    ids=str,
)
def test_what_is_left_of_few_counts_expects_nearly_all_of_them(prior, level, starts, seed):
    X = np.random.default_rng(seed).poisson(level, (24, 250))  # 12 a pixel and more
    data = fu.Dataset("a", X)
    loss = Poisson(data) + ARD("C", prior=prior)
    result = fu.fit(NMF(data, 5), loss, starts=starts, seed=seed, progress=False)
    assert result.n_components == 1
    assert 0.9 < expected(result, X) < 1.1
    assert not any("noise" in m for m in result.messages)


@pytest.mark.parametrize(
    # of (40, 1, 0), (60, 1, 2) and (60, 3, 0) components merge whose amounts have collapsed before
    ("prior", "channels", "starts", "seed"),
    [
        *((prior, *case) for prior in PRIORS for case in [(40, 1, 0), (60, 1, 2), (60, 3, 0)]),
        (HALF_NORMAL, 60, 1, 3),
        (EXPONENTIAL, 60, 4, 1),
        (HALF_NORMAL, 120, 1, 0),
    ],
    ids=str,
)
def test_the_prior_takes_one_count_a_pixel_and_no_more(prior, channels, starts, seed):
    X = np.random.default_rng(0).poisson(0.05, (400, channels))
    data = fu.Dataset("a", X)
    loss = Poisson(data) + ARD("C", prior=prior)
    result = fu.fit(NMF(data, 5), loss, starts=starts, seed=seed, progress=False)
    assert result.n_components == 1
    taken = prior.power * (prior.count(400) + 2)  # d/dt of M t − X ln t + count · ln(size t^power)
    assert expected(result, X) == pytest.approx(1 - taken / X.sum(), abs=0.01)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_with_hardly_more_counts_than_pixels_the_answer_is_not_nearly_nothing(prior):
    X = np.random.default_rng(0).poisson(0.05, (400, 22))  # the prior would leave a tenth
    data = fu.Dataset("a", X)
    result = fu.fit(NMF(data, 5), Poisson(data) + ARD("C", prior=prior), **TOLD)
    assert result.n_components == 1
    assert expected(result, X) > 0.9


@pytest.mark.parametrize(
    ("prior", "noise"), [(EXPONENTIAL, "counts"), (HALF_NORMAL, "normal")], ids=str
)
def test_what_is_left_is_stationary_whatever_was_left_out(noise, prior):
    b = 3.0  # so much may be in what is off
    if noise == "counts":
        data = fu.Dataset("a", counts(8, 9, 30, level=0.5))
        fits = Poisson(data)
    else:
        data = noisy_map(0.1)
        fits = Gaussian(data)
    result = fu.fit(NMF(data, 4), fits + ARD("C", prior=prior, b=b), **TOLD)
    assert result.n_components < 4
    X, C, S = data.numpy().reshape(72, 30), result["C"], result["S"]
    M, sizes = C @ S.T, prior.size(result.model.C.detach()).numpy()
    if noise == "counts":
        pull = np.divide(X, M, out=np.zeros_like(M), where=X > 0) - 1
    else:
        pull = (X - M) / np.mean((X - M) ** 2)
    fitted = ((pull @ S) * C).sum(0)  # −d/d ln t of the fit, column k of C times t
    prior_s = prior.power * (prior.count(72) + 2) * sizes / (b + sizes)
    assert fitted == pytest.approx(prior_s, rel=0.02)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_one_component_that_the_data_support_is_not_called_noise(prior):
    rng = np.random.default_rng(0)
    X = np.outer(1 + rng.random(40), rng.random(20)) + rng.standard_normal((40, 20))
    data = fu.Dataset("a", X)
    result = fu.fit(NMF(data, 5), Gaussian(data) + ARD("C", prior=prior), **TOLD)
    assert result.n_components == 1
    assert not any("noise" in m for m in result.messages)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_scales_of_the_last_step_are_those_of_the_answer_in_its_order(prior):
    data = noisy_map()
    result = fu.fit(NMF(data, 6), Gaussian(data) + ARD("C", prior=prior), **TOLD)
    path, K = result.history[SCALES], result.n_components
    assert path.shape[1] == 6
    assert np.isfinite(path).all()
    assert len(path) > 10
    sizes = prior.size(result.model.C.detach()).numpy()
    expected = sizes / (prior.count(72) + 2)  # a = 1, b far below
    assert path[-1, :K] == pytest.approx(expected, rel=0.01)
    assert path[-1, K:].max() < 1e-2 * path[-1, :K].min()  # the others stand at the floor
    assert path[0].min() > path[-1, K:].max()  # where they came down to


def test_the_best_of_several_starts_has_its_own_scales():
    data = noisy_map()
    result = fu.fit(NMF(data, 6), Gaussian(data) + ARD("C"), starts=4, progress=False)
    scales = result.history[SCALES][-1, : result.n_components]
    assert scales == pytest.approx(result["C"].sum(0) / 74, rel=0.01)

"""`BetaDivergence`: its literal sum, its special cases, scikit-learn's, and where it is best."""

import numpy as np
import pytest
from sklearn.decomposition import NMF

import fusion as fu
from fusion.losses import BetaDivergence, Frobenius, Poisson
from tests.helpers.planted_factors import Bilinear, angles
from tests.helpers.structured_data import SCAN, fitted, peaks, planted_mean, value_of


def literal_beta(X, M, beta):
    if beta == 1:
        return np.sum(np.where(X > 0, X * np.log(np.where(X > 0, X, 1) / M), 0) - X + M)
    if beta == 0:
        return np.sum(X / M - np.log(X / M) - 1)
    top = X**beta + (beta - 1) * M**beta - beta * X * M ** (beta - 1)
    return np.sum(top / (beta * (beta - 1)))


@pytest.mark.parametrize("beta", [-0.5, 0, 0.5, 1, 1.5, 2, 3])
def test_beta_divergence_is_the_literal_sum(beta):
    mean, rng = planted_mean()
    X = rng.poisson(5 * mean) + (beta <= 0)
    data = fu.Dataset("x", X.astype(float))
    model = fu.models.NMF(data, 2)
    M = (model.C @ model.S.T).detach().numpy().reshape(X.shape)
    assert value_of(BetaDivergence(data, beta), model) == pytest.approx(literal_beta(X, M, beta))


def test_beta_divergence_is_least_squares_at_two_and_counts_at_one():
    mean, rng = planted_mean()
    X = rng.poisson(5 * mean).astype(float)
    data, weighed = fu.Dataset("x", X), fu.Dataset("x", X, variance=mean + 1)
    model = fu.models.NMF(data, 2)
    for other in (data, weighed):
        assert value_of(BetaDivergence(other, 2), model) == value_of(Frobenius(other), model)
    constant = np.sum(np.where(X > 0, X * np.log(np.where(X > 0, X, 1)), 0) - X)
    assert value_of(BetaDivergence(data, 1), model) - value_of(
        Poisson(data), model
    ) == pytest.approx(constant)


@pytest.mark.parametrize("beta", [0.5, 1, 1.5, 2])
def test_beta_divergence_is_that_of_scikit_learn(beta):
    mean, rng = planted_mean()
    X = rng.poisson(5 * mean).reshape(42, 20) + 0.5
    theirs = NMF(3, solver="mu", beta_loss=beta, init="random", random_state=0, tol=0, max_iter=400)
    W = theirs.fit_transform(X)
    data = fu.Dataset("x", X)
    model, loss = Bilinear(data, 3), 1.0 * BetaDivergence(data, beta)
    model.C, model.S = W, theirs.components_.T
    assert value_of(loss, model) == pytest.approx(theirs.reconstruction_err_**2 / 2)
    assert fitted(fu.models.NMF(data, 3), loss).loss <= value_of(loss, model) * (1 + 1e-6)


def test_relative_noise_is_best_met_by_itakura_saito():
    rng = np.random.default_rng(0)
    C, S = rng.gamma(1.0, 1.0, (256, 3)) * rng.lognormal(0, 1.5, (256, 1)), peaks() + 0.02
    X = (C @ S.T) * rng.gamma(20, 1 / 20, (256, 40))  # 22 % everywhere
    data = fu.Dataset("x", X.reshape(*SCAN, 40))
    worst = {
        beta: angles(
            fitted(fu.models.NMF(data, 3), 1.0 * BetaDivergence(data, beta)).factors["S"], S
        ).max()
        for beta in (0, 2)
    }
    assert worst[0] < 0.5 * worst[2], worst

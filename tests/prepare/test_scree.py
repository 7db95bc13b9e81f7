"""Singular values against those of noise: the planted number, whatever the noise."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.prepare.scree import _projected, equaliser
from tests.helpers.paths import shared_file
from tests.helpers.planted_ranks import NOISES, data, expected


@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("kind", NOISES)
def test_a_planted_number_is_recommended(kind, K):
    found = [data(kind, K, seed).noise().scree.rank for seed in range(2)]
    assert found == [K] * 2


@pytest.mark.parametrize("kind", ["Gaussian", "uneven channels", "correlated"])
def test_pure_noise_has_no_component(kind):
    assert [data(kind, 0, seed).noise().scree.rank for seed in range(3)] == [0] * 3


@pytest.mark.parametrize("kind", ["many counts", "few counts"])
def test_counts_of_one_rate_have_one_component(kind):
    assert [data(kind, 0, seed).noise().scree.rank for seed in range(3)] == [1] * 3


def test_what_was_clipped_at_zero_is_said_with_its_share():
    noise = data("clipped", 2).noise()
    zeros = (data("clipped", 2).numpy() == 0).mean()
    assert noise.clipped == pytest.approx(zeros)
    assert "clipped at zero" in str(noise)
    assert np.sqrt(noise.readout) == pytest.approx(0.1, rel=0.05)


def test_zeros_of_another_origin_are_not_taken_for_clipped():
    rng = np.random.default_rng(0)
    X = 4.5 * rng.poisson(expected(rng, 2))
    assert fu.Dataset("a", X).noise().clipped == 0


def test_the_covariance_of_a_residual_is_that_of_its_formula():
    """The lags of P T P, P = 1 − V Vᵀ, for T of channels some lag apart."""
    V = np.linalg.qr(np.random.default_rng(0).random((20, 3)))[0]
    P = np.eye(20) - V @ V.T
    for lag in (0, 2, 5):
        T = (np.eye(20, k=lag) + np.eye(20, k=-lag)) / (1 if lag else 2)
        seen = [np.diag(P @ T @ P, a).mean() for a in range(6)]
        np.testing.assert_allclose(_projected(V.T, range(6))[lag], seen, atol=1e-12)


def test_the_equaliser_finds_the_noise_beside_strong_components():
    rng = np.random.default_rng(0)
    rows, columns = 0.2 + 2 * rng.random(400), 0.2 + 2 * rng.random(200)
    noise = np.sqrt(np.outer(rows, columns)) * rng.standard_normal((400, 200))
    found = equaliser(noise + 5 * rng.random((400, 2)) @ rng.random((2, 200)))
    ratio = np.outer(*found) / np.outer(rows, columns)
    assert ratio.mean() == pytest.approx(1, abs=0.06)
    assert ratio.std() < 0.2


def shared(name: str) -> fu.Dataset:
    if name.startswith("fig3"):
        file = np.load(shared_file("figure_cases", "fig3_sim.npz"))
        true = file["counts"] - file["background"]
        return fu.Dataset("a", true if name == "fig3" else file["bgsub"])
    if name == "mn3o4":
        return fu.Dataset("a", np.load(shared_file("mn3o4_phantom", "SI_data.npz"))["X"])
    file = np.load(shared_file("espm_simulated_edxs", "AlFeSi3N4_multilayer.npz"))
    return fu.Dataset("a", file["counts_dose1000"])


@pytest.mark.parametrize(
    ("name", "K"), [("fig3", 3), ("fig3 bgsub", 4), ("mn3o4", 2), ("AlFeSi3N4", 3)]
)
def test_the_number_of_the_reviews_cases_is_found(name, K):
    assert shared(name).noise().scree.clear == K

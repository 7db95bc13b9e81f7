"""`KeenanKotula` and `Anscombe`: forward, back, and what they do to the noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm, poisson

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.simulate import layers
from tests.helpers.messages import fails_in_one_line
from tests.helpers.prepared_data import data

RNG = np.random.default_rng
SCALES = [1e-6, 1.0, 1e6]


def counts(seed: int = 0, *shape: int) -> np.ndarray:
    rng = RNG(seed)
    C, S = rng.gamma(0.7, 1, (30, 3)), rng.gamma(0.7, 1, (40, 3))
    return rng.poisson(4 * C @ S.T).reshape(*(shape or (5, 6)), 40)


def test_keenan_kotula_divides_by_the_roots_of_mean_image_and_mean_spectrum():
    X = counts().reshape(30, 40).astype(float)
    aG, bH = X.sum(1), X.sum(0)  # sums; HyperSpy's scaling is X / √(aG bHᵀ)
    literal = X / np.sqrt(np.outer(aG, bH)) * np.sqrt(X.sum())
    given = fu.Dataset("a", X.reshape(5, 6, 40))
    scaled = fu.KeenanKotula(given).forward(given)
    np.testing.assert_allclose(scaled.numpy().reshape(30, 40), literal, rtol=1e-12)
    assert "Keenan–Kotula" in scaled.history[-1]


@pytest.mark.parametrize("scale", SCALES)
def test_keenan_kotula_there_and_back_is_the_identity(scale):
    X = scale * counts().astype(float)
    X[2, 3], X[..., 7] = 0.0, 0.0  # an empty pixel and an empty channel
    given = fu.Dataset("a", X, variance=np.full(X.shape, 2.0))
    t = fu.KeenanKotula(given)
    scaled = t.forward(given)
    back = t.inverse(scaled)
    np.testing.assert_allclose(back.numpy(), X, rtol=1e-12)
    np.testing.assert_allclose(back.variance, 2.0, rtol=1e-12)
    assert len(back.history) == 2
    np.testing.assert_allclose(t.inverse(scaled.numpy()), X, rtol=1e-12)
    matrix = t.inverse(scaled.matrix)
    assert isinstance(matrix, torch.Tensor)
    np.testing.assert_allclose(matrix, X.reshape(30, 40), rtol=1e-12)


def test_keenan_kotula_gives_counts_the_variance_one():
    scene = layers(seed=1)
    mean = scene.truth["C"] @ scene.truth["S"].T + scene.truth["background"]
    given = scene.datasets["counts"]
    t = fu.KeenanKotula(given)
    off = t.forward(given).matrix.numpy() - mean / np.sqrt(t.variance.numpy().reshape(mean.shape))
    assert off.var() == pytest.approx(1.0, abs=0.02)


def test_least_squares_of_scaled_data_are_those_with_a_variance_of_rank_one():
    given = fu.Dataset("a", counts())
    t = fu.KeenanKotula(given)
    weighted, scaled = given.with_variance(t.variance), t.forward(given)
    a, b = NMF(weighted, 3), NMF(scaled, 3)
    C, S = RNG(1).random((30, 3)), RNG(2).random((40, 3))
    S /= np.linalg.norm(S, axis=0)
    scaled_S = S / t.columns.numpy()[:, None]
    norms = np.linalg.norm(scaled_S, axis=0)
    a.C, a.S = C, S
    b.C, b.S = C / t.rows.numpy()[:, None] * norms, scaled_S / norms
    with torch.no_grad():
        one, other = float(Frobenius(weighted)(a)), float(Frobenius(scaled)(b))
    assert one == pytest.approx(other, rel=1e-12)


def test_a_fit_to_scaled_data_mapped_back_is_the_fit_with_a_variance():
    given = fu.Dataset("a", counts())
    t = fu.KeenanKotula(given)
    weighted, scaled = given.with_variance(t.variance), t.forward(given)
    options = {"starts": 10, "seed": 0, "progress": False, "compress": False}
    one = fu.fit(NMF(weighted, 3), Frobenius(weighted), **options)
    other = fu.fit(NMF(scaled, 3), Frobenius(scaled), **options)
    assert other.loss == pytest.approx(one.loss, rel=1e-6)
    back = t.factors(other)
    np.testing.assert_allclose(np.linalg.norm(back["S"], axis=0), 1.0)
    M = one["C"] @ one["S"].T
    np.testing.assert_allclose(back["C"] @ back["S"].T, M, atol=2e-3 * M.max())
    model = other["C"] @ other["S"].T
    np.testing.assert_allclose(t.inverse(model), back["C"] @ back["S"].T, rtol=1e-9)


def test_what_keenan_kotula_does_not_see_does_not_count():
    X = counts().astype(float)
    mask = np.zeros(X.shape, dtype=bool)
    mask[1, 1], mask[2, 2, 3] = True, True
    dirty = X.copy()
    dirty[mask] = np.nan
    t = fu.KeenanKotula(fu.Dataset("a", dirty, mask=mask))
    seen = ~mask
    image = np.where(seen, X, 0).sum(-1) / np.maximum(seen.sum(-1), 1)
    rows = np.where(seen.any(-1), np.sqrt(image / X[seen].mean()), 1.0)
    np.testing.assert_allclose(t.rows.reshape(5, 6), rows, rtol=1e-12)
    scaled = t.forward(fu.Dataset("a", dirty, mask=mask))
    assert np.isfinite(scaled.numpy()[~mask]).all()


def test_keenan_kotula_refuses_what_it_cannot_scale():
    given = data()
    fails_in_one_line(
        lambda: fu.KeenanKotula(fu.Dataset("a", given.numpy() - 100)), "pixels", "mean"
    )
    t = fu.KeenanKotula(given)
    fails_in_one_line(lambda: t.forward(given.crop(x=slice(0, 3))), "(4, 3, 12)", "(4, 6, 12)")
    fails_in_one_line(lambda: t.inverse(np.ones((3, 3))), "(3, 3)", "(24, 12)")


def test_factors_that_are_not_one_of_maps_and_one_of_spectra_are_refused():
    given = fu.Dataset("a", counts())
    t, other = fu.KeenanKotula(given), fu.Dataset("b", counts(1))
    model = fu.models.SharedMaps(given, other, K=2)
    loss = Frobenius(given) + Frobenius(other)
    result = fu.fit(model, loss, starts=1, max_steps=1, progress=False)
    fails_in_one_line(lambda: t.factors(result), "with_variance")


# -- Anscombe ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "t",
    [fu.Anscombe(), fu.Anscombe(4.0, 30.0), fu.Anscombe(0.5, 2.0, 100.0)],
    ids=["Poisson", "read-out", "offset"],
)
def test_anscombe_is_its_equation_and_back_is_the_identity(t):
    X = t.offset + t.gain * counts().astype(float)
    given = fu.Dataset("a", X, variance=3.0)
    g, s2, mu = t.gain, t.readout, t.offset
    literal = 2 / g * np.sqrt(g * (X - mu) + 3 / 8 * g**2 + s2)
    z = t.forward(given)
    np.testing.assert_allclose(z.numpy(), literal, rtol=1e-12)
    assert z.variance is None
    np.testing.assert_allclose(t.inverse(z).numpy(), X, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(t.inverse(z.numpy()), X, rtol=1e-9, atol=1e-9)
    assert len(t.inverse(z).history) == 2


@pytest.mark.parametrize("level", [5.0, 50.0, 5000.0])
@pytest.mark.parametrize(("gain", "readout"), [(1.0, 0.0), (4.0, 40.0)])
def test_anscombe_gives_the_variance_one(gain, readout, level):
    rng = RNG(0)
    x = gain * rng.poisson(level, (200, 200)) + rng.normal(0, readout**0.5, (200, 200))
    z = fu.Anscombe(gain, readout).forward(fu.Dataset("a", x))
    assert float(z.tensor.var()) == pytest.approx(1.0, abs=0.03 if level > 5 else 0.06)


@pytest.mark.parametrize("s2", [0.0, 0.25, 4.0, 400.0])
def test_the_unbiased_inverse_inverts_the_mean_of_the_transform(s2):
    y = np.array([0.0, 0.1, 0.5, 1, 2, 5, 10, 30, 100, 180, 250, 1000, 1e4])
    means = []
    for level in y:
        k = np.arange(poisson.ppf(1e-15, level) if level else 0, poisson.isf(1e-15, level) + 2)
        n, weight = np.zeros(1), np.ones(1)
        if s2:
            n = np.linspace(-9, 9, 4001) * np.sqrt(s2)
            weight = norm.pdf(n, scale=np.sqrt(s2))
        p = np.outer(poisson.pmf(k, level), weight)
        z = 2 * np.sqrt(np.maximum(k[:, None] + n + 3 / 8 + s2, 0))
        means.append((p * z).sum() / p.sum())
    found = fu.Anscombe(readout=s2).unbiased_inverse(np.array(means))
    np.testing.assert_allclose(found, y, rtol=1e-4, atol=2e-3)


def test_the_unbiased_inverse_agrees_with_the_published_closed_form():
    z = np.linspace(1.3, 60, 300)
    D = 1 / z
    closed = z**2 / 4 + np.sqrt(1.5) / 4 * D - 11 / 8 * D**2 + 5 / 8 * np.sqrt(1.5) * D**3 - 1 / 8
    np.testing.assert_allclose(fu.Anscombe().unbiased_inverse(z), closed, atol=0.03)


def test_the_mean_of_transformed_counts_comes_back_without_bias():
    rng = RNG(0)
    for level in (0.5, 3.0):
        z = fu.Anscombe().forward(fu.Dataset("a", rng.poisson(level, (400, 500)))).tensor.mean()
        t = fu.Anscombe()
        assert float(t.unbiased_inverse(z)) == pytest.approx(level, rel=0.01)
        assert float(t.inverse(z)) < 0.95 * level


def test_the_gain_of_anscombe_is_that_of_the_data():
    scene = layers(seed=1)
    mean = scene.truth["C"] @ scene.truth["S"].T + scene.truth["background"]
    x = (4.0 * RNG(0).poisson(mean / 4)).reshape(40, 44, -1)
    assert fu.Anscombe.of(fu.Dataset("eels", x)).gain == pytest.approx(4.0, rel=0.05)
    assert fu.Anscombe.of(scene.datasets["counts"]) == fu.Anscombe()
    fails_in_one_line(lambda: fu.Anscombe.of(scene.datasets["net"]), "does not follow the mean")


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("name", ["Anscombe", "KeenanKotula"])
def test_the_precision_of_the_data_is_kept(name, kind):
    given = fu.Dataset("a", counts().astype(kind))
    t = fu.Anscombe() if name == "Anscombe" else fu.KeenanKotula(given)
    want = torch.float32 if kind is np.float32 else torch.float64
    scaled = t.forward(given)
    assert scaled.dtype is want
    assert t.inverse(scaled).dtype is want
    np.testing.assert_allclose(t.inverse(scaled).numpy(), counts(), rtol=1e-4, atol=1e-4)


def test_values_below_the_root_are_said_and_nan_stays_nan():
    X = counts().astype(float)
    X[0, 0, 0], X[0, 0, 1] = -5.0, np.nan
    z = fu.Anscombe().forward(fu.Dataset("a", X))
    assert "1 values below its range" in z.history[-1]
    assert z.numpy()[0, 0, 0] == 0
    assert np.isnan(fu.Anscombe().unbiased_inverse(z).numpy()[0, 0, 1])


@pytest.mark.parametrize("wrong", [{"gain": 0.0}, {"readout": -1.0}, {"offset": float("nan")}])
def test_an_anscombe_without_a_sense_is_refused(wrong):
    fails_in_one_line(lambda: fu.Anscombe(**wrong), "gain > 0")

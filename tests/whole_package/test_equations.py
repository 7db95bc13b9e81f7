"""The equations of the review, by number, each against a literal NumPy transcription.

X (pixel, channel), maps C (pixel, K), spectra S (channel, K).
"""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import gammaln

import fusion as fu
from fusion import models
from fusion.constraints import Free, NonNegative, UnitColumns
from fusion.engine.curvature import states_at
from fusion.engine.objective import Objective
from fusion.losses import (
    ARD,
    Exponential,
    Frobenius,
    Gaussian,
    HalfNormal,
    Norm,
    Poisson,
    Smoothness,
    SoftOrthogonality,
    SpatialSmoothness,
    SquaredNorm,
)
from fusion.solvers import HALS, GaussNewton
from tests.helpers.planted_factors import Bilinear

PIXELS, CHANNELS, K = (5, 6), 12, 3
TIGHT = GaussNewton(tolerance=1e-14, max_steps=1000)


def mixture(seed=0, noise=0.05):
    """A cube (y, x, channel) of non-negative components that overlap, with noise of both signs."""
    rng = np.random.default_rng(seed)
    C, S = rng.random((30, K)) ** 2, rng.random((CHANNELS, K)) ** 2
    return (C @ S.T + noise * rng.standard_normal((30, CHANNELS))).reshape(*PIXELS, CHANNELS)


def dataset(**options):
    return fu.Dataset("a", mixture(), **options)


def point(seed=1):
    """Generic C and S with unit columns of S."""
    rng = np.random.default_rng(seed)
    C, S = rng.random((30, K)), rng.random((CHANNELS, K))
    return C, S / np.linalg.norm(S, axis=0)


def at_point(data, **options):
    """An NMF that stands at `point`, with C and S."""
    model = models.NMF(data, K, **options)
    model.C, model.S = point()
    return model, *point()


def fitted(model, loss, **options):
    """(C, S) of a fit to the last digit."""
    options = {"solver": TIGHT, "starts": 3, "progress": False} | options
    result = fu.fit(model, loss, **options)
    return result.factors["C"], result.factors["S"]


def value(loss, model):
    return float(loss(model).detach())


def gradients(loss, model):
    """Gradient of the loss by C and S themselves, with lagged pieces held."""
    values = {k: v.detach().requires_grad_() for k, v in model.factors.items()}
    states = states_at(Objective(model, 1.0 * loss))
    with model.once(values):
        terms = (1.0 * loss).terms
        total = sum(w * t.value(model, s) for (w, t), s in zip(terms, states, strict=True))
    return [g.numpy() for g in torch.autograd.grad(total, [values["C"], values["S"]])]


# ---- (4) -----------------------------------------------------------------------------------------


def test_eq_4_frobenius_is_half_the_squared_distance_with_its_gradient():
    data = dataset()
    X = mixture().reshape(30, CHANNELS)
    model, C, S = at_point(data)
    assert_allclose(value(Frobenius(data), model), 0.5 * np.linalg.norm(X - C @ S.T) ** 2)
    by_C, by_S = gradients(Frobenius(data), model)
    assert_allclose(by_C, -(X - C @ S.T) @ S)
    assert_allclose(by_S, -(X - C @ S.T).T @ C)


@pytest.mark.parametrize(
    "variance",
    [
        0.3,
        np.linspace(0.1, 2, CHANNELS),
        np.linspace(0.1, 2, 30).reshape(*PIXELS, 1),
        np.random.default_rng(2).random((*PIXELS, CHANNELS)) + 0.1,
    ],
    ids=["one", "per channel", "per pixel", "of every entry"],
)
def test_eq_4_a_variance_divides_every_square(variance):
    mask = np.zeros((*PIXELS, CHANNELS), bool)
    mask[1, 2] = mask[..., 4] = mask[0, 0, 0] = True
    data = dataset(variance=variance, mask=mask)
    model, C, S = at_point(data)
    difference = mixture() - (C @ S.T).reshape(mask.shape)
    expected = 0.5 * np.sum(np.where(mask, 0, difference**2 / variance))
    assert_allclose(value(Frobenius(data), model), expected)


# ---- (5)–(8) -------------------------------------------------------------------------------------


def test_eqs_5_and_6_alternating_least_squares_leave_the_answer_unchanged():
    data = dataset()
    X = mixture().reshape(30, CHANNELS)
    C, S = fitted(Bilinear(data, C=[Free()], S=[Free()]), Frobenius(data), starts=10)
    assert_allclose(np.linalg.inv(C.T @ C) @ C.T @ X, S.T, atol=1e-6 * np.abs(S).max())
    assert_allclose(X @ S @ np.linalg.inv(S.T @ S), C, atol=1e-6 * np.abs(C).max())
    U, s, Vt = np.linalg.svd(X)  # what the method is known to reach
    assert_allclose(C @ S.T, (U[:, :K] * s[:K]) @ Vt[:K], atol=1e-6)


def test_eqs_7_and_8_squared_norms_are_the_ridges_of_both_normal_equations():
    data = dataset()
    X = mixture().reshape(30, CHANNELS)
    size_C, size_S = 2.0, 0.5
    loss = Frobenius(data) + SquaredNorm("C", size_C) + SquaredNorm("S", size_S)
    C, S = fitted(Bilinear(data, C=[Free()], S=[Free()]), loss, starts=10)
    W_C, W_S = np.eye(K) / size_C**2, np.eye(K) / size_S**2
    assert_allclose(np.linalg.inv(C.T @ C + W_S) @ C.T @ X, S.T, atol=1e-6 * np.abs(S).max())
    assert_allclose(X @ S @ np.linalg.inv(S.T @ S + W_C), C, atol=1e-6 * np.abs(C).max())
    assert np.linalg.norm(C) > 0.1


# ---- (10)–(12) -----------------------------------------------------------------------------------


def test_eq_10_columns_have_unit_norm_and_the_maps_take_up_the_amount():
    data = dataset()
    model, C, S = at_point(data)
    model.S = 7 * S
    assert_allclose(model.S.detach(), S)
    C, S = fitted(models.NMF(data, K), Frobenius(data))
    assert_allclose(np.linalg.norm(S, axis=0), 1)
    free = fitted(Bilinear(data), Frobenius(data), starts=10)
    norms = np.linalg.norm(free[1], axis=0)
    order = np.argmax((free[1] / norms).T @ S, axis=0)
    assert_allclose(free[1][:, order] / norms[order], S, atol=1e-4)
    assert_allclose(free[0][:, order] * norms[order], C, atol=1e-4)


def hals_sweep(X, C, S):
    """Review, (11) and (12): one component after the other from the residual without it."""
    C, S = C.copy(), S.copy()
    for k in range(C.shape[1]):
        X_k = X - C @ S.T + np.outer(C[:, k], S[:, k])
        C[:, k] = np.maximum(X_k @ S[:, k] / (S[:, k] @ S[:, k]), 0)
    for k in range(C.shape[1]):
        X_k = X - C @ S.T + np.outer(C[:, k], S[:, k])
        S[:, k] = np.maximum(X_k.T @ C[:, k] / (C[:, k] @ C[:, k]), 0)
    return C, S


def test_eqs_11_and_12_leave_the_gauss_newton_answer_unchanged():
    data = dataset()
    X = mixture().reshape(30, CHANNELS)
    C, S = fitted(models.NMF(data, K), Frobenius(data))
    assert (C == 0).any()
    assert (C > 0).any()
    after = hals_sweep(X, C, S)
    assert_allclose(after[0], C, atol=1e-6 * C.max())
    assert_allclose(after[1], S, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 3])
def test_eqs_11_and_12_are_a_plain_step_of_hals(steps):
    data = dataset()
    X = mixture().reshape(30, CHANNELS)
    C, S = point()
    result = fu.fit(
        Bilinear(data),
        Frobenius(data),
        solver=HALS(sweeps=1, extrapolation=0.0),
        init=[{"C": C, "S": S}],
        max_steps=steps,
        progress=False,
    )
    for _ in range(steps):
        C, S = hals_sweep(X, C, S)
    assert_allclose(result.factors["C"], C, rtol=1e-9, atol=1e-12)
    assert_allclose(result.factors["S"], S, rtol=1e-9, atol=1e-12)


# ---- (13) ----------------------------------------------------------------------------------------


def so_rule(X, C, S, k):
    """(h_k, ξ_k, c̄_k) of soft_orthogonality.md for ‖X − C Sᵀ‖² and unit columns of S."""
    U = C / np.linalg.norm(C, axis=0)
    others = U.sum(1) - U[:, k]
    h = (X - C @ S.T + np.outer(C[:, k], S[:, k])) @ S[:, k]
    return h, max(0.0, others @ h / (others @ others)), others


def test_eq_13_value_at_a_point_is_the_transcription():
    data = dataset()
    X = mixture().reshape(30, CHANNELS)
    model, C, S = at_point(data)
    expected = 0.0
    for k in range(K):
        _, xi, others = so_rule(X, C, S, k)
        expected += xi * others @ C[:, k]  # ξ_k ‖c_k‖ · c̄_kᵀ u_k
    alone = value(Frobenius(data), model)
    both = value(Frobenius(data) + SoftOrthogonality("C"), model)
    assert_allclose(both - alone, expected, rtol=1e-9)


def test_eq_13_multiplier_is_the_transcription():
    data = dataset()
    X = mixture().reshape(30, CHANNELS)
    model, C, S = at_point(data)
    state = states_at(Objective(model, Frobenius(data) + SoftOrthogonality("C")))[1]
    expected = [np.linalg.norm(C[:, k]) * so_rule(X, C, S, k)[1] for k in range(K)]
    assert_allclose(state["xi"], expected, rtol=1e-9)
    others = np.stack([so_rule(X, C, S, k)[2] for k in range(K)], 1)
    assert_allclose(state["others"], others, rtol=1e-12)


@pytest.mark.parametrize("w", [0.01, 0.05, 0.3])
def test_eq_13_rule_leaves_the_fitted_maps_unchanged(w):
    """c_k (1 − w ξ_k c̄_kᵀu_k / ‖c_k‖) = [h_k − w ξ_k c̄_k]₊: the authors' step, of unit columns."""
    data = dataset()
    X = mixture().reshape(30, CHANNELS)
    loss = Frobenius(data) + w * SoftOrthogonality("C")
    C, S = fitted(models.NMF(data, K), loss)
    for k in range(K):
        h, xi, others = so_rule(X, C, S, k)
        norm = np.linalg.norm(C[:, k])
        shrunk = 1 - w * xi * others @ C[:, k] / norm**2
        step = np.maximum(h - w * xi * others, 0)
        assert_allclose(C[:, k] * shrunk, step, atol=1e-4 * norm)


def test_eq_13_for_two_components_has_the_fixed_points_of_the_authors_step():
    rng = np.random.default_rng(4)
    X = rng.random((30, 2)) @ rng.random((2, CHANNELS)) + 0.02 * rng.standard_normal((30, CHANNELS))
    data, w = fu.Dataset("a", X), 0.1
    C, S = fitted(models.NMF(data, 2), Frobenius(data) + w * SoftOrthogonality("C"))
    for k in range(2):
        others = C[:, 1 - k]  # c⁽ᵏ⁾ = Σ_{j≠k} c_j, not of unit norm
        h = (X - np.outer(C[:, 1 - k], S[:, 1 - k])) @ S[:, k]
        step = np.maximum(h - w * (others @ h) / (others @ others) * others, 0)
        cosine = step @ C[:, k] / np.linalg.norm(step) / np.linalg.norm(C[:, k])
        assert cosine > 1 - 1e-8


def test_eq_13_larger_weights_bring_maps_nearer_to_orthogonal():
    data = dataset()
    overlap = []
    for w in (0.0, 0.05, 0.5):
        C, _ = fitted(models.NMF(data, K), Frobenius(data) + w * SoftOrthogonality("C"))
        U = C / np.linalg.norm(C, axis=0)
        overlap.append(np.triu(U.T @ U, 1).sum())
    assert overlap[0] > overlap[1] + 0.01
    assert overlap[1] > overlap[2] + 0.01


# ---- ARD -----------------------------------------------------------------------------------------


def exponential(C, scales):
    """−ln of the density of Exp(λ_k), and the λ that is best under InvGamma(a, b)."""
    n = len(C)
    return np.sum(C / scales + np.log(scales)), lambda a, b: (C.sum(0) + b) / (n + a + 1)


def half_normal(C, scales):
    """The same of a half-normal distribution of variance λ_k, without ln √(2/π)."""
    n, half = len(C), 0.5 * np.sum(C**2, 0)
    return np.sum(
        C**2 / (2 * scales) + 0.5 * np.log(scales)
    ), lambda a, b: (half + b) / (n / 2 + a + 1)


PRIORS = [
    pytest.param(Exponential(), exponential, id="exponential"),
    pytest.param(HalfNormal(), half_normal, id="half-normal"),
]


def marginal(X, C, S, variance, scales, a, b, prior):
    """J of the ARD model: X ~ N(C Sᵀ, σ²), C_ik ~ p(λ_k), λ_k ~ InvGamma(a, b)."""
    N, D = X.shape
    J = N * D / 2 * np.log(2 * np.pi * variance)
    J += np.sum((X - C @ S.T) ** 2) / (2 * variance)
    J += prior(C, scales)[0] + np.sum(b / scales + (a + 1) * np.log(scales))
    return J + len(scales) * (gammaln(a) - a * np.log(b))


@pytest.mark.parametrize(("amounts", "prior"), PRIORS)
def test_ard_with_gaussian_is_the_marginal_objective_up_to_a_constant(amounts, prior):
    data = dataset()
    X, a, b = mixture().reshape(30, CHANNELS), 2.0, 0.3
    model, gaps = models.NMF(data, K), []
    loss = Gaussian(data) + ARD("C", a=a, b=b, prior=amounts)
    for seed in range(3):
        C, S = point(seed)
        model.C, model.S = C, S
        variance = np.mean((X - C @ S.T) ** 2)
        scales = prior(C, 1.0)[1](a, b)
        gaps.append(value(loss, model) - marginal(X, C, S, variance, scales, a, b, prior))
    assert_allclose(gaps, gaps[0], rtol=1e-10)


@pytest.mark.parametrize(("amounts", "prior"), PRIORS)
def test_ard_scale_is_the_minimum_of_the_marginal_objective(amounts, prior):
    data = dataset()
    X, a, b = mixture().reshape(30, CHANNELS), 2.0, 0.3
    model, C, S = at_point(data)
    term = ARD("C", a=a, b=b, prior=amounts)
    scales = states_at(Objective(model, 1.0 * term))[0]["scales"].numpy()
    assert_allclose(scales, prior(C, scales)[1](a, b))
    here = marginal(X, C, S, 1.0, scales, a, b, prior)
    for k in range(K):
        for factor in (0.99, 1.01):
            other = scales.copy()
            other[k] *= factor
            assert marginal(X, C, S, 1.0, other, a, b, prior) > here


def test_ard_is_the_log_of_column_sums_and_touches_it_with_its_gradient():
    data = dataset()
    model, C, _ = at_point(data)
    a, b = 2.0, 0.3
    term = ARD("C", a=a, b=b)
    assert_allclose(value(term, model), (30 + a + 1) * np.sum(np.log(b + C.sum(0)) - np.log(b)))
    by_C, _ = gradients(Frobenius(data) + term, model)
    fit_C, _ = gradients(Frobenius(data), model)
    assert_allclose(by_C - fit_C, np.broadcast_to((30 + a + 1) / (b + C.sum(0)), C.shape))


# ---- (14), (15) ----------------------------------------------------------------------------------


def two_detectors():
    """Cubes of two detectors on one scan."""
    rng = np.random.default_rng(5)
    C, S1, S2 = rng.random((30, 2)), rng.random((12, 2)), rng.random((9, 2))
    N = 0.05 * rng.standard_normal((30, 2))
    eels = (C + N) @ S1.T + 0.01 * rng.standard_normal((30, 12))
    edxs = C @ S2.T + 0.01 * rng.standard_normal((30, 9))
    return (
        fu.Dataset("eels", eels.reshape(*PIXELS, 12)),
        fu.Dataset("edxs", edxs.reshape(*PIXELS, 9)),
    )


def test_eq_14_as_printed():
    eels, edxs = two_detectors()
    X1, X2 = eels.matrix.numpy(), edxs.matrix.numpy()
    model = models.SoftlyCoupled(eels, edxs, 2)
    rng = np.random.default_rng(6)
    model.N = rng.standard_normal((30, 2))
    C, N, S1, S2 = (model.factors[n].detach().numpy() for n in ("C", "N", "S_eels", "S_edxs"))
    lam, gamma = 0.5, 3.0
    printed = (
        np.linalg.norm(X1 - (C + N) @ S1.T) ** 2
        + lam * np.linalg.norm(X2 - C @ S2.T) ** 2
        + gamma * np.linalg.norm(N)
    )
    # fits are likelihoods, ½‖·‖²: λ stays, γ halves
    loss = Frobenius(eels) + lam * Frobenius(edxs) + gamma / 2 * Norm("N")
    assert_allclose(2 * value(loss, model), printed)
    squared = Frobenius(eels) + lam * Frobenius(edxs) + SquaredNorm("N", 0.1)
    expected = printed - gamma * np.linalg.norm(N) + np.sum(N**2) / 0.1**2
    assert_allclose(2 * value(squared, model), expected)


def fit_eq_14(gamma):
    """N under γ‖N‖, and ∂fit/∂N there."""
    eels, edxs = two_detectors()
    loss = Frobenius(eels) + Frobenius(edxs) + gamma * Norm("N")
    result = fu.fit(
        models.SoftlyCoupled(eels, edxs, 2), loss, solver=TIGHT, starts=3, progress=False
    )
    C, N, S1 = (result.factors[n] for n in ("C", "N", "S_eels"))
    return N, ((C + N) @ S1.T - eels.matrix.numpy()) @ S1


def test_eq_14_a_large_norm_switches_the_deviation_off_exactly():
    N, _ = fit_eq_14(1e3)
    assert not N.any()


def test_eq_14_the_deviation_is_off_if_and_only_if_the_fits_pull_less_than_its_weight():
    """N = 0 is kept where ‖∂fit/∂N‖_F ≤ γ, else γ N / ‖N‖_F = −∂fit/∂N."""
    _, slope = fit_eq_14(1e3)
    pull = np.linalg.norm(slope)
    off, _ = fit_eq_14(1.2 * pull)
    assert np.linalg.norm(off) < 1e-9
    on, slope = fit_eq_14(0.5 * pull)
    assert np.linalg.norm(on) > 1e-3
    assert_allclose(slope, -0.5 * pull * on / np.linalg.norm(on), atol=1e-4 * pull)


def test_eq_15_as_printed():
    rng = np.random.default_rng(7)
    energy = 100 + 5.0 * np.arange(CHANNELS)
    axes = ("y", "x", fu.Axis("energy loss", values=energy, units="eV"))
    raw = fu.Dataset("raw", rng.random((*PIXELS, CHANNELS)) + 1, axes=axes)
    net = fu.Dataset("net", rng.random((*PIXELS, CHANNELS)), axes=axes)
    model = models.WithBackground(raw, net, 2)
    A, r = np.array([2.0, 0.5]), np.array([3.0, 2.0])
    model.N = A * (energy[:, None] / 100) ** -r  # A E^(−r)
    C, S, N = (model.factors[n].detach().numpy() for n in "CSN")
    assert_allclose(N, A * (energy[:, None] / 100) ** -r)
    gamma = 3.0
    printed = (
        np.linalg.norm(raw.matrix.numpy().T - (S + N) @ C.T) ** 2
        + np.linalg.norm(net.matrix.numpy().T - S @ C.T) ** 2
        + gamma * np.linalg.norm(N)
    )
    loss = Frobenius(raw) + Frobenius(net) + gamma / 2 * Norm("N")
    assert_allclose(2 * value(loss, model), printed)


# ---- further terms -------------------------------------------------------------------------------


def test_poisson_is_the_sum_of_mean_less_count_times_log_mean():
    counts = np.random.default_rng(8).poisson(0.7, (*PIXELS, CHANNELS))
    mask = np.random.default_rng(9).random(counts.shape) < 0.2
    for options in ({}, {"mask": mask}, {"mask": np.arange(CHANNELS) == 3}):
        data = fu.Dataset("a", counts, **options)
        model, C, S = at_point(data)
        M = (C @ S.T).reshape(counts.shape)
        terms = M - counts * np.log(M)
        expected = np.where(options.get("mask", False), 0, terms).sum()
        assert_allclose(value(Poisson(data), model), expected)


def test_poisson_gradient_and_stationary_point():
    """∂/∂C = 1ᵀS − (X / M) S; at the answer Σ M = Σ X, as any maximum-likelihood fit of counts."""
    counts = np.random.default_rng(8).poisson(3, (*PIXELS, CHANNELS))
    data = fu.Dataset("a", counts)
    X = counts.reshape(30, CHANNELS)
    model, C, S = at_point(data)
    by_C, by_S = gradients(Poisson(data), model)
    assert_allclose(by_C, (1 - X / (C @ S.T)) @ S)
    assert_allclose(by_S, (1 - X / (C @ S.T)).T @ C)
    C, S = fitted(models.NMF(data, K), Poisson(data))
    assert_allclose((C @ S.T).sum(), X.sum(), rtol=1e-6)


def test_gaussian_is_the_likelihood_at_its_best_noise_level():
    mask = np.random.default_rng(9).random((*PIXELS, CHANNELS)) < 0.2
    data = dataset(mask=mask)
    model, C, S = at_point(data)
    squares = ((mixture() - (C @ S.T).reshape(mask.shape)) ** 2)[~mask]
    n, variance = squares.size, squares.mean()
    expected = n / 2 * np.log(variance) + squares.sum() / (2 * variance)
    assert_allclose(value(Gaussian(data), model), expected)
    assert_allclose(value(Gaussian(data), model), n / 2 * (np.log(variance) + 1))
    by_C, _ = gradients(Gaussian(data), model)
    fit_C, _ = gradients(Frobenius(data), model)
    assert_allclose(by_C, fit_C / variance)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_smoothness_is_the_sum_of_squared_differences_with_free_ends(order):
    model, _, S = at_point(dataset())
    D = np.eye(CHANNELS)
    for _ in range(order):
        D = D[1:] - D[:-1]
    assert_allclose(value(Smoothness("S", order=order), model), 0.5 * np.sum((D @ S) ** 2))


def test_smoothness_of_order_n_is_free_for_polynomials_below_n():
    model, _, _ = at_point(dataset())
    line = np.stack([np.arange(CHANNELS), np.ones(CHANNELS), 3 + np.arange(CHANNELS)], 1)
    model.S = line
    assert value(Smoothness("S", order=2), model) < 1e-20
    assert value(Smoothness("S"), model) > 1e-3


def test_spatial_smoothness_is_the_graph_laplacian_of_the_scan():
    model, C, _ = at_point(dataset())

    def path(n):
        D = np.eye(n)[1:] - np.eye(n)[:-1]
        return D.T @ D

    ny, nx = PIXELS
    L = np.kron(path(ny), np.eye(nx)) + np.kron(np.eye(ny), path(nx))
    assert_allclose(value(SpatialSmoothness("C"), model), 0.5 * np.trace(C.T @ L @ C))


def test_norms_of_a_factor_and_of_a_function_of_the_model():
    model, C, S = at_point(dataset())
    assert_allclose(value(Norm("C"), model), np.linalg.norm(C))
    assert_allclose(value(SquaredNorm("C", 0.2), model), 0.5 * np.sum((C / 0.2) ** 2))
    assert_allclose(value(Norm(lambda m: m.S[:, :2]), model), np.linalg.norm(S[:, :2]))


def test_a_loss_is_the_weighted_sum_of_its_terms():
    data = dataset()
    model, _, _ = at_point(data)
    terms = Frobenius(data), Norm("C"), SquaredNorm("S")
    values = [value(t, model) for t in terms]
    loss = 2 * (terms[0] + 0.5 * terms[1]) + 3.0 * terms[2]
    assert_allclose(value(loss, model), 2 * values[0] + values[1] + 3 * values[2])
    assert str(loss) == "2 * Frobenius(a) + Norm('C') + 3 * SquaredNorm('S', 1)"


def test_the_whole_loss_is_stationary_where_a_fit_ends():
    """KKT of fit + penalties: no free entry has a slope, no entry at 0 pulls downwards."""
    data = dataset()
    model = Bilinear(data, C=[NonNegative()], S=[NonNegative(), UnitColumns()])
    loss = Frobenius(data) + 0.05 * SpatialSmoothness("C") + 0.1 * SquaredNorm("C")
    C, S = fitted(model, loss)
    model.C, model.S = C, S
    by_C, by_S = gradients(loss, model)
    by_S = by_S - S * (S * by_S).sum(0)  # along the sphere
    scale = np.abs(mixture()).sum()
    for factor, slope in ((C, by_C), (S, by_S)):
        assert_allclose(slope[factor > 1e-9], 0, atol=1e-6 * scale)
        assert (slope[factor <= 1e-9] > -1e-6 * scale).all()

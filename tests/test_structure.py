"""Terms and constraints of structure: their equations, their minima, and what they are good for."""

from copy import deepcopy
from math import inf

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from sklearn.decomposition import NMF
from torch.nn.utils import parameters_to_vector, vector_to_parameters

import fusion as fu
from fusion.constraints import (
    Absent,
    Monotone,
    NonNegative,
    Simplex,
    Unimodal,
    UnitColumns,
    UnitNorm,
)
from fusion.engine.objective import Objective
from fusion.losses import L1, BetaDivergence, Frobenius, NearPowerLaw, Poisson, TotalVariation
from tests.helpers.planted_factors import Bilinear, pure

TOLD = {"progress": False, "starts": 2}
ENERGY = fu.Axis("energy loss", 5.0, 100.0, units="eV")
E = 100 + 5.0 * np.arange(40)


def noisy(X, level, seed=0, **options):
    rng = np.random.default_rng(seed)
    return fu.Dataset("x", X + level * rng.standard_normal(X.shape), **options)


def fitted(model, loss, **options):
    return fu.fit(model, loss, **(TOLD | options))


def of(term, model):
    """Its value, a number."""
    with torch.no_grad():
        return float(term(model))


def gained(result, loss):
    """Share of the loss that many steps of L-BFGS-B on the raw variables still take off."""
    model = deepcopy(result.model)
    lower, raws = Objective(model, loss).lower().tolist(), list(model.parameters())

    def value(x):
        vector_to_parameters(torch.from_numpy(x), raws)
        total = loss(model)
        made = torch.autograd.grad(total, raws, allow_unused=True)
        grads = [torch.zeros_like(r) if g is None else g for r, g in zip(raws, made, strict=True)]
        return float(total.detach()), parameters_to_vector(grads).numpy()

    start = parameters_to_vector(raws).detach().numpy()
    bounds = [(None if low == -inf else low, None) for low in lower]
    options = {"maxiter": 3000, "maxfun": 6000, "ftol": 1e-13, "gtol": 1e-10}
    found = minimize(value, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
    before = value(start)[0]
    return (before - found.fun) / abs(before)


def counts(seed=0, shape=(6, 7, 20), K=3):
    rng = np.random.default_rng(seed)
    mean = pure(rng, shape[0] * shape[1], K) @ pure(rng, shape[2], K).T
    return mean.reshape(shape), rng


# ---- equations -----------------------------------------------------------------------------------


def literal_beta(X, M, beta):
    if beta == 1:
        return np.sum(np.where(X > 0, X * np.log(np.where(X > 0, X, 1) / M), 0) - X + M)
    if beta == 0:
        return np.sum(X / M - np.log(X / M) - 1)
    top = X**beta + (beta - 1) * M**beta - beta * X * M ** (beta - 1)
    return np.sum(top / (beta * (beta - 1)))


@pytest.mark.parametrize("beta", [-0.5, 0, 0.5, 1, 1.5, 2, 3])
def test_beta_divergence_is_the_literal_sum(beta):
    mean, rng = counts()
    X = rng.poisson(5 * mean) + (beta <= 0)
    data = fu.Dataset("x", X.astype(float))
    model = fu.models.NMF(data, 2)
    M = (model.C @ model.S.T).detach().numpy().reshape(X.shape)
    assert of(BetaDivergence(data, beta), model) == pytest.approx(literal_beta(X, M, beta))


def test_beta_divergence_is_least_squares_at_two_and_counts_at_one():
    mean, rng = counts()
    X = rng.poisson(5 * mean).astype(float)
    data, weighed = fu.Dataset("x", X), fu.Dataset("x", X, variance=mean + 1)
    model = fu.models.NMF(data, 2)
    for other in (data, weighed):
        assert of(BetaDivergence(other, 2), model) == of(Frobenius(other), model)
    constant = np.sum(np.where(X > 0, X * np.log(np.where(X > 0, X, 1)), 0) - X)
    assert of(BetaDivergence(data, 1), model) - of(Poisson(data), model) == pytest.approx(constant)


@pytest.mark.parametrize("beta", [0.5, 1, 1.5, 2])
def test_beta_divergence_is_that_of_scikit_learn(beta):
    mean, rng = counts()
    X = rng.poisson(5 * mean).reshape(42, 20) + 0.5
    theirs = NMF(3, solver="mu", beta_loss=beta, init="random", random_state=0, tol=0, max_iter=400)
    W = theirs.fit_transform(X)
    data = fu.Dataset("x", X)
    model, loss = Bilinear(data, 3), 1.0 * BetaDivergence(data, beta)
    model.C, model.S = W, theirs.components_.T
    assert of(loss, model) == pytest.approx(theirs.reconstruction_err_**2 / 2)
    assert fitted(fu.models.NMF(data, 3), loss).loss <= of(loss, model) * (1 + 1e-6)


def test_l1_is_the_sum_of_the_entries():
    model = fu.models.NMF(noisy(counts()[0], 0), 2)
    assert of(L1("C"), model) == pytest.approx(model.C.detach().sum().item())


def test_total_variation_is_the_literal_sum_of_gradients():
    model = fu.models.NMF(noisy(counts()[0], 0), 2)
    C = model.C.detach().numpy().reshape(6, 7, 2)
    total = 0.0
    for k in range(2):
        for i in range(6):
            for j in range(7):
                down = C[i + 1, j, k] - C[i, j, k] if i < 5 else 0
                right = C[i, j + 1, k] - C[i, j, k] if j < 6 else 0
                total += np.hypot(down, right)
    smallest = 1e-9
    assert of(TotalVariation("C", smallest=smallest), model) == pytest.approx(total)
    S = model.S.detach().numpy()
    along = np.abs(np.diff(S, axis=0)).sum()
    assert of(TotalVariation("S", smallest=smallest), model) == pytest.approx(along)


def test_near_power_law_is_the_distance_to_the_best_law():
    rng = np.random.default_rng(0)
    data = fu.Dataset("x", rng.random((5, 40)) + 0.1, axes=("x", ENERGY))
    model = Bilinear(data, 4)
    laws = (E[:, None] / 200) ** -np.array([0.5, 3.0, 5.0, 0.0])
    model.S = laws * (1 + 0.2 * rng.standard_normal((40, 4))) + [0, 0, 0, 1] * (E / 200)[:, None]
    total = 0.0
    for f in model.S.detach().numpy().T:

        def distance(r, f=f):
            e = (E / 200) ** -r
            return 0.5 * np.sum((f - max(f @ e, 0) / (e @ e) * e) ** 2)

        best = minimize_scalar(distance, bounds=(0, 10), method="bounded", options={"xatol": 1e-10})
        total += min(best.fun, distance(0.0), distance(10.0))
    assert of(NearPowerLaw("S", 0.5), model) == pytest.approx(total / 0.25, rel=1e-9)


def test_power_laws_cost_nothing_and_nothing_costs_nothing():
    data = fu.Dataset("x", np.ones((5, 40)), axes=("x", ENERGY))
    model = Bilinear(data, 3)
    model.S = (E[:, None] / 200) ** -np.array([0.0, 2.7, 6.0]) * [1, 0, 100]
    assert of(NearPowerLaw("S"), model) < 1e-18


# ---- the default solver ends at a minimum --------------------------------------------------------


def structured():
    """Each piece on a small problem of noise: name → (model, loss)."""
    mean, rng = counts()
    raw = fu.Dataset("x", rng.poisson(4 * mean).astype(float), axes=("y", "x", "E"))
    least = Frobenius(raw)
    positive = fu.Dataset("x", raw.numpy() + 0.5)
    for beta in (0, 0.5, 1, 1.5, 3):
        yield f"beta {beta}", fu.models.NMF(positive, 3), 1.0 * BetaDivergence(positive, beta)
    yield "l1", fu.models.NMF(raw, 3), least + 20.0 * L1("C")
    yield "tv", fu.models.NMF(raw, 3), least + 1.0 * TotalVariation("C")
    unit = [NonNegative(), UnitColumns()]
    yield "tv of spectra", Bilinear(raw, 3, unit), least + 1.0 * TotalVariation("S")
    energies = fu.Dataset("x", raw.numpy(), axes=("y", "x", fu.Axis("energy", 5.0, 100.0)))
    law = 3.0 * NearPowerLaw("S", 2.0)
    yield "power law", Bilinear(energies, 3, unit), Frobenius(energies) + law
    shares = rng.dirichlet([0.5] * 3, 42)
    few = fu.Dataset("x", rng.poisson(10 * shares @ pure(rng, 20).T).astype(float))
    yield "simplex", Bilinear(few, 3, [Simplex()]), 1.0 * Frobenius(few)
    yield "simplex, counts", Bilinear(few, 3, [Simplex()]), 1.0 * Poisson(few)
    for p in (1, 3):
        spectra = [NonNegative(), UnitNorm(p)]
        yield f"norm {p}", Bilinear(raw, 3, [], spectra), least + 10.0 * L1("C")
    yield "rising", Bilinear(raw, 3, [Monotone()], unit), 1.0 * least
    falling = [Monotone(decreasing=True), UnitColumns()]
    yield "falling, unit", Bilinear(raw, 3, [], falling), 1.0 * least
    peaks = [Unimodal([3, 10, 15])]
    yield "peaks", Bilinear(raw, 3, unit, peaks), 1.0 * least
    where = np.arange(42) < 10
    absent = [NonNegative(), UnitColumns(), Absent({0: where, 2: ~where})]
    yield "absent", Bilinear(raw, 3, absent), 1.0 * least


@pytest.mark.parametrize(
    ("model", "loss"), [pytest.param(m, t, id=name) for name, m, t in structured()]
)
def test_the_default_solver_ends_where_l_bfgs_b_gains_nothing(model, loss):
    result = fitted(model, loss, starts=2)
    assert result.solver.startswith("GaussNewton"), result.solver
    assert gained(result, loss) < 1e-4

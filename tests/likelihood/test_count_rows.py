"""Compiled passes over counts against literal NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import xlogy

import fusion as fu
from fusion.algebra.threads import Workers
from fusion.likelihood import count_kernels, count_rows
from fusion.likelihood.compiled_passes import CompiledPasses
from fusion.likelihood.count_newton import newton_rows
from fusion.likelihood.count_rows import CountRows, padded
from fusion.likelihood.data_passes import NonzeroPasses
from fusion.losses.poisson import LOG

pytest.importorskip("numba")
WORKERS = Workers(1)


@pytest.fixture(autouse=True)
def passes_of_their_own(monkeypatch):
    """Kernels for just these components, as of many counts."""
    monkeypatch.setattr(count_rows, "FEW", 0)


def form_of(X, **weights):
    data = fu.Dataset("x", X, **weights)
    return data.form(data.matrix_shape, torch.device("cpu"), torch.float64)


def problem(K, n=40, m=30, level=0.4, seed=0):
    rng = np.random.default_rng(seed)
    L, R = rng.random((n, K)) + 0.05, rng.random((m, K)) + 0.05
    X = rng.poisson(level * L @ R.T / K).astype(float)
    X[3], X[:, 5] = 0, 0
    X[4] = 0
    X[4, 7] = 1e9  # one count of a size of its own
    return X, L, R


def literal(X, W, L, R):
    """(Σ ℓ, gradient, curvature) of −w x ln m by the rows of L."""
    M = L @ R.T
    value = -(W * np.where(X > 0, X * np.log(M), 0)).sum()
    slope, bend = W * X / M, W * X / M**2
    return value, -slope @ R, np.einsum("ij,jk,jl->ikl", bend, R, R)


def test_few_counts_are_read_by_passes_for_any_number_of_components(monkeypatch):
    X, L, R = problem(3)
    rows, both = CountRows(form_of(X)), []
    for few in (0, 2**16):
        monkeypatch.setattr(count_rows, "FEW", few)
        into = np.empty_like(L), np.empty((len(L), 6))
        loss = rows.bend(0, L, R, WORKERS, into, loss=True)
        both.append([np.array(loss), *into, *rows.slopes(L, R, WORKERS)])
        both[-1] += rows.products(L, R, L + 1, R + 1, WORKERS)
    assert rows._passes(3) is count_kernels.kernels(0)
    for own, any_of in zip(*both, strict=True):
        np.testing.assert_allclose(any_of, own, rtol=1e-11)


@pytest.mark.parametrize("K", [1, 2, 3, 5, 9, 26])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_and_curvature_are_those_of_the_formula(K, weighted):
    X, L, R = problem(K)
    W = np.ones(X.shape)
    rows = CountRows(form_of(X))
    if weighted:
        form = form_of(X)
        rng = np.random.default_rng(1)
        r, c = rng.random(len(X)), rng.random(X.shape[1])
        r[2] = c[4] = 0
        form.weights = type(form.weights)(torch.from_numpy(r), torch.from_numpy(c))
        W, rows = r[:, None] * c, CountRows(form)
    for j, (mine, other, x, w) in enumerate(((L, R, X, W), (R, L, X.T, W.T))):
        P = padded(mine)
        k = P.shape[1]
        into = np.empty_like(P), np.empty((len(P), k * (k + 1) // 2))
        value = rows.bend(j, P, padded(other), WORKERS, into, loss=True)
        expected, gradient, curvature = literal(x, w, mine, other)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(into[0][:, :K], gradient, rtol=1e-11, atol=1e-300)
        full = np.zeros((len(P), k, k))
        full[:, *np.tril_indices(k)] = into[1]
        np.testing.assert_allclose(
            np.tril(full)[:, :K, :K], np.tril(curvature), rtol=1e-11, atol=1e-300
        )
        assert not into[0][:, K:].any()
        assert not full[:, K:].any()


@pytest.mark.parametrize("K", [2, 5, 27])
def test_compiled_passes_give_what_those_of_torch_give(K):
    X, L, R = problem(K, level=0.3)
    form, factors = form_of(X), [torch.from_numpy(F) for F in (L, R)]
    compiled, plain = CompiledPasses(form), NonzeroPasses(form, LOG)
    directions = [torch.randn_like(F) for F in factors]
    pairs = [
        (passes.total(*factors), passes.evaluate(*factors), passes.bend(*factors), passes)
        for passes in (compiled, plain)
    ]
    (a, *mine), (b, *others) = ((t, *e) for t, e, _, _ in pairs)
    torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    for (_, _, bend, passes), kept in zip(pairs, (mine, others), strict=True):
        kept += passes.product(*factors, *directions, bend)
        kept += passes.product(*factors, *directions, bend, whole=True)
        kept += passes.blocks(*factors, bend)
    for one, other in zip(mine, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.01, 7.0])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sweeps", [1, 6, 50])
def test_a_newton_step_never_raises_the_loss_of_a_row(scale, seed, sweeps):
    rng = np.random.default_rng(seed)
    K = 3
    X, L, R = problem(K, n=400, level=0.2, seed=seed)
    L = L * 10.0 ** rng.uniform(-6, 6, L.shape)  # far from where they belong, entry by entry
    L[::7, 0] = 0
    form = form_of(X)
    form.weights = type(form.weights)(torch.full((len(X),), scale, dtype=torch.float64))
    rows = CountRows(form)
    assert rows.least == scale

    def loss(F):
        M = F @ R.T
        return scale * (M - xlogy(X, M)).sum(1)

    for _ in range(30):
        into = np.empty_like(L), np.empty((len(L), K * (K + 1) // 2))
        rows.bend(0, L, R, WORKERS, into)
        into[0][:] += scale * R.sum(0)
        before, new = loss(L), newton_rows(L, into, rows.least, WORKERS, sweeps=sweeps)
        after = loss(new)
        assert (new >= 0).all()
        assert (after <= before + 1e-12 * np.abs(before) + 1e-300).all()
        L = new
    assert not L[3].any()  # without a count


def test_one_count_alone_is_not_predicted_as_nothing():
    # all entries to zero would be as far as its likelihood reaches, to rounding
    for seed in range(50):
        rng = np.random.default_rng(seed)
        x, R = rng.random((1, 3)), rng.random((1, 3))
        form = form_of(np.ones((1, 1, 1)))
        into = np.empty((1, 3)), np.empty((1, 6))
        CountRows(form).bend(0, x, R, WORKERS, into)
        into[0][:] += 100.0
        new = newton_rows(x, into, 1.0, WORKERS)
        assert new.sum() > 0


@pytest.mark.parametrize("count", [2, 5])
def test_the_answer_does_not_depend_on_the_number_of_threads(count, monkeypatch):
    monkeypatch.setattr("fusion.likelihood.count_rows.LEAST", 10)
    X, L, R = problem(3, n=300)
    rows, answers = CountRows(form_of(X)), []
    for workers in (WORKERS, Workers(count)):
        with workers:
            into = np.empty_like(L), np.empty((len(L), 6))
            value = rows.bend(0, L, R, workers, into, loss=True)
            answers.append((value, *into))
    assert len(rows.sides[0].bounds) > 10
    for one, other in zip(*answers, strict=True):
        assert np.array_equal(one, other)


def test_few_sizes_are_compiled():
    assert [count_kernels.padded(K) for K in range(1, 10)] == [1, 2, 3, 4, 6, 6, 8, 8, 12]
    assert count_kernels.padded(31) == 31


def test_the_logarithm_of_means_is_exact_to_rounding():
    rng = np.random.default_rng(0)
    means = np.concatenate([10.0 ** rng.uniform(-290, 290, 4000), 1 + rng.uniform(-1e-6, 1e-6, 99)])
    means = np.concatenate([means, np.sqrt(0.5) * np.array([1 - 1e-16, 1, 1 + 1e-15]), [1.0, 2.0]])
    for mean in np.array_split(means, 50):
        rows = CountRows(form_of(np.ones((len(mean), 1))))
        made = rows.loss(mean[:, None].copy(), np.ones((1, 1)), WORKERS)
        size = np.abs(np.log(mean)).sum()
        np.testing.assert_allclose(made, -np.log(mean).sum(), rtol=0, atol=1e-15 * size + 1e-16)


@pytest.mark.parametrize("mean", [0.0, np.inf, np.nan])
def test_counts_where_none_can_be_are_impossible(mean):
    rows = CountRows(form_of(np.ones((3, 2))))
    L = np.array([[1.0], [mean], [2.0]])
    assert rows.loss(L, np.ones((2, 1)), WORKERS) == np.inf
    assert rows.slopes(L, np.ones((2, 1)), WORKERS)[0] == np.inf

"""Standard errors: against a literal inverse, by every way, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import Fixed, NonNegative, Softplus, UnitColumns
from fusion.engine import bordered_inverse, covariance
from fusion.likelihood import count_rows
from fusion.losses import Frobenius, Gaussian, Poisson, SquaredNorm
from fusion.models import NMF, SharedMaps
from tests.helpers.literal_covariance import jacobian
from tests.helpers.planted_factors import noisy_dataset, softly_coupled, unit

QUANTILE = 1.959964
K = 3


def selective(rng: np.random.Generator, n: int) -> np.ndarray:
    """A matrix (n, K) ≥ 0, half its rows pure: what is 0 there fixes the answer."""
    values, rows = 0.1 + rng.random((n, K)), np.arange(n // 2)
    values[rows] = (1 + rng.random((len(rows), 1))) * np.eye(K)[rows % K]
    return values


def gauged(C: np.ndarray, S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The amount in the maps, unit columns in the spectra."""
    return C * np.linalg.norm(S, axis=0), unit(S)


def fitted(model: fu.Model, loss, truth=None, **options) -> fu.Result:
    """A fit; from the truth where that is given."""
    told = {"starts": 1, "progress": False} | options
    return fu.fit(model, loss, init=None if truth is None else [truth], **told)


def nmf_result(noise: float = 0.01, pixels: int = 30, channels: int = 20, **options) -> fu.Result:
    rng = np.random.default_rng(1)
    C, S = gauged(selective(rng, pixels), selective(rng, channels))
    data = noisy_dataset(rng, "a", C @ S.T, noise, **options)
    return fitted(NMF(data, K), Frobenius(data), {"C": C, "S": S})


def literal(C: np.ndarray, S: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Standard errors of (C, S) by a dense inverse on the directions that may vary.

    M_ij = Σ_k C_ik S_jk; entries at 0 are held, columns of S move at right angles to themselves.
    """
    (n, K), J = C.shape, jacobian(C, S)
    H = J.T @ (D.reshape(-1, 1) * J)
    held = np.concatenate([C.ravel(), S.ravel()]) <= 0
    rules = [np.eye(len(H))[held]]
    for k in range(K):
        along = np.zeros_like(S)
        along[:, k] = S[:, k]
        rules.append(np.concatenate([np.zeros(n * K), along.ravel()])[None])
    A = np.concatenate(rules)
    Z = np.linalg.svd(A)[2][len(A) :].T
    made = np.sqrt(np.diag(Z @ np.linalg.inv(Z.T @ H @ Z) @ Z.T).clip(0))
    return np.where(held, np.nan, made)


def flat(errors: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([e.ravel() for e in errors.values()])


@pytest.mark.parametrize("kind", ["variance", "estimated", "poisson"])
def test_errors_are_those_of_the_literal_inverse(kind):
    rng = np.random.default_rng(0)
    C, S = gauged(selective(rng, 14), selective(rng, 11))
    mean = C @ S.T * 200
    if kind == "poisson":
        data = fu.Dataset("a", rng.poisson(mean).astype(float))
        result = fitted(NMF(data, K), Poisson(data), {"C": 200 * C, "S": S})
    else:
        v = 1 + rng.random(mean.shape)
        X = mean + np.sqrt(v) * rng.standard_normal(mean.shape)
        data = fu.Dataset("a", X, variance=v if kind == "variance" else None)
        result = fitted(NMF(data, K), Frobenius(data), {"C": 200 * C, "S": S})
    C, S = result["C"], result["S"]
    X, M = data.numpy(), C @ S.T
    if kind == "poisson":
        D = np.divide(X, M**2, out=np.zeros_like(X), where=X > 0)
    elif kind == "variance":
        D = 1 / v
    else:
        free = (C > 0).sum() + (S > 0).sum() - K
        D = np.full_like(X, (X.size - free) / ((X - M) ** 2).sum())
    np.testing.assert_allclose(flat(result.errors()), literal(C, S, D), rtol=1e-5)


@pytest.mark.parametrize("loss", [Frobenius, Poisson])
def test_large_problems_have_the_errors_of_the_dense_inverse(monkeypatch, loss):
    rng = np.random.default_rng(2)
    C, S = gauged(selective(rng, 60), selective(rng, 25))
    data = fu.Dataset("a", rng.poisson(100 * C @ S.T).astype(float))
    result = fitted(NMF(data, K), loss(data), {"C": 100 * C, "S": S})
    dense = flat(result.errors())
    monkeypatch.setattr(covariance, "DENSE", 0)
    monkeypatch.setattr(covariance, "BORDER", 100)  # fewer than all, more than those of S
    np.testing.assert_allclose(flat(result.errors()), dense, rtol=2e-3)


def test_rows_of_two_factors_that_meet_have_the_errors_of_the_dense_inverse(monkeypatch):
    """C and N of eq. (14), C with unit columns: neither is a tensor of the first prediction."""
    case = softly_coupled(0.01)
    result = fitted(case.model, case.loss)
    dense = flat(result.errors())
    monkeypatch.setattr(covariance, "DENSE", 0)
    monkeypatch.setattr(covariance, "BORDER", 160)
    np.testing.assert_allclose(flat(result.errors()), dense, rtol=2e-3)


def test_what_is_too_large_is_refused_with_its_sizes(monkeypatch):
    monkeypatch.setattr(covariance, "DENSE", 0)
    monkeypatch.setattr(covariance, "BORDER", 10)
    rng = np.random.default_rng(2)
    data = fu.Dataset(
        "a", rng.poisson(50 * selective(rng, 40) @ selective(rng, 30).T).astype(float)
    )
    with pytest.raises(ValueError, match="free numbers"):
        fitted(NMF(data, K), Poisson(data)).errors()


def coverage(simulate, seeds: int) -> float:
    """Share of entries away from the bound whose 95 % interval holds the truth."""
    inside = []
    for seed in range(seeds):
        model, loss, truth = simulate(np.random.default_rng([7, seed]))
        result = fitted(model, loss, truth)
        errors = result.errors()
        for name, value in truth.items():
            assert not np.isinf(errors[name]).any()
            away = value > 4 * np.where(np.isnan(errors[name]), np.inf, errors[name])
            hit = np.abs(result[name] - value) < QUANTILE * errors[name]
            inside.append(hit[away])
    return float(np.concatenate(inside).mean())


def simulate_nmf(rng: np.random.Generator):
    """One data set whose noise is to be found."""
    fixed = np.random.default_rng(3)
    C, S = gauged(selective(fixed, 40), selective(fixed, 30))
    data = noisy_dataset(rng, "a", C @ S.T, 0.02)
    return NMF(data, K), 1.0 * Frobenius(data), {"C": C, "S": S}


def simulate_coupled(rng: np.random.Generator):
    """Shared maps, noise levels a factor of ten apart, weights that know nothing of it."""
    fixed = np.random.default_rng(4)
    C, S1, S2 = selective(fixed, 40), selective(fixed, 30), selective(fixed, 25)
    C, S1, S2 = *gauged(C, S1), S2 / np.linalg.norm(S1, axis=0)
    a, b = noisy_dataset(rng, "a", C @ S1.T, 0.01), noisy_dataset(rng, "b", C @ S2.T, 0.03)
    model = SharedMaps(a, b, K=K)
    return model, Frobenius(a) + 0.5 * Frobenius(b), {"C": C, "S_a": S1, "S_b": S2}


def simulate_poisson(rng: np.random.Generator):
    """Counts, some hundred an entry."""
    fixed = np.random.default_rng(5)
    C, S = gauged(selective(fixed, 40), selective(fixed, 30))
    C = C * 300 / (C @ S.T).mean()
    data = fu.Dataset("a", rng.poisson(C @ S.T).astype(float))
    return NMF(data, K), 1.0 * Poisson(data), {"C": C, "S": S}


@pytest.mark.parametrize("simulate", [simulate_nmf, simulate_coupled, simulate_poisson])
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent(simulate):
    assert 0.93 < coverage(simulate, 15) < 0.97


def test_the_noise_of_a_gaussian_is_that_of_a_frobenius_without_variance():
    rng = np.random.default_rng(6)
    C, S = gauged(selective(rng, 30), selective(rng, 20))
    data = noisy_dataset(rng, "a", C @ S.T, 0.02)
    both = [fitted(NMF(data, K), loss(data), {"C": C, "S": S}) for loss in (Frobenius, Gaussian)]
    first, second = (flat(result.errors()) for result in both)
    np.testing.assert_allclose(second, first, rtol=1e-2)


def test_errors_scale_with_the_data_and_not_with_the_weight():
    rng = np.random.default_rng(6)
    C, S = gauged(selective(rng, 30), selective(rng, 20))
    X = noisy_dataset(rng, "a", C @ S.T, 0.02).numpy()
    made = []
    for scale, weight in ((1.0, 1.0), (1e4, 1.0), (1.0, 7.0)):
        data = fu.Dataset("a", scale * X)
        result = fitted(NMF(data, K), weight * Frobenius(data), {"C": scale * C, "S": S})
        made.append(result.errors()["C"] / scale)
    np.testing.assert_allclose(made[1], made[0], rtol=1e-3)
    np.testing.assert_allclose(made[2], made[0], rtol=1e-3)


def test_a_belief_makes_errors_smaller():
    rng = np.random.default_rng(8)
    C, S = gauged(selective(rng, 30), selective(rng, 20))
    X = C @ S.T + 0.3 * rng.standard_normal((30, 20))
    data = fu.Dataset("a", X, variance=0.3**2)
    free, held = (
        fitted(NMF(data, K), loss, {"C": C, "S": S}).errors()["C"]
        for loss in (1.0 * Frobenius(data), Frobenius(data) + SquaredNorm("C", 1.0))
    )
    assert np.nanmean(held) < 0.97 * np.nanmean(free)


def test_what_is_known_has_no_error_and_what_is_at_the_bound_or_masked_none_to_tell():
    rng = np.random.default_rng(9)
    C, S = gauged(selective(rng, 30), selective(rng, 20))
    mask = np.zeros(30, dtype=bool)
    mask[20] = True
    data = noisy_dataset(rng, "a", C @ S.T, 0.02, mask=mask)

    class OneKnown(NMF):
        def __init__(self):
            super().__init__(data, K)
            known = np.full_like(S, np.nan)
            known[:, 0] = S[:, 0]
            self.S = fu.Factor((data.channels, K), NonNegative(), UnitColumns(), Fixed(known))

    result = fitted(OneKnown(), Frobenius(data), {"C": C, "S": S})
    errors = result.errors()
    assert (errors["S"][:, 0] == 0).all()
    assert np.isnan(errors["C"][20]).all()
    held = result["C"] == 0
    assert held.any()
    assert np.isnan(errors["C"][held]).all()
    assert (errors["C"][~held & ~np.isnan(result["C"])] > 0).all()


def test_a_smooth_constraint_has_the_errors_of_the_bound():
    rng = np.random.default_rng(10)
    C, S = gauged(0.5 + selective(rng, 30), selective(rng, 20))
    data = noisy_dataset(rng, "a", C @ S.T, 0.01)

    class Smooth(NMF):
        def __init__(self):
            super().__init__(data, K)
            self.C = fu.Factor((data.pixels, K), Softplus())
            self.S = fu.Factor((data.channels, K), NonNegative(), UnitColumns(), Fixed(S))

    class Bound(Smooth):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((data.pixels, K), NonNegative())

    smooth, bound = (
        fitted(model(), Frobenius(data), {"C": C, "S": S}).errors()["C"]
        for model in (Smooth, Bound)
    )
    np.testing.assert_allclose(smooth, bound, rtol=1e-4)


def test_what_the_data_leave_open_is_infinite_and_said():
    rng = np.random.default_rng(11)
    C, S = gauged(1 + rng.random((30, 2)), 1 + rng.random((20, 2)))
    data = noisy_dataset(rng, "a", C @ S.T, 1e-3)
    result = fitted(NMF(data, 2), Frobenius(data), {"C": C, "S": S}, max_steps=3)
    with pytest.warns(UserWarning, match="leave entries open"):
        errors = result.errors()
    assert np.isinf(errors["C"]).mean() > 0.9


def test_correlated_channels_are_told():
    rng = np.random.default_rng(12)
    C, S = gauged(selective(rng, 40), selective(rng, 60))
    noise = 0.05 * rng.standard_normal((40, 62))
    data = fu.Dataset("a", C @ S.T + noise[:, 2:] + noise[:, 1:-1] + noise[:, :-2])
    result = fitted(NMF(data, K), Frobenius(data), {"C": C, "S": S})
    with pytest.warns(UserWarning, match="off together"):
        result.errors()


def test_without_more_data_than_numbers_the_noise_cannot_be_found():
    rng = np.random.default_rng(13)
    data = fu.Dataset("a", rng.random((4, 4)) + 1)
    with pytest.raises(ValueError, match="nothing is left to find the noise from"):
        fitted(NMF(data, 4), Frobenius(data)).errors()


def test_a_loaded_result_says_that_it_has_no_model(tmp_path):
    nmf_result().save(tmp_path / "r.npz")
    with pytest.raises(ValueError, match="fit once more"):
        fu.Result.load(tmp_path / "r.npz").errors()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_errors_on_a_gpu_are_those_on_the_cpu():
    here = nmf_result()
    there = fu.fit(
        here.model, here.minimised, init=fu.Current(), starts=1, device="cuda", progress=False
    )
    np.testing.assert_allclose(flat(there.errors()), flat(here.errors()), rtol=1e-2)


def test_errors_of_counts_count_by_count_are_those_of_all_products(monkeypatch):
    rng = np.random.default_rng(5)
    C, S = gauged(selective(rng, 80), selective(rng, 20))
    data = fu.Dataset("a", rng.poisson(40 * C @ S.T * (rng.random((80, 20)) < 0.4)))
    result = fitted(NMF(data, K), Poisson(data), {"C": 40 * C, "S": S})
    monkeypatch.setattr(covariance, "DENSE", 0)
    monkeypatch.setattr(count_rows, "LEAST", 50)  # rows in several ranges
    meetings, count_meeting = [], bordered_inverse.count_meeting

    def kept(*given):
        meetings.append(count_meeting(*given))
        return meetings[-1]

    monkeypatch.setattr(bordered_inverse, "count_meeting", kept)
    sparse = fu.standard_errors(result)
    assert meetings[-1] is not None
    monkeypatch.setattr(bordered_inverse, "count_meeting", lambda *_: None)
    dense = fu.standard_errors(result)
    for name in ("C", "S"):
        np.testing.assert_allclose(sparse[name], dense[name], rtol=1e-6)


def test_one_pixel_has_no_neighbours_and_no_noise_to_find():
    data = fu.Dataset("eels", np.random.default_rng(0).poisson(9.0, (1, 1, 30)))
    for K, loss in ((1, Frobenius), (1, Poisson)):
        result = fu.fit(NMF(data, K), loss(data), starts=1, progress=False)
        if loss is Frobenius:
            with pytest.raises(ValueError, match="30 values and 30 free numbers: nothing is left"):
                result.errors()
            known = data.with_variance(9.0)
            result = fu.fit(NMF(known, K), loss(known), starts=1, progress=False)
        assert set(result.errors()) == {"C", "S"}


def test_with_the_maps_held_the_errors_of_spectra_are_those_of_least_squares():
    rng = np.random.default_rng(0)
    C, S = rng.random((90, 2)) + 0.1, rng.random((25, 2)) + 0.5
    data = fu.Dataset("a", C @ S.T + 0.01 * rng.normal(size=(90, 25)), variance=np.full(25, 1e-4))
    result = fu.fit(fu.models.NMF(data, 2), Frobenius(data), starts=2, progress=False)
    held = result.errors(held=["C"], progress=False)
    gram = np.linalg.inv(result["C"].T @ result["C"])
    assert np.all(held["C"] == 0)
    inside = np.isfinite(held["S"])
    expected = np.broadcast_to(0.01 * np.sqrt(np.diag(gram)), (25, 2))
    # unit columns take one direction of every column away
    np.testing.assert_allclose(held["S"][inside], expected[inside], rtol=0.15)
    assert np.all(held["S"] <= result.errors(progress=False)["S"] * (1 + 1e-9))
    with pytest.raises(ValueError, match=r"held=\['D'\].*no factor 'D'; the result has C, S"):
        result.errors(held=["D"], progress=False)


@pytest.mark.parametrize("loss", [Frobenius, Gaussian])
def test_with_spectra_of_unit_columns_held_the_errors_of_maps_are_those_of_least_squares(loss):
    rng = np.random.default_rng(0)
    C, S = rng.random((30, 2)) + 5, rng.random((25, 2))
    data = fu.Dataset("a", C @ S.T + 0.01 * rng.normal(size=(30, 25)), variance=np.full(25, 1e-4))
    result = fu.fit(fu.models.NMF(data, 2), loss(data), starts=2, progress=False)
    held = result.errors(held=["S"], progress=False)
    assert np.all(held["S"] == 0)
    size = 1.0 if loss is Frobenius else np.sqrt(result.data["a"].chi2)
    expected = 0.01 * size * np.sqrt(np.diag(np.linalg.inv(result["S"].T @ result["S"])))
    np.testing.assert_allclose(held["C"], np.broadcast_to(expected, (30, 2)), rtol=0.05)

"""Covariances of sums over a factor: against a literal inverse, by every way."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.engine import covariance
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF
from fusion.uncertainty.sums import sums_covariance
from tests.helpers.literal_covariance import literal_covariance
from tests.helpers.planted_factors import Bilinear, softly_coupled, unit

K = 3


def selective(rng: np.random.Generator, n: int) -> np.ndarray:
    """A matrix (n, K) ≥ 0, half its rows pure: what is 0 there fixes the answer."""
    values, rows = 0.1 + rng.random((n, K)), np.arange(n // 2)
    values[rows] = (1 + rng.random((len(rows), 1))) * np.eye(K)[rows % K]
    return values


def counted(loss, pixels: int = 60, channels: int = 25) -> fu.Result:
    rng = np.random.default_rng(2)
    C, S = selective(rng, pixels), selective(rng, channels)
    C, S = C * np.linalg.norm(S, axis=0), unit(S)
    counts = rng.poisson(100 * C @ S.T).astype(float)
    data = fu.Dataset("a", counts, variance=None if loss is Poisson else 100 * C @ S.T + 1)
    init = [{"C": 100 * C, "S": S}]
    return fu.fit(NMF(data, K), loss(data), init=init, starts=1, progress=False)


def windows(shape: tuple[int, ...], count: int = 5) -> np.ndarray:
    return np.random.default_rng(8).standard_normal((count, *shape))


def test_the_covariance_of_sums_is_that_of_the_literal_inverse():
    result = counted(Frobenius, 14, 11)
    W = windows(result["S"].shape).reshape(5, -1)
    D = 1 / result.minimised.datasets["a"].variance.numpy()
    wanted = W @ literal_covariance(result["C"], result["S"], D) @ W.T
    made = sums_covariance(result, "S", W.reshape(5, *result["S"].shape), progress=False)
    np.testing.assert_allclose(made, wanted, rtol=1e-6, atol=1e-9 * wanted.max())


@pytest.mark.parametrize("loss", [Frobenius, Poisson])
@pytest.mark.parametrize("name", ["C", "S"])
def test_large_problems_have_the_covariances_of_the_dense_inverse(monkeypatch, loss, name):
    result = counted(loss)
    W = windows(result[name].shape)
    dense = sums_covariance(result, name, W, progress=False)
    monkeypatch.setattr(covariance, "DENSE", 0)
    monkeypatch.setattr(covariance, "BORDER", 100)  # fewer than all, more than those of S
    made = sums_covariance(result, name, W, progress=False)
    np.testing.assert_allclose(made, dense, rtol=2e-3, atol=2e-3 * dense.diagonal().min())


def test_sums_of_one_entry_have_the_errors_of_the_entries(monkeypatch):
    """C and N of eq. (14), C with unit columns, spectra of two data sets, whose noise is found."""
    case = softly_coupled(0.01)
    result = fu.fit(case.model, case.loss, starts=1, progress=False)
    monkeypatch.setattr(covariance, "DENSE", 0)
    monkeypatch.setattr(covariance, "BORDER", 160)
    for name in result.factors:
        errors = result.errors(progress=False)[name]
        chosen = np.argwhere(np.isfinite(errors) & (errors > 0))[::37]
        W = np.zeros((len(chosen), *errors.shape))
        W[(np.arange(len(chosen)), *chosen.T)] = 1
        made = np.sqrt(sums_covariance(result, name, W, progress=False).diagonal())
        np.testing.assert_allclose(made, errors[tuple(chosen.T)], rtol=1e-5)


def share_of_four(S: np.ndarray) -> np.ndarray:
    """Derivative by S of the share that the first four channels have of the first spectrum."""
    made, total = np.zeros_like(S), S[:, 0].sum()
    made[:, 0] = (np.arange(len(S)) < 4) / total - S[:4, 0].sum() / total**2
    return made


def test_a_sum_that_the_data_leave_open_is_infinite_and_one_that_they_fix_is_not():
    """Without unit columns the scale is open, a share inside one spectrum is not."""
    rng = np.random.default_rng(3)
    C, S = selective(rng, 30), selective(rng, 12)
    noise = 0.01 * rng.standard_normal((30, 12))
    data = fu.Dataset("a", C @ S.T + noise, variance=np.full((30, 12), 1e-4))
    variances = []
    for model in (Bilinear(data), NMF(data, K)):
        init = [{"C": C * np.linalg.norm(S, axis=0), "S": unit(S)}]
        result = fu.fit(model, Frobenius(data), init=init, starts=1, progress=False)
        S = result["S"]
        whole = np.zeros_like(S)
        whole[:, 0] = 1
        W = np.stack([whole, share_of_four(S)])
        variances.append(sums_covariance(result, "S", W, progress=False).diagonal())
    assert np.isinf(variances[0][0])
    assert np.isfinite(variances[1][0])
    np.testing.assert_allclose(variances[0][1], variances[1][1], rtol=1e-3)

"""Core consistency against its equation."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import Tucker
from tests.helpers.trilinear_data import expand, fitted, noisy, random_cp


def consistency(factors, X) -> float:
    """Bro & Kiers (2003), literally: vec G = (A ⊗ B ⊗ C)⁺ vec X, sizes spread evenly."""
    sizes = np.prod([np.linalg.norm(f, axis=0) for f in factors], axis=0)
    even = [f / np.linalg.norm(f, axis=0) * sizes ** (1 / len(factors)) for f in factors]
    G = np.linalg.lstsq(reduce(np.kron, even), X.reshape(-1), rcond=None)[0]
    rank = even[0].shape[1]
    ideal = np.zeros((rank,) * len(even))
    ideal[(np.arange(rank),) * len(even)] = 1
    return 100 * (1 - np.sum((G - ideal.reshape(-1)) ** 2) / rank)


@pytest.mark.parametrize("shape", [(6, 7, 8), (4, 5, 3, 6)])
def test_core_consistency_is_that_of_its_equation(shape):
    factors = random_cp(0, shape)
    X = noisy(random_cp(1, shape), 0.1)
    found = fu.core_consistency(factors, fu.Dataset("a", X))
    assert found == pytest.approx(consistency(factors, X), rel=1e-8)


def test_core_consistency_does_not_depend_on_scale_sign_order_or_form():
    from tensorly.cp_tensor import CPTensor

    factors, data = random_cp(0), fu.Dataset("a", noisy(random_cp(0), 0.3))
    found = fu.core_consistency(factors, data)
    a = np.array([2.0, -1e3, 1e-4])
    A, B, C = (f[:, [2, 0, 1]] for f in factors)
    moved = fu.core_consistency({"A": A * a, "B": B, "C": C / a}, data)
    weighted = fu.core_consistency(CPTensor((a, [A, B / a, torch.from_numpy(C)])), data)
    assert moved == pytest.approx(found, abs=1e-8)
    assert weighted == pytest.approx(found, abs=1e-8)
    larger = fu.core_consistency([1e6 * A, B, C], fu.Dataset("a", 1e6 * data.numpy()))
    assert larger == pytest.approx(found, abs=1e-8)


def test_core_consistency_is_100_for_exact_factors_and_falls_with_a_surplus_component():
    factors = random_cp(0, (8, 9, 10))
    exact = fu.core_consistency(factors, fu.Dataset("a", expand(factors)))
    assert exact == pytest.approx(100, abs=1e-8)
    data = fu.Dataset("a", noisy(factors))
    assert fu.core_consistency(fitted(data), data) > 90
    assert fu.core_consistency(fitted(data, 4), data) < 50


def test_a_masked_entry_counts_as_what_the_model_says_there():
    factors, X = random_cp(0), noisy(random_cp(1), 0.1)
    mask = np.random.default_rng(3).random(X.shape) < 0.2
    filled = np.where(mask, expand(factors), X)
    data = fu.Dataset("a", np.where(mask, np.nan, X), mask=mask)
    found = fu.core_consistency(factors, data)
    assert found == pytest.approx(consistency(factors, filled), rel=1e-8)


def test_core_consistency_leaves_out_rows_that_were_never_seen():
    factors = random_cp(0)
    X, mask = noisy(factors, 0.1), np.zeros((6, 7, 8), bool)
    mask[2] = True
    result = fitted(fu.Dataset("a", X, mask=mask), starts=1)
    assert np.isnan(result["A"][2]).all()
    seen = [np.delete(result["A"], 2, 0), result["B"], result["C"]]
    found = fu.core_consistency(result, fu.Dataset("a", X, mask=mask))
    assert found == pytest.approx(consistency(seen, np.delete(X, 2, 0)), rel=1e-8)


def test_core_consistency_reads_counts_and_a_component_that_is_off():
    factors = random_cp(0)
    factors[0][:, 1] = 0
    counts = np.random.default_rng(0).poisson(30 * expand(random_cp(0))).astype(np.uint16)
    assert np.isfinite(fu.core_consistency(factors, fu.Dataset("a", counts)))


def test_core_consistency_says_what_it_cannot_use():
    data = fu.Dataset("a", noisy(random_cp(0)))
    tucker = fu.fit(Tucker(data, (2, 2, 2)), Frobenius(data), starts=1, progress=False)
    with pytest.raises(ValueError, match="the result is tucker"):
        fu.core_consistency(tucker, data)
    with pytest.raises(ValueError, match=r"\(6, 7\) rows for data of shape \(6, 7, 8\)"):
        fu.core_consistency(random_cp(0)[:2], data)
    with pytest.raises(ValueError, match="two the core tells nothing"):
        fu.core_consistency(random_cp(0)[:2], fu.Dataset("a", np.ones((6, 7))))
    with pytest.raises(ValueError, match="of one K"):
        fu.core_consistency([*random_cp(0)[:2], np.ones((8, 2))], data)

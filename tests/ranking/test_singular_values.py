"""Criteria of the singular values, each against its formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fusion.ranking.singular_values import reduced_eigenvalues


def test_real_error_is_malinowskis(ranking):
    """RE(K) = √(Σ_{j>K} λ_j / (n (m − K))), IND = RE / (m − K)²."""
    X = ranking.noise.scree.scaled
    n, m = X.shape
    squares = np.linalg.svd(X, compute_uv=False) ** 2
    error = np.array([np.sqrt(sum(squares[K:]) / (n * (m - K))) for K in range(9)])
    noise = np.sqrt(ranking.noise.gain) * ranking.noise.scree.level
    np.testing.assert_allclose(ranking["RE"].curve[:9], error * noise, rtol=1e-6)
    indicator = [error[K] / (m - K) ** 2 for K in range(9)]
    np.testing.assert_allclose(ranking["IND"].curve[:9], indicator, rtol=1e-6)


def test_reduced_eigenvalues_are_malinowskis(ranking):
    """REV_k = λ_k / ((n − k + 1)(m − k + 1)); F-test against the later ones."""
    from scipy.stats import f

    X = ranking.noise.scree.scaled
    n, m = X.shape
    squares = np.linalg.svd(X, compute_uv=False) ** 2
    curve = [squares[k - 1] / ((n - k + 1) * (m - k + 1)) for k in range(1, m + 1)]
    found = ranking["REV"]
    np.testing.assert_allclose(found.curve, curve[: len(found.curve)], rtol=1e-6)
    significant = []
    for k in range(1, 8):
        later = range(k + 1, m + 1)
        sizes = sum((n - j + 1) * (m - j + 1) for j in later)
        F = curve[k - 1] * sizes / sum(squares[j - 1] for j in later)
        significant.append(f.sf(F, 1, m - k) < 0.05)
    assert found.chosen == significant.index(False)


def test_reduced_eigenvalues_hold_behind_a_first_component_of_any_size(ranking):
    values = ranking.noise.scree.values.copy()
    values[0] *= 1e9
    noise = replace(ranking.noise, scree=replace(ranking.noise.scree, values=values))
    assert reduced_eigenvalues(noise, 8).chosen == ranking["REV"].chosen


def test_broken_stick_is_that_of_its_formula(ranking):
    squares = np.linalg.svd(ranking.noise.scree.scaled, compute_uv=False) ** 2
    s = len(squares)
    stick = [sum(1 / j for j in range(k, s + 1)) / s for k in range(1, s + 1)]
    share = squares / squares.sum() / stick
    found = ranking["broken stick"]
    np.testing.assert_allclose(found.curve, share[: len(found.curve)], rtol=1e-6)
    assert found.chosen == np.flatnonzero(share < 1)[0]

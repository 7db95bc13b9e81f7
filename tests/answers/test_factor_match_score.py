"""Factor match score against its equation."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import fusion as fu
from tests.helpers.trilinear_data import K, fitted, noisy, random_cp


def match_score(a, b) -> float:
    """Acar et al. (2011), literally: the best of all permutations."""
    norms = [np.prod([np.linalg.norm(f, axis=0) for f in side], axis=0) for side in (a, b)]
    scores = []
    for order in permutations(range(K)):
        terms = []
        for r, s in enumerate(order):
            x, y = norms[0][r], norms[1][s]
            cosines = [
                f[:, r] @ g[:, s] / np.linalg.norm(f[:, r]) / np.linalg.norm(g[:, s])
                for f, g in zip(a, b, strict=True)
            ]
            terms.append((1 - abs(x - y) / max(x, y)) * np.prod(np.abs(cosines)))
        scores.append(np.mean(terms))
    return max(scores)


@pytest.mark.parametrize("seed", range(5))
def test_factor_match_score_is_that_of_its_equation(seed):
    a, b = random_cp(seed), random_cp(seed + 50)
    b = [f - 0.5 for f in b]
    b[1] *= np.array([0.5, 3.0, 20.0])
    assert fu.factor_match_score(a, b) == pytest.approx(match_score(a, b), rel=1e-12)


def test_factor_match_score_is_one_for_the_same_in_another_order_and_scale():
    A, B, C = random_cp(0)
    order, s = [1, 2, 0], np.array([2.0, -3.0, 0.1])
    same = [(A * s)[:, order], (B / s)[:, order], C[:, order]]
    assert fu.factor_match_score([A, B, C], same) == pytest.approx(1)
    larger = [2 * A, B, C]
    assert fu.factor_match_score([A, B, C], larger) == pytest.approx(0.5)
    assert fu.factor_match_score([A, B, C], larger, weights=False) == pytest.approx(1)


def test_factor_match_score_pairs_factors_by_name():
    A, B, C = random_cp(0, (6, 6, 6))
    a, b = {"A": A, "B": B, "C": C}, {"C": C, "A": A, "B": B}
    assert fu.factor_match_score(a, b) == pytest.approx(1)
    assert fu.factor_match_score(a, list(b.values())) < 0.9


def test_a_component_without_partner_counts_as_nothing():
    a = random_cp(0)
    fewer = [f[:, :2] for f in a]
    assert fu.factor_match_score(a, fewer) == pytest.approx(2 / 3)
    assert fu.factor_match_score(fewer, a) == pytest.approx(2 / 3)
    off = [a[0] * [1, 1, 0], *a[1:]]
    assert fu.factor_match_score(a, off) == pytest.approx(2 / 3)


def test_factor_match_score_leaves_out_rows_that_were_never_seen():
    a, b = random_cp(0), random_cp(0)
    b[1][3] = np.nan
    a[1][3] = 1e3
    assert fu.factor_match_score(a, b) == pytest.approx(1)


def test_factor_match_score_reads_results_and_lists():
    truth = random_cp(0)
    data = fu.Dataset("a", noisy(truth))
    first, second = (fitted(data, starts=1, seed=seed) for seed in (0, 1))
    assert fu.factor_match_score(first, second) > 0.999
    assert fu.factor_match_score(first, truth) > 0.9


def test_factor_match_score_says_what_it_cannot_compare():
    a = random_cp(0)
    with pytest.raises(ValueError, match="3 and 2 modes"):
        fu.factor_match_score(a, a[:2])
    with pytest.raises(ValueError, match="6 and 7 rows"):
        fu.factor_match_score(a, [a[1], a[0], a[2]])

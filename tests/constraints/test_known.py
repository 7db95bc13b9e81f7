"""`Fixed` and `Absent`: entries that are known, and regions without a component."""

import numpy as np

from fusion.constraints import Absent, Fixed, NonNegative, UnitColumns
from fusion.losses import Frobenius
from tests.helpers.planted_factors import Bilinear, angles
from tests.helpers.structured_data import SCAN, fitted, noisy, peaks, relative_error


def test_a_region_without_a_component_makes_the_answer_unique():
    rng = np.random.default_rng(0)
    C = rng.random((256, 3)) + 0.2
    regions = {k: np.arange(256) // 40 == k for k in range(3)}
    for k, region in regions.items():
        C[region, k] = 0
    S = peaks(width=8.0) + 0.2
    data = noisy((C @ S.T).reshape(*SCAN, 40), 0.01)
    maps = [NonNegative(), Absent({k: r.reshape(SCAN) for k, r in regions.items()})]
    spectra = [NonNegative(), UnitColumns()]
    told = fitted(Bilinear(data, 3, maps, spectra), 1.0 * Frobenius(data))
    free = fitted(Bilinear(data, 3, [], spectra), 1.0 * Frobenius(data))
    assert not any(told.factors["C"][r, k].any() for k, r in regions.items())
    assert angles(told.factors["S"], S).max() < 1.0
    assert angles(told.factors["S"], S).max() < 0.3 * angles(free.factors["S"], S).max()


def test_known_entries_stay_exactly_and_the_rest_comes_back():
    rng = np.random.default_rng(0)
    C, S = rng.random((256, 3)), peaks(width=8.0) + 0.2
    data = noisy((C @ S.T).reshape(*SCAN, 40), 0.01)
    known = np.full(S.shape, np.nan)
    known[:, 0] = S[:, 0]  # a reference,
    known[:12, 1] = S[:12, 1]  # the foot of a line,
    known[30:, 2] = S[30:, 2]
    result = fitted(Bilinear(data, 3, [], [Fixed(known)]), 1.0 * Frobenius(data))
    seen = ~np.isnan(known)
    assert np.array_equal(result.factors["S"][seen], known[seen])
    assert relative_error(result.factors["S"], S) < 0.05

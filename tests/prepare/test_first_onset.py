"""`first_onset`: where the first edge rises above its background."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.prepare.first_onset import AHEAD, first_onset, power_laws

ENERGIES = np.arange(480, 720, 1.0)
EXPONENTS = (2.6, 3.4)


def spectrum(height: float, *, exponent: float = 3.0, seed: int = 0) -> np.ndarray:
    background = 2e6 * (ENERGIES / 480) ** -exponent
    edge = height * np.where(ENERGIES >= 532, (ENERGIES / 532) ** -3, 0)
    return np.random.default_rng(seed).poisson(background + edge).astype(float)


@pytest.mark.parametrize("exponent", [2.6, 3.0, 3.4])
@pytest.mark.parametrize("height", [3e4, 1e6])
def test_it_is_found_not_late_and_early_by_no_more_than_it_looks_ahead(exponent, height):
    found = first_onset(ENERGIES, spectrum(height, exponent=exponent), EXPONENTS)
    assert found is not None
    assert 532 - AHEAD <= ENERGIES[found] <= 532 + (1 if height == 1e6 else AHEAD)


def test_background_alone_has_none_and_so_has_too_little():
    assert all(first_onset(ENERGIES, spectrum(0, seed=s), EXPONENTS) is None for s in range(5))
    assert first_onset(ENERGIES[:9], spectrum(0)[:9], EXPONENTS) is None


def test_power_laws_are_one_at_the_geometric_mean_of_the_energies():
    laws = power_laws(np.array([100.0, 200.0, 400.0]), (2.0, 3.0))
    np.testing.assert_allclose(laws, [[4, 8], [1, 1], [0.25, 0.125]])

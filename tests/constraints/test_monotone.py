"""`Monotone` and `Unimodal`: curves that fall, and curves of one peak."""

from functools import cache

import numpy as np
import pytest

from fusion.constraints import Monotone, NonNegative, Unimodal, UnitColumns
from fusion.losses import Frobenius
from tests.helpers.planted_factors import Bilinear, angles
from tests.helpers.structured_data import fitted, noisy, peaks


def decays(n=30):
    t = np.linspace(0, 3, n)[:, None]
    return np.exp(-t * [0.4, 1.5, 5.0])


def test_falling_curves_are_told_from_mixtures_of_them():
    rng = np.random.default_rng(0)
    C, S = decays(), rng.random((20, 3)) ** 2
    data = noisy(C @ S.T, 1e-3)
    spectra = [NonNegative(), UnitColumns()]
    falls = fitted(Bilinear(data, 3, [Monotone(decreasing=True)], spectra), 1.0 * Frobenius(data))
    assert (np.diff(falls.factors["C"], axis=0) <= 0).all()
    assert falls.explained_variance["x"] > 0.9999


def mixed_peaks():
    """Curves of one peak each, under spectra that all overlap: not unique without the peaks."""
    rng = np.random.default_rng(2)
    return peaks(40, (10, 19, 28), 5.0), rng.random((20, 3)) + 0.2


@cache
def free_of_peaks():
    """(data, loss, fit without constraints of place or peak)."""
    C, S = mixed_peaks()
    data = noisy(C @ S.T, 0.02)
    loss = 1.0 * Frobenius(data)
    return data, loss, fitted(Bilinear(data, 3, [], [NonNegative(), UnitColumns()]), loss)


@pytest.mark.parametrize("known", [True, False])
def test_one_peak_a_curve_holds_where_its_place_is_known_or_found(known):
    C = mixed_peaks()[0]
    data, loss, free = free_of_peaks()
    spectra = [NonNegative(), UnitColumns()]
    place = Unimodal([10, 19, 28]) if known else Unimodal()
    told = {} if known else {"init": [free]}
    result = fitted(Bilinear(data, 3, [place], spectra), loss, max_steps=30, **told)
    made = result.factors["C"]
    signs = np.sign(np.diff(made, axis=0))
    falls = np.cumsum(signs < 0, axis=0) > 0
    assert not (falls & (signs > 0)).any()
    assert np.abs(np.sort(made.argmax(0)) - [10, 19, 28]).max() <= 2
    assert angles(made, C).max() < angles(free.factors["C"], C).max()

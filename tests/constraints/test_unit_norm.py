"""`UnitNorm`: another norm of the columns changes their scale and nothing else."""

from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion.constraints import NonNegative, UnitNorm
from fusion.losses import Frobenius
from tests.helpers.planted_factors import Bilinear
from tests.helpers.structured_data import fitted, noisy, peaks


@cache
def usual():
    """(data, loss, its least value under the usual norm)."""
    rng = np.random.default_rng(0)
    data = noisy(rng.random((80, 3)) @ peaks().T, 0.01)
    loss = 1.0 * Frobenius(data)
    return data, loss, fitted(fu.models.NMF(data, 3), loss).loss


@pytest.mark.parametrize("p", [1, 3])
def test_the_norm_of_columns_changes_their_scale_and_nothing_else(p):
    data, loss, least = usual()
    made = fitted(Bilinear(data, 3, [], [NonNegative(), UnitNorm(p)]), loss)
    assert np.allclose(np.linalg.norm(made.factors["S"], p, axis=0), 1)
    assert made.loss == pytest.approx(least, rel=1e-5)

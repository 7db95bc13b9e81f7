"""Rows that no data set sees change nothing of what is seen, whichever solver moves the factors."""

from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, SquaredNorm

QUIET = {"progress": False, "seed": 0}


def counts(mask):
    X = np.random.default_rng(3).poisson(0.15, (2, 3, 20)).astype(float)
    return fu.Dataset("a", X, mask=mask)


MASKED = np.isin(np.arange(20), [2, 5, 11, 12, 17])


@cache
def least_without_them():
    """The least loss of the data without the masked channels."""
    left = fu.Dataset("a", counts(MASKED).numpy()[..., ~MASKED])
    return fu.fit(fu.models.NMF(left, 1), Frobenius(left), starts=5, solver=fu.HALS(), **QUIET).loss


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.HALS(), fu.LBFGS()], ids=str)
@pytest.mark.parametrize("starts", [1, 3])
def test_a_fit_with_masked_channels_is_that_of_the_data_without_them(solver, starts):
    masked = counts(MASKED)
    every = {"solver": solver, "starts": starts, "race": False, **QUIET}
    found = fu.fit(fu.models.NMF(masked, 1), Frobenius(masked), **every)
    assert found.converged
    assert found.losses == pytest.approx(least_without_them(), rel=1e-5)


@pytest.mark.parametrize("solver", [fu.ALS(), fu.MALS(), fu.HALS()], ids=lambda s: type(s).__name__)
def test_masked_rows_do_not_grow_however_far_the_amounts_have_to_go(solver):
    random = np.random.default_rng(1)
    mask = np.zeros(5, bool)
    mask[1:3] = True
    a = fu.Dataset("a", 1e12 * random.random((2, 3, 20)))
    b = fu.Dataset("b", random.random((2, 3, 5)), mask=mask)
    model = fu.models.SoftlyCoupled(a, b, 1)
    loss = Frobenius(a) + 0.1 * Frobenius(b) + SquaredNorm("N", 0.5)
    found = fu.fit(model, loss, solver=solver, starts=1, max_steps=100, **QUIET)
    hidden = found.model.factors["S_b"].detach().numpy()[mask]
    assert np.abs(hidden).max() <= np.abs(found["S_b"][~mask]).max()

"""Solvers do not see the unit of the data."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius


@pytest.mark.parametrize("solver", [fu.LBFGS(), fu.GaussNewton(), fu.HALS()])
def test_explained_variance_is_the_same_in_any_unit(solver):
    X = np.random.default_rng(0).random((12, 3)) @ np.random.default_rng(1).random((3, 20))
    explained = []
    for scale in (1.0, 1e-12, 1e9):
        data = fu.Dataset("a", X * scale)
        result = fu.fit(
            fu.models.NMF(data, 2), Frobenius(data), solver=solver, starts=3, progress=False
        )
        explained.append(1 - 2 * result.loss / (X**2).sum() / scale**2)
    np.testing.assert_allclose(explained, explained[0], atol=1e-5)

"""Solvers do not see the unit of the data."""

from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius


@pytest.mark.parametrize("solver", [fu.LBFGS(), fu.GaussNewton(), fu.HALS()])
def test_explained_variance_is_the_same_in_any_unit(solver):
    X = np.random.default_rng(0).random((12, 3)) @ np.random.default_rng(1).random((3, 20))
    explained = []
    for scale in (1e-12, 1e9):
        data = fu.Dataset("a", X * scale)
        result = fu.fit(
            fu.models.NMF(data, 2), Frobenius(data), solver=solver, starts=3, progress=False
        )
        explained.append(1 - 2 * result.loss / (X**2).sum() / scale**2)
    np.testing.assert_allclose(explained, explained[0], atol=1e-5)


@pytest.mark.parametrize("solver", [fu.GaussNewton(), fu.LBFGS()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_a_power_law_has_amplitudes_of_any_unit_beside_exponents_of_none(solver, scale):
    assert power_law(solver, scale) == pytest.approx(power_law(solver), rel=1e-3)


@cache
def power_law(solver, size=1.0):
    """The loss in the unit of the data, which are so many times as large."""
    random = np.random.default_rng(96)
    X = random.dirichlet([0.5, 0.5], 9) @ random.random((2, 8)) * 10 + 0.1 * random.random((9, 8))
    axes = ["x", fu.Axis("energy", offset=100, units="eV")]
    data = fu.Dataset("raw", X * size, axes=axes)
    model = fu.models.WithBackground(data, None, 1)
    found = fu.fit(model, Frobenius(data), solver=solver, starts=3, progress=False)
    return found.loss / size**2

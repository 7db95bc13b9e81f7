"""Channels and pixels without a count are zero in the answer, whatever the solver."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Poisson


def counts(channels, pixels):
    """Counts of two phases, with so many empty channels and pixels in front."""
    random, x = np.random.default_rng(0), np.arange(400)
    S = np.exp(-0.5 * ((x[:, None] - np.array([120, 240])) / 32) ** 2) + 0.1
    C = random.dirichlet([1.0, 1.0], 600) * 0.5
    S[:channels], C[:pixels] = 0, 0
    return fu.Dataset("eds", random.poisson(C @ S.T))


@pytest.mark.parametrize(("channels", "pixels"), [(5, 0), (0, 4), (5, 4)])
def test_row_newton_takes_them_to_zero_and_meets_gauss_newton(channels, pixels):
    data = counts(channels, pixels)
    fits = [
        fu.fit(fu.models.NMF(data, 2), Poisson(data), starts=2, solver=solver, progress=False)
        for solver in (fu.RowNewton(), fu.GaussNewton())
    ]
    assert fits[0].converged
    assert fits[0].loss <= fits[1].loss * (1 + 1e-7)
    assert not fits[0]["C"][:pixels].any()
    assert not fits[0]["S"][:channels].any()

"""`Simplex`: closure gives spectra their own scale, reaches zeros, and holds beside others."""

import numpy as np

import fusion as fu
from fusion.constraints import Absent, Fixed, Simplex
from fusion.losses import L1, Frobenius
from tests.helpers.messages import fails_in_one_line
from tests.helpers.planted_factors import Bilinear, pure
from tests.helpers.structured_data import fitted, noisy, peaks, relative_error


def test_closure_gives_spectra_their_own_scale():
    rng = np.random.default_rng(0)
    C = rng.dirichlet([0.5] * 3, 256)
    C[:30] = np.repeat(np.eye(3), 10, axis=0)
    S = pure(rng, 40) * [1.0, 5.0, 25.0]
    data = noisy(C @ S.T, 0.02)
    made = fitted(Bilinear(data, 3, [Simplex()]), 1.0 * Frobenius(data)).factors
    order = np.argsort(made["S"].max(0))
    assert np.allclose(made["C"].sum(1), 1)
    assert relative_error(made["S"][:, order], S) < 0.01
    assert relative_error(made["C"][:, order], C) < 0.01


def test_closure_reaches_exact_zeros():
    rng = np.random.default_rng(0)
    C = np.eye(3)[rng.integers(3, size=256)]
    data = noisy(C @ peaks().T, 0.02)
    made = fitted(Bilinear(data, 3, [Simplex()], [Fixed(peaks())]), 1.0 * Frobenius(data))
    assert (made.factors["C"][C == 0] == 0).mean() > 0.4  # noise lifts the other half
    assert relative_error(made.factors["C"], C) < 0.02


def test_closure_may_hold_beside_known_zeros_and_penalties_on_its_sum_are_refused():
    C = np.random.default_rng(0).dirichlet([1.0] * 3, 60)
    region = np.arange(60) < 20
    data = fu.Dataset("x", C @ peaks().T)
    model = Bilinear(data, 3, [Simplex(), Absent({1: region})])
    made = fitted(model, 1.0 * Frobenius(data), starts=1).factors["C"]
    assert np.allclose(made.sum(1), 1)
    assert not made[region, 1].any()
    fails_in_one_line(lambda: L1("C").check(model), "L1('C')", "fixed")

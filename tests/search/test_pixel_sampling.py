"""A first look at some of the pixels, against fits of all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

import fusion as fu
from fusion.algebra.prediction import cp
from fusion.engine.objective import Objective
from fusion.forms import compressed as compression
from fusion.losses import Frobenius, Gaussian, Poisson, SquaredNorm
from fusion.models import CPD, NMF, SharedMaps
from fusion.search import pixel_sampling as sampling
from fusion.search.continuation import continue_from
from fusion.solvers import Watch
from tests.helpers.planted_factors import counts, few_counts


@pytest.fixture
def short(monkeypatch):
    """A sample of few pixels, and small data compressed, too."""
    monkeypatch.setattr(compression, "WORTH", 1)
    monkeypatch.setattr(sampling, "ROWS", 60)
    monkeypatch.setattr(sampling, "WORTH", 2)


@pytest.mark.parametrize("case", ["nmf", "gaussian", "weights", "shared", "poisson", "sparse"])
def test_what_a_sample_led_to_is_as_good_as_a_full_fit(case, short):
    X = counts(14, 15, 40)
    a, b = fu.Dataset("a", X), fu.Dataset("b", counts(14, 15, 30, seed=0))
    weighed = fu.Dataset("a", X, variance=(1 + X.mean(2, keepdims=True)) * (1 + X.mean((0, 1))))
    few = fu.Dataset("a", few_counts(14, 15, 40))
    thin = fu.Dataset("a", torch.from_numpy(few_counts(14, 15, 40)).to_sparse())
    model, loss = {
        "nmf": (NMF(a, 3), Frobenius(a)),
        "gaussian": (NMF(a, 3), Gaussian(a)),
        "weights": (NMF(weighed, 3), Frobenius(weighed)),
        "shared": (SharedMaps(a, b, K=3), Frobenius(a) + Frobenius(b)),
        "poisson": (NMF(few, 3), Poisson(few)),
        "sparse": (NMF(thin, 3), Poisson(thin)),
    }[case]
    assert sampling.sample_problem(
        Objective(model, loss if isinstance(loss, fu.Loss) else 1.0 * loss)
    )
    told = {"starts": 4, "seed": 2, "progress": False}
    quick = fu.fit(model, loss, **told)
    sampling.ROWS = 10**9
    full = fu.fit(model, loss, compress=False, **told)
    assert quick.loss <= full.loss + 1e-4 * abs(full.loss)
    assert len(quick.losses) == 4
    assert quick["C"].shape == full["C"].shape


def test_a_sample_is_not_taken_where_it_would_be_another_problem(short):
    data = fu.Dataset("a", counts(14, 15, 40))

    class Counting(fu.Model):
        """Knows how many pixels there are."""

        def __init__(self):
            super().__init__()
            self.C, self.S = fu.Factor((data.pixels, 2)), fu.Factor((data.channels, 2))

        def forward(self):
            return {"a": cp(self.C.reshape(14, 15, 2).flip(0).reshape(210, 2), self.S)}

    for model, loss in (
        (NMF(data, 2), Frobenius(data) + 0.1 * SquaredNorm("C")),
        (Counting(), 1.0 * Frobenius(data)),
        (CPD(data, 2), 1.0 * Frobenius(data)),
    ):
        assert sampling.sample_problem(Objective(model, loss)) is None


def test_no_sample_is_looked_at_where_no_step_is_asked_for(short):
    data, rng = fu.Dataset("a", counts(14, 15, 40)), np.random.default_rng(0)
    start = {"C": 1 + rng.random((210, 3)), "S": 1 + rng.random((40, 3))}
    start["S"] /= np.linalg.norm(start["S"], axis=0)
    result = fu.fit(NMF(data, 3), Frobenius(data), init=[start], max_steps=0, progress=False)
    for name, value in start.items():
        np.testing.assert_allclose(result[name], value, rtol=1e-12)


def test_a_descent_goes_on_with_the_damping_that_it_had(short):
    data = fu.Dataset("a", counts(14, 15, 40))
    objective = Objective(NMF(data, 3), 1.0 * Frobenius(data))
    flat, solver = fu.Random().starts(objective, 2, 0), fu.GaussNewton()
    outcome = solver.minimise(objective, flat, Watch(), 6)
    before = [float(solver.resumed(outcome, row).damping) for row in range(2)]
    continue_from(objective, solver, outcome, 1, Watch(), 3)
    after = [float(solver.resumed(outcome, row).damping) for row in range(2)]
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert len(outcome.history) == 7 + 4


def test_what_was_stopped_in_a_sample_does_not_go_on(short):
    data, steps = fu.Dataset("a", counts(14, 15, 40)), []

    def stop(step, losses):
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt
        return False

    result = fu.fit(NMF(data, 3), Frobenius(data), progress=False, callback=stop)
    assert "interrupted" in result.status
    assert len(steps) < 10
    assert np.isfinite(result.loss)


def test_maps_after_the_sample_are_at_their_least_squares():
    """Of every start, the spectra held: what SciPy finds pixel by pixel."""
    data = fu.Dataset("a", counts(9, 8, 200))
    objective = Objective(NMF(data, 3), 1.0 * Frobenius(data))
    rng = np.random.default_rng(0)
    values = {
        "C": torch.ones(2, 72, 3, dtype=torch.float64),
        "S": torch.from_numpy(rng.random((2, 200, 3)) ** 4),
    }
    found = sampling._least_squares(objective, ["C"], values)
    assert torch.equal(found["S"], values["S"])
    X = data.numpy().reshape(72, -1)
    for C, S in zip(found["C"].numpy(), values["S"].numpy(), strict=True):
        wanted = np.stack([nnls(S, x.astype(float))[0] for x in X])
        np.testing.assert_allclose(C, wanted, atol=1e-8 * wanted.max())


def test_other_losses_have_no_such_maps():
    a, b = fu.Dataset("a", counts(9, 8, 20)), fu.Dataset("b", counts(9, 8, 30))
    for model, loss in (
        (NMF(a, 3), 1.0 * Poisson(a)),
        (SharedMaps(a, b, K=3), Gaussian(a) + Gaussian(b)),
    ):
        objective = Objective(model, loss)
        values = objective.values(objective.current())
        assert sampling._least_squares(objective, ["C"], values) is None

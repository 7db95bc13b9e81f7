"""Fits from Gram matrices against the same by the model and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.engine.fit_squares import squares_at
from fusion.engine.objective import Objective
from fusion.engine.size_likeness import likeness_in_sizes
from fusion.losses import Frobenius
from fusion.models import NMF
from fusion.solvers.terms_at_points import TermsAtPoints
from tests.helpers.planted_factors import counts

GRAMS = ["nmf", "rank-one weights", "gaussian", "coupled", "shared, weights", "mixed", "background"]
WITHOUT = ["mask", "poisson", "cpd", "tucker", "shared"]


@pytest.mark.parametrize("point", GRAMS, indirect=True)
def test_values_and_gradients_are_those_of_autograd(point):
    objective, values, states = point
    fast, plain = squares_at(*point), TermsAtPoints(objective.fits, values, states)
    assert torch.allclose(fast.terms, plain.terms, rtol=1e-11, atol=0)
    for name, wanted in plain.gradient.items():
        scale = float(wanted.abs().max())
        assert torch.allclose(fast.gradient[name], wanted, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("point", WITHOUT, indirect=True)
def test_other_fits_are_left_to_autograd(point):
    assert squares_at(*point) is None


@pytest.mark.parametrize("point", ["gaussian", "coupled"], indirect=True)
def test_lagged_pieces_of_squares_are_those_of_the_model(point):
    objective, values, states = point
    fast = squares_at(objective, {k: 1.1 * v for k, v in values.items()}, states)
    wanted = objective.refresh_fits(fast.values, states)
    made = fast.refresh(states)
    for a, b in zip(made, wanted, strict=True):
        assert a.keys() == b.keys()
        assert all(torch.allclose(a[key], b[key], rtol=1e-11) for key in b)
    plain = TermsAtPoints(objective.fits, fast.values, wanted)
    assert torch.allclose(fast.terms, plain.terms, rtol=1e-11, atol=0)


def test_some_of_the_points_and_others_written_over_them():
    data = fu.Dataset("a", counts(6, 5, 8))
    objective = Objective(NMF(data, 2), fu.Loss([(2.0, Frobenius(data))]))
    values = objective.values(fu.Random().starts(objective, 4, 0))
    states, rows = objective.no_states(), torch.tensor([2, 0])
    whole = squares_at(objective, values, states)
    some = {name: 0.5 * v[rows] for name, v in values.items()}
    whole.put(rows, squares_at(objective, some, states))
    mixed = {name: v.clone() for name, v in values.items()}
    for name, v in mixed.items():
        v[rows] = some[name]
    wanted = squares_at(objective, mixed, states)
    assert torch.equal(whole.terms, wanted.terms)
    assert all(torch.allclose(whole.gradient[n], g) for n, g in wanted.gradient.items())
    whole.rows(rows)
    assert torch.equal(whole.terms, wanted.terms[rows])
    assert all(torch.allclose(whole.gradient[n], g[rows]) for n, g in wanted.gradient.items())


def test_a_fit_with_a_value_of_its_own_keeps_it():
    class Halved(Frobenius):
        def value(self, model, state):
            return 0.5 * self.half_squares(model)

    data = fu.Dataset("a", counts(6, 5, 8))
    objective = Objective(NMF(data, 2), fu.Loss([(1.0, Halved(data))]))
    values = objective.values(fu.Random().starts(objective, 2, 0))
    assert squares_at(objective, values, objective.no_states()) is None


@pytest.mark.parametrize("point", [*GRAMS, *WITHOUT], indirect=True)
def test_likeness_at_any_size_of_the_factors_is_that_of_the_model(point):
    objective, values, _ = point
    made = likeness_in_sizes(objective, values)
    rng = np.random.default_rng(0)
    names = list(values)[:2]
    sizes = {n: torch.from_numpy(rng.uniform(0.5, 2, 3)).requires_grad_() for n in names}
    grown = {
        n: v * sizes[n].reshape(-1, *[1] * (v.ndim - 1)) if n in sizes else v
        for n, v in values.items()
    }
    fast, plain = made(sizes), objective.likeness(grown)
    for a, b in zip(fast, plain, strict=True):
        assert torch.allclose(a, b, rtol=1e-10)
    leaves = list(sizes.values())
    for a, b in zip(fast[:2], plain[:2], strict=True):  # the last one is a number alone
        slopes = [torch.autograd.grad(x.sum(), leaves, retain_graph=True) for x in (a, b)]
        for x, y in zip(*slopes, strict=True):
            assert torch.allclose(x, y, rtol=1e-8, atol=1e-10)

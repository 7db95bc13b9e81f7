"""Mixtures of components, along which counts have no curvature of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra.prediction import cp
from fusion.constraints import NonNegative, UnitColumns
from fusion.engine.curvature import Curvature
from fusion.engine.linear_system import System
from fusion.engine.mixing_directions import mixing_sides
from fusion.engine.objective import Objective
from fusion.losses import Frobenius, Gaussian, Poisson, SquaredNorm
from fusion.models import NMF, SharedMaps, SoftlyCoupled
from tests.helpers.planted_factors import counts

X, Y = counts(6, 5, 8), counts(6, 5, 7, seed=1)
A, B = fu.Dataset("a", X), fu.Dataset("b", Y)
HOLES = fu.Dataset("a", X, mask=np.random.default_rng(0).random(X.shape) < 0.2)
MANY = fu.Dataset("a", counts(8, 10, 40, level=200.0))
WEIGHED = fu.Dataset("a", X, variance=1 + X)


def two_unit_factors():
    class Both(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((A.pixels, 2), NonNegative(), UnitColumns())
            self.S = fu.Factor((A.channels, 2), NonNegative(), UnitColumns())

        def forward(self):
            return {A.name: cp(self.C, self.S)}

    return Both()


def plain_factors():
    class Plain(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((A.pixels, 3), NonNegative())
            self.S = fu.Factor((A.channels, 3), NonNegative())

        def forward(self):
            return {A.name: cp(self.C, self.S)}

    return Plain()


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    monkeypatch.setattr("fusion.engine.mixing_directions.SMALL", 0)


CASES = {
    "poisson": lambda: (NMF(A, 3), 1.0 * Poisson(A)),
    "many counts": lambda: (NMF(MANY, 3), 1.0 * Poisson(MANY)),
    "no unit columns": lambda: (plain_factors(), 1.0 * Poisson(A)),
    "mask": lambda: (NMF(HOLES, 3), 2.0 * Poisson(HOLES)),
    "general weights": lambda: (NMF(WEIGHED, 3), 1.0 * Gaussian(WEIGHED)),
    "penalty": lambda: (NMF(A, 3), Poisson(A) + 0.3 * SquaredNorm("C")),
    "two detectors": lambda: (SharedMaps(A, B, K=2), Poisson(A) + 2 * Poisson(B)),
    "counts beside least squares": lambda: (SharedMaps(A, B, K=2), Frobenius(A) + Poisson(B)),
}


def at(case, held=(), damping=0.0, share=0.25):
    """The linear system of a step at three points, some entries of some factors held."""
    model, loss = CASES[case]()
    objective = Objective(model.double(), loss)
    flat = objective.retract(fu.Random().starts(objective, 3, 0)).detach()
    generator = torch.Generator().manual_seed(0)
    free = torch.ones_like(flat)
    for slot in objective.slots:
        if slot.name in held:
            drawn = torch.rand(slot.of(free).shape, generator=generator)
            slot.of(free)[:] = (drawn > share).to(free)
    # a unit column at its bound is zero there: only so its held entries leave its norm alone
    for slot in objective.slots:
        if slot.name == "S":
            slot.of(flat).mul_(slot.of(free))
    flat = objective.retract(flat)
    states = objective.refresh_fits(objective.values(flat), objective.no_states())
    curvature = Curvature(objective, flat, states)
    curvature.add_penalties(states)
    gradient = {
        k: torch.randn(v.shape, generator=generator, dtype=v.dtype)
        for k, v in curvature.values.items()
    }
    return System(
        curvature, curvature.pull(gradient), free, torch.full((3,), damping, dtype=flat.dtype)
    )


def along_mixtures(system):
    """V (Vᵀ H V)⁻¹ Vᵀ r of the gradient, and r."""
    (mixing,) = system.mixing
    r = system.gradient * system.free
    z = torch.zeros_like(r)
    mixing.add(z, r)
    return z, r


@pytest.mark.parametrize("case", [name for name in CASES if name != "penalty"])
def test_the_fits_have_no_curvature_along_mixtures(case):
    system = at(case, damping=1e-3)
    z, _ = along_mixtures(system)
    bent = system.curvature(z)
    by_rows = torch.cat([b.times(z, b.matrix) for b in system.blocks], 1)
    assert float(bent.norm()) <= 1e-9 * float(by_rows.norm())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("damping", [1e-6, 0.1])
def test_what_bends_along_mixtures_is_what_held_entries_and_damping_and_penalties_say(
    case, damping
):
    system = at(case, held=["C"], damping=damping)
    z, r = along_mixtures(system)
    system.bent = torch.empty_like(z)
    curved = (z * system._product(z) * system.free).sum(1)
    torch.testing.assert_close(curved, (z * r).sum(1), rtol=1e-5, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_held_entries_on_both_sides_are_taken_for_independent(case):
    system = at(case, held=["C", "S"], damping=1e-6, share=0.1)
    z, r = along_mixtures(system)
    system.bent = torch.empty_like(z)
    curved = (z * system._product(z) * system.free).sum(1)
    ratio = curved / (z * r).sum(1)
    assert bool(((ratio > 0.4) & (ratio < 2.0)).all())


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_the_same_whether_or_not_mixtures_are_known(case, monkeypatch):
    known = at(case, held=["C"], damping=0.01)
    d, Hd, _ = known.solve(1e-12, 4000)
    monkeypatch.setattr("fusion.engine.linear_system.mixing_corrections", lambda *_: [])
    plain = at(case, held=["C"], damping=0.01)
    wanted, Hwanted, _ = plain.solve(1e-12, 4000)
    assert known.mixing
    assert not plain.mixing
    assert torch.allclose(d, wanted, rtol=1e-5, atol=1e-7 * float(wanted.abs().max()))
    assert torch.allclose(Hd, Hwanted, rtol=1e-5, atol=1e-7 * float(Hwanted.abs().max()))


@pytest.mark.parametrize("case", ["many counts", "general weights"])
def test_a_step_takes_about_half_the_products_or_fewer(case, monkeypatch):
    known = at(case, held=["C"], damping=1e-6, share=0.1).solve(0.01, 500)[2]
    monkeypatch.setattr("fusion.engine.linear_system.mixing_corrections", lambda *_: [])
    by_rows_alone = at(case, held=["C"], damping=1e-6, share=0.1).solve(0.01, 500)[2]
    assert known <= 0.55 * by_rows_alone


def test_small_problems_are_solved_without(monkeypatch):
    monkeypatch.setattr("fusion.engine.mixing_directions.SMALL", 10**6)
    assert at("poisson").mixing == []


def sides(model, loss):
    objective = Objective(model.double(), loss)
    flat = fu.Random().starts(objective, 1, 0)
    return mixing_sides(Curvature(objective, flat, objective.no_states()).fits), objective


def test_factors_of_one_prediction_mix_against_each_other():
    (found,), _ = sides(SharedMaps(A, B, K=2), Poisson(A) + Frobenius(B))
    maps, *spectra = found.values()
    assert len(spectra) == 2
    assert all(side != maps for side in spectra)


def test_least_squares_alone_need_no_mixtures():
    assert sides(NMF(A, 3), 1.0 * Frobenius(A))[0] == []


def test_factors_that_enter_as_sums_are_left_out():
    assert sides(SoftlyCoupled(A, B, 2), Poisson(A) + Poisson(B))[0] == []


def test_no_mixture_keeps_the_norms_of_two_unit_factors(monkeypatch):
    monkeypatch.setitem(CASES, "both unit", lambda: (two_unit_factors(), 1.0 * Poisson(A)))
    assert at("both unit").mixing == []


def test_held_factors_do_not_mix():
    objective = Objective(NMF(A, 3).double(), 1.0 * Poisson(A))
    objective.held.add("S")
    flat = fu.Random().starts(objective, 1, 0).detach()
    curvature = Curvature(objective, flat, objective.no_states())
    system = System(curvature, torch.zeros_like(flat), torch.ones_like(flat), flat.new_zeros(1))
    assert system.mixing == []

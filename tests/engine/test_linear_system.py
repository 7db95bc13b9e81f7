"""The linear system of a step: preconditioned, it has the same answer in fewer products."""

from __future__ import annotations

import pytest
import torch

import fusion as fu
from fusion.engine.curvature import Curvature
from fusion.engine.linear_system import System, _inverse
from fusion.engine.row_blocks import Block
from fusion.losses import Frobenius, SquaredNorm
from fusion.models import Tucker
from tests.helpers.planted_factors import counts


def system_at(objective, values, states):
    """The linear system of a step at three points, a fifth of the variables held at their bound."""
    flat = objective.raws(values).detach()
    generator = torch.Generator().manual_seed(0)
    free = (torch.rand(flat.shape, generator=generator) < 0.8).to(flat.dtype)
    flat = objective.retract(torch.where(free > 0, flat, objective.lower().clamp_min(0)))
    curvature = Curvature(objective, flat, states)
    curvature.add_penalties(states)
    g = {k: torch.randn(v.shape, generator=generator, dtype=v.dtype) for k, v in values.items()}
    damping = torch.full((len(flat),), 0.1, dtype=flat.dtype)
    return System(curvature, curvature.pull(g), free, damping)


def test_a_step_is_the_same_whether_or_not_factors_are_known_to_meet(point, monkeypatch):
    d, Hd, _ = system_at(*point).solve(1e-12, 2000)
    monkeypatch.setattr("fusion.engine.linear_system.woodbury_correction", lambda *_: None)
    plain = system_at(*point)
    wanted, Hwanted, _ = plain.solve(1e-12, 2000)
    assert plain.coupled is None
    assert torch.allclose(d, wanted, rtol=1e-5, atol=1e-7 * float(wanted.abs().max()))
    assert torch.allclose(Hd, Hwanted, rtol=1e-5, atol=1e-7 * float(Hwanted.abs().max()))


@pytest.mark.parametrize(
    "point",
    [
        "nmf",
        "rank-one weights",
        "gaussian",
        "cpd",
        "tucker",
        "shared, weights",
        "coupled, weights",
        "mixed",
        "background",
    ],
    indirect=True,
)
def test_a_step_takes_a_product_or_two_where_factors_meet_in_least_squares_alone(point):
    _, _, products = system_at(*point).solve(1e-3, 2000)
    assert products <= 2, "ten to twenty with the row blocks alone"


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1e-3, 20.0]).double()])
def test_the_inverse_of_a_block_undoes_it_on_the_free_variables(weight):
    """Also where the rows have weights: they must not be counted twice."""
    A = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    block = Block(slice(0, 12), 3, A @ A.mT + torch.eye(4).double(), weight)
    free = (torch.rand(2, 12) < 0.7).double()
    damped = 0.1 * block.matrix
    v = torch.randn(2, 12, dtype=torch.float64) * free
    there = (block.times(v, block.matrix + damped)) * free
    back = torch.full_like(v, torch.nan)
    block.solve(back, there, _inverse(block, damped, free))
    assert torch.allclose(back, v, atol=1e-9)


def test_a_penalised_core_of_some_size_is_fitted():
    T = fu.Dataset("t", counts(10, 11, 12, seed=2))
    model = Tucker(T, (4, 5, 4))
    loss = Frobenius(T) + 0.1 * SquaredNorm("core")
    result = fu.fit(model, loss, starts=1, seed=0, progress=False, max_steps=20)
    assert result.loss < float(loss(model).detach())

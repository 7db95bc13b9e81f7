"""Curvature of fits in closed form against double backward."""

from __future__ import annotations

import torch

import fusion as fu
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.objective import Objective
from fusion.likelihood.metric import Entrywise
from fusion.losses import Frobenius, Poisson
from fusion.models import SharedMaps, Tucker
from tests.helpers.planted_factors import counts


def both(objective, values, states):
    """The fast curvature, and the plain one by double backward."""
    fast = FitCurvature(objective, values, states)
    leaves = {k: v.clone().requires_grad_() for k, v in values.items()}
    with torch.enable_grad():
        plain = Hessian(objective.fit_curvature(leaves, states), leaves)
    return fast, plain, leaves


def test_products_in_closed_form_are_those_of_double_backward(point):
    objective, values, states = point
    fast, plain, _ = both(objective, values, states)
    assert not fast.rest, "no fit here lacks a closed form"
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        v = {k: torch.randn(x.shape, generator=generator, dtype=x.dtype) for k, x in values.items()}
        made, wanted = fast(v), plain(v)
        for name in values:
            scale = wanted[name].abs().max() + 1e-300
            assert torch.allclose(made[name] / scale, wanted[name] / scale, rtol=0, atol=1e-10)


def test_row_blocks_in_closed_form_are_the_probed_ones(point):
    objective, values, states = point
    fast, plain, leaves = both(objective, values, states)
    for name, value in values.items():
        if value.ndim != 3 or not objective.model.factor(name).entrywise:
            continue
        matrix, weight = fast.blocks(name)
        made = matrix.expand(-1, value.shape[1], -1, -1)
        made = made if weight is None else made * weight[:, None, None]
        wanted = row_blocks(plain, name, leaves[name]).detach()
        assert torch.allclose(made, wanted, rtol=1e-9, atol=1e-10 * float(wanted.abs().max()))


def test_the_whole_block_of_a_core_is_the_probed_one():
    T = fu.Dataset("t", counts(5, 6, 7, seed=2))
    objective = Objective(Tucker(T, (2, 3, 2)), fu.Loss([(2.0, Frobenius(T))]))
    values = objective.values(fu.Random().starts(objective, 2, 0))
    fits = FitCurvature(objective, values, objective.no_states())
    made = fits.block_of_core("core")
    for i in range(12):
        probe = torch.zeros(2, 12, dtype=torch.float64)
        probe[:, i] = 1
        column = fits.own("core", probe.reshape(2, 2, 3, 2)).reshape(2, 12)
        assert torch.allclose(made[:, :, i], column, rtol=1e-10, atol=1e-10)


def test_a_direction_that_enters_no_prediction_reads_no_data(monkeypatch):
    a, b = fu.Dataset("a", counts(6, 5, 8)), fu.Dataset("b", counts(6, 5, 7, seed=1))
    objective = Objective(SharedMaps(a, b, K=2), Poisson(a) + Poisson(b))
    values = objective.values(fu.Random().starts(objective, 2, 0))
    fits = FitCurvature(objective, values, objective.no_states())
    spectra = [name for name in values if values[name].shape[1] == 8]
    read, product = [], Entrywise.product
    monkeypatch.setattr(
        Entrywise, "product", lambda self, *rest: read.append(self) or product(self, *rest)
    )
    made = fits({name: torch.ones_like(values[name]) for name in spectra})
    assert len(read) == 1
    (other,) = (name for name in values if values[name].shape[1] == 7)
    assert bool((made[other] == 0).all())
    assert all(bool((made[name] != 0).any()) for name in made if name != other)


def test_a_direction_that_enters_some_of_the_loose_tensors_alone():
    """Two data sets, one scaled by a gain that the other does not know: errors ask term by term."""

    class Gained(fu.Model):
        def __init__(self, a, b):
            super().__init__()
            self.C, self.S = fu.Factor((a.pixels, 2)), fu.Factor((a.channels, 2))
            self.T, self.g = fu.Factor((b.channels, 2)), fu.Factor((3, 1))

        def forward(self):
            gain = (self.g**2).sum()
            return {"a": fu.cp(self.C * gain, self.S), "b": fu.cp(self.C**2, self.T)}

    a, b = fu.Dataset("a", counts(12, 9)), fu.Dataset("b", counts(12, 7, seed=1))
    model = Gained(a, b)
    objective = Objective(model, Poisson(a) + 2 * Poisson(b))
    generator = torch.Generator().manual_seed(0)
    values = {
        slot.name: torch.rand((1, *slot.shape), generator=generator, dtype=torch.float64) + 0.5
        for slot in objective.slots
    }
    fast, plain, _ = both(objective, values, objective.no_states())
    assert len(fast.loose) > 1
    for name in values:
        v = {name: torch.rand(values[name].shape, generator=generator, dtype=torch.float64)}
        made, wanted = fast(v), plain(v)
        for other in values:
            torch.testing.assert_close(made[other], wanted[other], rtol=1e-9, atol=1e-9)

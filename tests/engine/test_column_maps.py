"""How factors enter predictions: found where it is column by column, left to autograd elsewhere."""

from __future__ import annotations

import pytest
import torch

import fusion as fu
from fusion.algebra.prediction import cp
from fusion.constraints import Free
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.hessian import Hessian
from fusion.engine.objective import Objective
from fusion.losses import Frobenius
from tests.helpers.planted_factors import counts

DATA = fu.Dataset("a", counts(6, 5, 8))
MIXTURE = torch.tensor([[0.5, -1.25, 0.0], [2.0, 0.3, 1.0]], dtype=torch.float64)
SMEARED = torch.rand(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def objective_of(maps, spectra):
    """An objective with C (pixel, 2), N (pixel, 2), S (channel, 2), and three points."""

    class Own(fu.Model):
        def __init__(self):
            super().__init__()
            self.C, self.N = fu.Factor((30, 2)), fu.Factor((30, 2), Free())
            self.S, self.T = fu.Factor((8, 2)), fu.Factor((8, 3))

        def forward(self):
            return {"a": cp(maps(self), spectra(self))}

    objective = Objective(Own(), fu.Loss([(1.5, Frobenius(DATA))]))
    flat = fu.Random().starts(objective, 3, 0)
    return objective, {k: v.detach() for k, v in objective.values(flat).items()}


COLUMNS = {
    "a sum": (lambda m: m.C + m.N, lambda m: m.S),
    "twice, less another": (lambda m: 2 * m.C - m.N, lambda m: m.S),
    "side by side": (lambda m: torch.cat([m.C, m.N[:, :1]], 1), lambda m: m.T),
    "a fixed mixture": (lambda m: m.C @ MIXTURE, lambda m: m.T),
    "some columns": (lambda m: m.C, lambda m: m.T[:, [2, 0]]),
}
OTHERS = {
    "rows that meet": (lambda m: m.C, lambda m: SMEARED @ m.S),
    "a square": (lambda m: m.C.square() + m.N, lambda m: m.S),
    "rows in another order": (lambda m: m.C.flip(0), lambda m: m.S),
    "a constant beside it": (lambda m: m.C + 1, lambda m: m.S),
}


def products_hold(objective, values):
    fast = FitCurvature(objective, values, objective.no_states())
    leaves = {k: v.clone().requires_grad_() for k, v in values.items()}
    with torch.enable_grad():
        plain = Hessian(objective.fit_curvature(leaves, objective.no_states()), leaves)
    generator = torch.Generator().manual_seed(1)
    v = {k: torch.randn(x.shape, generator=generator, dtype=x.dtype) for k, x in values.items()}
    made, wanted = fast(v), plain(v)
    for name in values:
        scale = float(wanted[name].abs().max()) + 1e-300
        assert torch.allclose(made[name], wanted[name], rtol=0, atol=1e-11 * scale)
    return fast


@pytest.mark.parametrize("case", COLUMNS)
def test_factors_that_enter_column_by_column_are_found_and_replayed(case):
    objective, values = objective_of(*COLUMNS[case])
    fast = products_hold(objective, values)
    assert not fast.loose, "no autograd in a product"
    other = {name: 2 * v + 0.1 for name, v in values.items()}
    replayed = objective.maps.replay(other)
    tensors, _ = objective.closed(other)
    for made, wanted in zip(replayed, tensors, strict=True):
        assert torch.allclose(made, wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_more_than_columns_of_factors_is_not_replayed_and_its_products_hold(case):
    objective, values = objective_of(*OTHERS[case])
    products_hold(objective, values)
    assert objective.maps.replay(values) is None


def test_a_model_that_turns_out_to_be_no_sum_is_left_to_autograd_from_there_on():
    """|C| is C while that is positive: what was found is held against every new point."""
    used, values = objective_of(lambda m: m.N.abs() + m.C, lambda m: m.S)
    objective = Objective(used.model, used.loss)
    values["N"] = values["N"].abs() + 0.1
    assert not products_hold(objective, values).loose
    values["N"] = -values["N"]
    assert products_hold(objective, values).loose
    assert objective.maps.replay(values) is None

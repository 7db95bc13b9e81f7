"""Derivatives of constraints in closed form against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import vmap

from fusion.constraints import Free, NonNegative, PowerLaw, UnitColumns
from fusion.engine.variables import constrained


@pytest.mark.parametrize("constraint", [NonNegative(), UnitColumns()])
def test_derivatives_in_closed_form_are_those_of_autograd(constraint):
    raw = torch.rand(2, 7, 3, dtype=torch.float64)
    raw[0, :, 1] = 0  # a column that is switched off
    v = torch.randn(2, 7, 3, dtype=torch.float64)
    made = constraint.derivative(raw)(v)
    _, wanted = torch.autograd.functional.jvp(lambda r: vmap(constraint)(r), raw, v)
    kept = [(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)]
    for s, k in kept:
        assert torch.allclose(made[s, :, k], wanted[s, :, k], rtol=1e-12, atol=1e-12)
    assert torch.isfinite(made).all()


def test_the_jacobian_of_power_laws_is_that_of_autograd_there_and_back():
    law = PowerLaw(torch.linspace(400.0, 700.0, 9, dtype=torch.float64))
    raw = torch.rand(2, 2, 3, dtype=torch.float64) + 0.1
    raw[0, 0, 1] = raw[1, 1, 2] = 0  # at their bounds
    v, w = torch.randn(2, 2, 3, dtype=torch.float64), torch.randn(2, 9, 3, dtype=torch.float64)
    push, pull = law.jacobian(raw)
    J = torch.autograd.functional.jacobian(lambda r: vmap(law)(r), raw)  # (2, 9, 3, 2, 2, 3)
    assert torch.allclose(push(v), torch.einsum("snktlm,tlm->snk", J, v), rtol=1e-12, atol=1e-12)
    assert torch.allclose(pull(w), torch.einsum("snktlm,snk->tlm", J, w), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("constraint", "rows"),
    [(NonNegative(), 7), (Free(), 7), (UnitColumns(), 7), (PowerLaw(np.linspace(400, 700, 9)), 2)],
)
def test_all_starts_at_once_are_constrained_as_one_by_one(constraint, rows):
    raw = torch.randn(3, rows, 2, dtype=torch.float64)
    raw[1, :, 0] = 0
    wanted = torch.stack([constraint(x) for x in raw])
    assert torch.allclose(constraint.batched(raw), wanted, rtol=1e-14, atol=1e-15)


def test_a_constraint_with_a_forward_of_its_own_is_not_read_as_the_one_above_it():
    class Doubled(UnitColumns):
        def forward(self, raw):
            return 2 * super().forward(raw)

    raw = torch.rand(3, 7, 2, dtype=torch.float64)
    assert torch.allclose(constrained(Doubled(), raw).norm(dim=1), torch.tensor(2.0).double())

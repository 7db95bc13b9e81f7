"""Derivatives of constraints in closed form against autograd."""

from __future__ import annotations

import pytest
import torch
from torch.func import vmap

from fusion.constraints import NonNegative, UnitColumns


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

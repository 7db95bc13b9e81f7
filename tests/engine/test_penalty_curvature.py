"""Curvature of penalties in closed form against double backward."""

from __future__ import annotations

import pytest
import torch

import fusion as fu
from fusion.engine.curvature import Curvature
from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.objective import Objective
from fusion.engine.penalty_curvature import PenaltyCurvature
from fusion.losses import (
    Frobenius,
    LearnedSmoothness,
    Norm,
    Smoothness,
    SoftOrthogonality,
    SpatialSmoothness,
    SquaredNorm,
    TotalVariation,
)
from fusion.models import NMF
from tests.helpers.planted_factors import counts

NEIGHBOURS = [
    Smoothness("S"),
    Smoothness("C", order=3, axis=-2),
    SpatialSmoothness("C"),
    TotalVariation("C"),
    TotalVariation("S", smallest=0.5),
    LearnedSmoothness("S", order=1),
    LearnedSmoothness("S"),
]
DATA = fu.Dataset("a", counts(6, 5, 8))


class Fourth(SquaredNorm):
    """A value of its own: what the class above says of its curvature is not read."""

    def value(self, model, state):
        return self.of(model).pow(4).sum()


def both(penalty):
    """The penalty's curvature as it says it and by double backward, at three points."""
    objective = Objective(NMF(DATA, 3), Frobenius(DATA) + 0.7 * penalty)
    flat = fu.Random().starts(objective, 3, 0)
    values = {k: v.detach().requires_grad_() for k, v in objective.values(flat).items()}
    states = objective.no_states()
    told = Curvature.fit_information(objective, values, states) if objective.wanted else {}
    states = objective.refresh_penalties(values, states, told)
    with torch.enable_grad():
        plain = Hessian(objective.penalty_curvature(values, states), values)
    return PenaltyCurvature(objective, values, states), plain, values


@pytest.mark.parametrize(
    "penalty",
    [
        SquaredNorm("C", 0.3),
        Norm("C"),
        SoftOrthogonality("C"),
        SoftOrthogonality("S"),
        *NEIGHBOURS,
    ],
    ids=str,
)
def test_products_in_closed_form_are_those_of_double_backward(penalty):
    fast, plain, values = both(penalty)
    assert fast.closed
    assert not fast.rest
    v = {k: torch.randn_like(x) for k, x in values.items()}
    made, wanted = fast(v), plain(v)
    for name in values:
        part = made.get(name, torch.zeros_like(v[name]))
        scale = float(wanted[name].abs().max()) + 1e-300
        assert torch.allclose(part / scale, wanted[name] / scale, rtol=0, atol=1e-10)


@pytest.mark.parametrize("penalty", [SquaredNorm("C", 0.3), Norm("C")])
def test_row_blocks_in_closed_form_are_one_for_all_rows_and_the_probed_ones(penalty):
    fast, plain, values = both(penalty)
    made = fast.blocks("C")
    assert made.shape[1] == 1
    wanted = row_blocks(plain, "C", values["C"])
    assert torch.allclose(made.expand_as(wanted), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("penalty", NEIGHBOURS, ids=str)
def test_row_blocks_of_neighbours_are_no_less_than_the_whole_curvature(penalty):
    fast, plain, values = both(penalty)
    name = penalty.factor
    n = values[name][0].numel()
    whole = torch.stack(
        [plain.own(name, e.expand(3, n).reshape(values[name].shape)) for e in torch.eye(n).double()]
    )  # (column, start, row, K)
    for start, blocks in enumerate(fast.blocks(name)):
        left = torch.block_diag(*blocks) - whole[:, start].reshape(n, n)
        scale = blocks.abs().max()
        assert torch.linalg.eigvalsh(left)[0] >= -1e-12 * scale


def test_neighbours_along_the_columns_are_left_to_double_backward():
    fast, plain, values = both(Smoothness("C", axis=1))
    assert not fast.closed
    v = {"C": torch.randn_like(values["C"])}
    assert torch.allclose(fast(v)["C"], plain(v)["C"])


def test_a_penalty_with_a_value_of_its_own_is_left_to_double_backward():
    fast, plain, values = both(Fourth("C"))
    assert not fast.closed
    v = {"C": torch.randn_like(values["C"])}
    assert torch.allclose(fast(v)["C"], plain(v)["C"])

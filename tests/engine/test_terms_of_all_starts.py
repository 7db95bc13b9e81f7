"""What a term says for all starts at once stands for its `value`, and for that alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.engine.objective import Objective
from fusion.engine.penalty_curvature import PenaltyCurvature
from fusion.losses import L1, Frobenius, Norm, SoftOrthogonality, SquaredNorm

DATA = fu.Dataset("a", np.random.default_rng(0).random((4, 5, 6)))


def objective(*terms):
    loss = Frobenius(DATA)
    for weight, term in terms:
        loss = loss + weight * term
    return Objective(fu.models.NMF(DATA, 2).double(), loss)


def values(starts=3):
    rng = np.random.default_rng(1)
    return {
        "C": torch.from_numpy(rng.random((starts, 20, 2))),
        "S": torch.from_numpy(rng.random((starts, 6, 2))),
    }


class FirstColumn:
    """Of the first component alone: `of` says so, and no member for all starts may pass it over."""

    def of(self, model):
        return super().of(model)[:, :1]


class SquaredFirst(FirstColumn, SquaredNorm):
    pass


class SumOfFirst(FirstColumn, L1):
    pass


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        (SquaredFirst("C", 0.5), lambda C: 0.5 * (C[..., :1] / 0.5).square().sum((1, 2))),
        (SumOfFirst("C"), lambda C: C[..., 0].sum(1)),
    ],
)
def test_what_a_term_is_of_is_kept_to(term, wanted):
    posed, here = objective((1.0, term)), values()
    made = posed.penalties(here, posed.no_states())[:, 0]
    torch.testing.assert_close(made, wanted(here["C"]))


def test_how_such_a_term_bends_is_found_from_it():
    posed = objective((1.0, SquaredFirst("C", 0.5)))
    here = {name: value.requires_grad_() for name, value in values().items()}
    blocks = PenaltyCurvature(posed, here, posed.no_states()).blocks("C")
    wanted = torch.diag(torch.tensor([4.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(blocks, wanted.expand_as(blocks))


def test_columns_stand_in_the_order_of_the_terms_whoever_says_them():
    @fu.term
    def own(model):
        return (model.C**3).sum()

    posed, here = objective((2.0, own), (0.5, L1("C")), (3.0, SquaredNorm("S", 2.0))), values()
    C, S = here["C"], here["S"]
    sums = C**3, C, (S / 2) ** 2
    weights = 2.0, 0.5, 1.5
    wanted = torch.stack([w * x.sum((1, 2)) for w, x in zip(weights, sums, strict=True)], 1)
    torch.testing.assert_close(posed.penalties(here, posed.no_states()), wanted)


@pytest.mark.parametrize("term", [L1("C"), SquaredNorm("S"), Norm("C"), SoftOrthogonality("C")])
def test_no_term_that_says_it_is_asked_start_by_start(term, monkeypatch):
    posed, here = objective((1.0, term)), values()
    told = {"C": None}
    if term.needs():
        zeros = torch.zeros_like(here["C"])
        told = {"C": fu.language.surrogate.FitInformation(zeros, zeros + 1)}
    monkeypatch.setattr("fusion.engine.objective.over_starts", None)
    states = posed.refresh_penalties(here, posed.no_states(), told if term.needs() else {})
    assert posed.penalties(here, states).shape == (3, 1)

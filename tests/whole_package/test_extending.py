"""Pieces of one's own: a term, a constraint, a model, a loop work as those that are shipped."""

from __future__ import annotations

import pytest
import torch

import fusion as fu
from fusion import models
from fusion.algebra.prediction import cp
from fusion.constraints import NonNegative
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.objective import Objective
from fusion.losses import Frobenius, Norm
from fusion.models import NMF
from tests.helpers.planted_factors import counts
from tests.helpers.two_components import CHANNELS, PIXELS, K, cube


def test_a_fit_without_closed_form_is_differentiated():
    data = fu.Dataset("a", counts(4, 5, 6))

    class Own(Frobenius):
        entrywise = None

    own, known = (Objective(NMF(data, 2), fu.Loss([(1.0, f(data))])) for f in (Own, Frobenius))
    values = own.values(fu.Random().starts(own, 2, 0))
    made, wanted = (FitCurvature(o, values, o.no_states()) for o in (own, known))
    assert made.rest
    v = {k: torch.ones_like(x) for k, x in values.items()}
    for name in v:
        assert torch.allclose(made(v)[name], wanted(v)[name], rtol=1e-10)
        blocks, _ = made.blocks(name)
        assert torch.allclose(blocks[:, :1], wanted.blocks(name)[0][:, :1], rtol=1e-10)


def test_a_subclass_that_says_more_is_not_bypassed():
    """A helper stands for the method beside which it was written, not for one below it."""

    class Twice(Frobenius):
        def curvature(self, model, state):
            return 2 * super().curvature(model, state)

    class Half(NonNegative):
        def forward(self, raw):
            return 0.5 * raw.clamp_min(0)

    data = fu.Dataset("a", counts(4, 5, 6))
    model = NMF(data, 2)
    once, twice = (Objective(model, fu.Loss([(1.0, f(data))])) for f in (Frobenius, Twice))
    values = once.values(fu.Random().starts(once, 1, 0))
    v = {k: torch.ones_like(x) for k, x in values.items()}
    a, b = (FitCurvature(o, values, o.no_states())(v) for o in (once, twice))
    assert torch.allclose(2 * a["C"], b["C"], rtol=1e-10)

    class Own(fu.Model):
        def __init__(self):
            super().__init__()
            self.C, self.S = fu.Factor((data.pixels, 2), Half()), fu.Factor((data.channels, 2))

        def forward(self):
            return {"a": cp(self.C, self.S)}

    told = {"starts": 2, "seed": 0, "progress": False}
    made, wanted = (fu.fit(m, Frobenius(data), **told) for m in (Own(), model))
    assert made.loss == pytest.approx(wanted.loss, rel=1e-4)


def test_a_loss_is_a_plain_scalar_that_any_loop_can_minimise():
    data = fu.Dataset("a", cube())
    model, loss = models.NMF(data, K), Frobenius(data) + 0.1 * Norm("C")
    optimiser = torch.optim.Adam(model.parameters(), lr=1.0)
    losses = []
    for _ in range(100):
        optimiser.zero_grad()
        value = loss(model)
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert float(model.C.detach().min()) >= 0  # a bound holds in any loop


def test_a_forward_computes_every_factor_once():
    calls = []

    class Counting(NonNegative):
        def forward(self, raw):
            calls.append(1)
            return super().forward(raw)

    class Twice(fu.Model):
        def __init__(self):
            super().__init__()
            self.C, self.S = fu.Factor((PIXELS, K), Counting()), fu.Factor((CHANNELS, K))

        def forward(self):
            return {"a": fu.cp(self.C, self.S) + fu.cp(self.C * self.C, self.S)}

    model = Twice()
    calls.clear()
    with model.once():
        model.predict()
        model.predict()
    assert len(calls) == 1

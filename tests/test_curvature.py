"""Curvature in closed form against double backward, and the system of a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import vmap

import fusion as fu
from fusion.algebra.prediction import CP, cp
from fusion.constraints import Free, NonNegative, UnitColumns
from fusion.engine.curvature import Curvature
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.linear_system import System, _inverse
from fusion.engine.objective import Objective
from fusion.engine.row_blocks import Block
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights
from fusion.likelihood import metric
from fusion.likelihood.elementwise import SQUARE
from fusion.losses import Frobenius, Gaussian, Poisson, SquaredNorm
from fusion.models import CPD, NMF, SharedMaps, SoftlyCoupled, Tucker, WithBackground
from tests.helpers.planted_factors import counts

RNG = np.random.default_rng(0)


def mixed(eels, edxs):
    """C + N and C, so that one tensor of a prediction is no factor."""

    class Mixed(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((eels.pixels, 2), NonNegative(), UnitColumns())
            self.N = fu.Factor((eels.pixels, 2), Free())
            self.S1, self.S2 = fu.Factor((eels.channels, 2)), fu.Factor((edxs.channels, 2))

        def forward(self):
            return {
                eels.name: cp(self.C + self.N, self.S1),
                edxs.name: cp(self.C, self.S2) + cp(self.C, 2 * self.S2),
            }

    return Mixed()


def cases():
    X, Y, T = counts(6, 5, 8), counts(6, 5, 7, seed=1), counts(5, 6, 7, seed=2)
    a, b = fu.Dataset("a", X), fu.Dataset("b", Y)
    t, mask = fu.Dataset("t", T), RNG.random(X.shape) < 0.2
    weighed = fu.Dataset("a", X, variance=(1 + X.mean(2, keepdims=True)) * (1 + X.mean((0, 1))))
    holes = fu.Dataset("a", X, mask=mask)
    yield "nmf", NMF(a, 3), Frobenius(a)
    yield "rank-one weights", NMF(weighed, 3), Frobenius(weighed)
    yield "mask", NMF(holes, 3), Frobenius(holes)
    yield "gaussian", NMF(a, 3), Gaussian(a)
    yield "poisson", NMF(a, 3), Poisson(a)
    yield "poisson, mask", NMF(holes, 3), Poisson(holes)
    yield "cpd", CPD(t, 3), Frobenius(t)
    yield "cpd, poisson", CPD(t, 3), Poisson(t)
    yield "tucker", Tucker(t, (2, 3, 2)), Frobenius(t)
    yield "shared", SharedMaps(a, b, K=2), Frobenius(a) + 2 * Poisson(b)
    yield "coupled", SoftlyCoupled(a, b, 2), Frobenius(a) + Gaussian(b)
    other = fu.Dataset("b", Y, variance=1 + Y.mean((0, 1)))
    two = Frobenius(weighed) + Frobenius(other)
    yield "shared, weights", SharedMaps(weighed, other, K=2), two
    yield (
        "coupled, weights",
        SoftlyCoupled(other, weighed, 2),
        Frobenius(other) + Frobenius(weighed),
    )
    yield "mixed", mixed(a, b), Frobenius(a) + 3 * Frobenius(b)
    E = fu.Axis("energy", 1.0, 100.0, units="eV")
    raw, net = (fu.Dataset(n, X, axes=["y", "x", E]) for n in ("raw", "net"))
    yield "background", WithBackground(raw, net, 2), Frobenius(raw) + Frobenius(net)


CASES = {name: (model, loss) for name, model, loss in cases()}


@pytest.fixture(params=CASES)
def point(request):
    """An objective, three points, and its states there."""
    model, loss = CASES[request.param]
    loss = loss if isinstance(loss, fu.Loss) else fu.Loss([(1.0, loss)])
    objective = Objective(model, loss)
    flat = fu.Random().starts(objective, 3, 0)
    values = {k: v.detach() for k, v in objective.values(flat).items()}
    return objective, values, objective.refresh_fits(values, objective.no_states())


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
        if value.ndim != 3 or not objective.model.factor(name).local:
            continue
        matrix, weight = fast.blocks(name)
        made = matrix.expand(-1, value.shape[1], -1, -1)
        made = made if weight is None else made * weight[:, None, None]
        wanted = row_blocks(plain, name, leaves[name]).detach()
        assert torch.allclose(made, wanted, rtol=1e-9, atol=1e-10 * float(wanted.abs().max()))


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
    monkeypatch.setattr("fusion.engine.linear_system.coupled", lambda *_: None)
    plain = system_at(*point)
    wanted, Hwanted, _ = plain.solve(1e-12, 2000)
    assert plain.coupled is None
    assert torch.allclose(d, wanted, rtol=1e-5, atol=1e-7 * float(wanted.abs().max()))
    assert torch.allclose(Hd, Hwanted, rtol=1e-5, atol=1e-7 * float(Hwanted.abs().max()))


@pytest.mark.parametrize(
    "point",
    ["nmf", "rank-one weights", "gaussian", "cpd", "tucker", "shared, weights"],
    indirect=True,
)
def test_a_step_takes_a_product_or_two_where_factors_meet_in_least_squares_alone(point):
    _, _, products = system_at(*point).solve(1e-3, 2000)
    assert products <= 2, "ten to twenty with the row blocks alone"


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


def test_starts_of_a_batch_are_bent_one_by_one():
    """The metric over starts equals the metric of each."""
    whole = Dense(torch.from_numpy(counts(9, 8)), Weights(), torch.float64)
    L, R = torch.rand(2, 9, 3).double(), torch.rand(2, 8, 3).double()
    kind, _ = metric.closed(whole, CP(L[0], R[0]), SQUARE)
    scale = torch.tensor([1.0, 2.0]).double()
    together = kind(whole, SQUARE, (L, R), scale).product((L, R))
    for s in range(2):
        one = kind(whole, SQUARE, (L[s : s + 1], R[s : s + 1]), scale[s : s + 1])
        for a, b in zip(one.product((L[s : s + 1], R[s : s + 1])), together, strict=True):
            assert torch.allclose(a[0], b[s])


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

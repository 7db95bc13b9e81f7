"""Problems on which the closed forms of the engine are held against double backward."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.prediction import cp
from fusion.constraints import Free, NonNegative, UnitColumns
from fusion.engine.objective import Objective
from fusion.losses import Frobenius, Gaussian, Poisson
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

"""How much work equations (13), (14) and (15) are: steps, products and calls of autograd."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra.prediction import cp
from fusion.constraints import Free, NonNegative, PowerLaw, UnitColumns
from fusion.engine.linear_system import System
from fusion.losses import Frobenius, SoftOrthogonality, SquaredNorm
from fusion.models import NMF
from fusion.solvers.joint_descent import Descent

RNG = np.random.default_rng(0)
MAPS = RNG.random((120, 3)) ** 2
ENERGY = fu.Axis("energy loss", values=np.linspace(400, 700, 40), units="eV")


def peaks(at, width):
    """Spectra of one peak each, (channel, 3)."""
    return np.exp(-0.5 * ((np.arange(40)[:, None] - np.asarray(at)) / width) ** 2)


def dataset(name, C, S, axis=None):
    noise = 0.02 * np.random.default_rng(len(name)).standard_normal((120, 40))
    return fu.Dataset(name, (C @ S.T + noise).reshape(12, 10, 40), axes=axis and ["y", "x", axis])


def orthogonal_maps():
    data = dataset("si", MAPS, peaks((8, 16, 30), 5))
    return NMF(data, 3), Frobenius(data) + 0.05 * SoftOrthogonality("C")


def two_detectors():
    deviation = 0.02 * RNG.standard_normal(MAPS.shape)
    eels = dataset("eels", MAPS + deviation, peaks((10, 14, 30), 6))
    edxs = dataset("edxs", MAPS, peaks((5, 25, 28), 2))

    class Concurrent(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((eels.pixels, 3), NonNegative(), UnitColumns())
            self.N = fu.Factor((eels.pixels, 3), Free())
            self.S1, self.S2 = fu.Factor((eels.channels, 3)), fu.Factor((edxs.channels, 3))

        def forward(self):
            return {"eels": cp(self.C + self.N, self.S1), "edxs": cp(self.C, self.S2)}

    return Concurrent(), Frobenius(eels) + Frobenius(edxs) + SquaredNorm("N", 0.002)


def background_inside():
    edges = peaks((10, 20, 30), 4)
    law = np.array([3.0, 2.0, 4.0]) * (ENERGY.values[:, None] / 530) ** -np.array([3.0, 2.5, 3.5])
    raw, net = dataset("raw", MAPS, edges + law, ENERGY), dataset("net", MAPS, edges, ENERGY)

    class Raw(fu.Model):
        def __init__(self):
            super().__init__()
            self.C = fu.Factor((raw.pixels, 3), NonNegative(), UnitColumns())
            self.S = fu.Factor((raw.channels, 3))
            self.N = fu.Factor((raw.channels, 3), PowerLaw(raw.channels))

        def forward(self):
            return {"raw": cp(self.C, self.S + self.N), "net": cp(self.C, self.S)}

    return Raw(), Frobenius(raw) + Frobenius(net) + 0.002 * SoftOrthogonality("C")


@pytest.fixture
def work(monkeypatch):
    """Counts of outer steps, curvature products of conjugate gradients, and calls of autograd."""
    counted = Counter()

    def count(owner, name):
        whole = getattr(owner, name)

        def counting(*args, **options):
            counted[name] += 1
            return whole(*args, **options)

        monkeypatch.setattr(owner, name, counting)

    count(Descent, "_step")
    count(System, "_product")
    count(torch.autograd, "grad")
    return counted


@pytest.mark.parametrize(
    ("made", "steps", "autograd"),  # what was reached and a tenth more
    [(orthogonal_maps, 28, 40), (two_detectors, 19, 75), (background_inside, 36, 100)],
)
def test_a_step_is_a_product_and_products_need_no_autograd(made, steps, autograd, work):
    fu.fit(*made(), starts=3, seed=0, progress=False)
    assert work["_step"] <= steps
    assert work["_product"] <= 1.2 * work["_step"], "13 to 20 with row blocks alone"
    assert work["grad"] <= autograd

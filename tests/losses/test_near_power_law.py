"""`NearPowerLaw`: the distance to the best law, and backgrounds that bend."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import fusion as fu
from fusion.constraints import Fixed, NonNegative, PowerLaw
from fusion.losses import Frobenius, NearPowerLaw
from tests.helpers.planted_factors import Bilinear, unit
from tests.helpers.structured_data import ENERGY, SCAN, E, fitted, noisy, relative_error, value_of


def test_near_power_law_is_the_distance_to_the_best_law():
    rng = np.random.default_rng(0)
    data = fu.Dataset("x", rng.random((5, 40)) + 0.1, axes=("x", ENERGY))
    model = Bilinear(data, 4)
    laws = (E[:, None] / 200) ** -np.array([0.5, 3.0, 5.0, 0.0])
    model.S = laws * (1 + 0.2 * rng.standard_normal((40, 4))) + [0, 0, 0, 1] * (E / 200)[:, None]
    total = 0.0
    for f in model.S.detach().numpy().T:

        def distance(r, f=f):
            e = (E / 200) ** -r
            return 0.5 * np.sum((f - max(f @ e, 0) / (e @ e) * e) ** 2)

        best = minimize_scalar(distance, bounds=(0, 10), method="bounded", options={"xatol": 1e-10})
        total += min(best.fun, distance(0.0), distance(10.0))
    assert value_of(NearPowerLaw("S", 0.5), model) == pytest.approx(total / 0.25, rel=1e-9)


def test_power_laws_cost_nothing_and_nothing_costs_nothing():
    data = fu.Dataset("x", np.ones((5, 40)), axes=("x", ENERGY))
    model = Bilinear(data, 3)
    model.S = (E[:, None] / 200) ** -np.array([0.0, 2.7, 6.0]) * [1, 0, 100]
    assert value_of(NearPowerLaw("S"), model) < 1e-18


class Background(fu.Model):
    """Eq. (15) with maps that are known."""

    def __init__(self, raw, C, background):
        super().__init__()
        self.C = fu.Factor((raw.pixels, 2), Fixed(C))
        self.S = fu.Factor((raw.channels, 2))
        self.N = fu.Factor((raw.channels, 2), background)

    def forward(self):
        return {"raw": fu.cp(self.C, self.S + self.N), "net": fu.cp(self.C, self.S)}


def test_a_background_that_bends_is_best_met_by_a_soft_power_law():
    C = unit(np.random.default_rng(1).random((256, 2)) ** 3)
    S = np.stack([20 * np.clip(1 - np.exp(-(E - e) / 20), 0, None) for e in (160, 220)], 1)
    N = 40 * (E[:, None] / 100) ** -np.array([2.0, 3.0]) * (1 + 0.2 * np.log(E / 170)[:, None] ** 2)
    axes, sigmas = ("y", "x", ENERGY), (0.05, 0.15)
    raw, net = (
        noisy((C @ f.T).reshape(*SCAN, 40), sigma, seed, axes=axes).renamed(name)
        for seed, (name, f, sigma) in enumerate(
            zip(("raw", "net"), (S + N, S), sigmas, strict=True)
        )
    )
    fits = sigmas[0] ** -2 * Frobenius(raw) + sigmas[1] ** -2 * Frobenius(net)
    hard, free, soft = (
        relative_error(fitted(Background(raw, C, background), loss, starts=2).factors["S"], S)
        for background, loss in (
            (PowerLaw(raw.channels), fits),
            (NonNegative(), fits),
            (NonNegative(), fits + NearPowerLaw("N", 0.2)),
        )
    )
    assert soft < 0.7 * min(hard, free), (soft, hard, free)

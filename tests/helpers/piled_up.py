"""Decays that pile up: maps whose pixels meet in three variables alone."""

from __future__ import annotations

import numpy as np
import torch

import fusion as fu
from fusion.constraints import NonNegative, Standardised
from fusion.engine.objective import Objective
from fusion.language.expected import Expected

ENERGY = torch.linspace(0, 3, 40, dtype=torch.float64)


PEAK = torch.exp(-0.5 * ((ENERGY - 2.2) / 0.15) ** 2)


class PiledUp(fu.Model):
    """Two decays and what piles up: ⟦(C, κ C₁ C₂), (exp(−r E), peak)⟧, r = (½, 2) · e^(t/5).

    Maps meet in t, which is expected to be 0 ± 1, and in κ ≥ 0 alone; κ moves the left side, t the
    right one.
    """

    def __init__(self, data, C=()):
        super().__init__()
        self.name = data.name
        self.C = fu.Factor((data.pixels, 2), *C)
        self.t = fu.Factor((2, 1), Standardised())
        self.kappa = fu.Factor((1, 1), NonNegative())

    def forward(self):
        rates = torch.tensor([0.5, 2.0], dtype=torch.float64) * torch.exp(0.2 * self.t[:, 0])
        piled = self.kappa[0, 0] * self.C.prod(1, keepdim=True)
        right = torch.cat([torch.exp(-ENERGY[:, None] * rates), PEAK[:, None]], 1)
        return {self.name: fu.cp(torch.cat([self.C, piled], 1), right)}

    def beliefs(self, within=""):
        return [Expected([f"{within}t"])]


def amounts(shape=(5, 6)):
    """Maps with pixels in which a component is missing."""
    C = 20 * np.random.default_rng(4).gamma(1.0, 1.0, (shape[0] * shape[1], 2))
    C[::3, 0] = C[1::3, 1] = 0
    return C


def planted(kappa=0.02, shape=(5, 6), **options):
    """Counts of the model."""
    C, rng = amounts(shape), np.random.default_rng(5)
    rates = np.array([0.5, 2.0]) * np.exp([0.06, -0.1])
    mean = C @ np.exp(-ENERGY.numpy()[:, None] * rates).T
    mean = np.maximum(mean + kappa * C.prod(1, keepdims=True) * PEAK.numpy(), 0.1 * mean)
    return fu.Dataset("x", rng.poisson(mean).reshape(*shape, -1).astype(float), **options)


def objective_of(data, loss):
    model = PiledUp(data)
    for belief in model.all_beliefs():
        loss = loss + belief
    return Objective(model, loss)


def started(objective, shape=(5, 6), scale=0.8, kappa=0.03):
    """Raw variables (1, n) of a start that is off in everything."""
    values = objective.values(objective.current())
    C = torch.from_numpy(scale * amounts(shape) + 1.0)[None]
    t = torch.full_like(values["t"], -0.4)
    start = dict(values) | {"C": C, "t": t, "kappa": torch.full_like(values["kappa"], kappa)}
    return objective.raws(start).detach()

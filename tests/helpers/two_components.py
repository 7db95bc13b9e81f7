"""Counts of two components, each alone somewhere, and a model of one's own."""

import numpy as np

import fusion as fu
from fusion.constraints import Free, NonNegative, UnitColumns

SCAN, CHANNELS, K = (5, 6), 10, 2
PIXELS = 30


def pure(rng, n):
    """Two columns ≥ 0, each alone in some rows: the only answer of an NMF."""
    values = rng.random((n, K)) + 0.2
    values[:3, 0] = values[3:6, 1] = 0
    return values


def cube(seed=0, mean=50):
    """Counts of two components, (y, x, channel)."""
    rng = np.random.default_rng(seed)
    C, S = pure(rng, PIXELS), pure(rng, CHANNELS)
    return rng.poisson(mean * C @ S.T).astype(float).reshape(*SCAN, CHANNELS)


class Deviating(fu.Model):
    """Maps C + N of any sign beside bounded ones."""

    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, K), NonNegative())
        self.N = fu.Factor((data.pixels, K), Free())
        self.S = fu.Factor((data.channels, K), NonNegative(), UnitColumns())

    def forward(self):
        return {"a": fu.cp(self.C + self.N, self.S)}

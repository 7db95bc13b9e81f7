"""Small data and models on which the contracts of terms are checked."""

import numpy as np
import torch

import fusion as fu
from fusion import models
from fusion.constraints import Free
from fusion.testing import normal, uniform

SHAPE = (3, 4, 6)
ROWS, COLUMNS = 12, 6


def cube(seed=0, **options):
    """A small cube of counts, some of them zero."""
    counts = np.random.default_rng(seed).poisson(1.5, SHAPE)
    return fu.Dataset("a", counts.astype(float), **options)


def mixed(data, K=3):
    """An NMF with generic values, none at its bound."""
    model = models.NMF(data, K)
    model.C, model.S = uniform(ROWS, K), uniform(COLUMNS, K, seed=1)
    return model


def scattered(share=0.2):
    """A mask of single entries."""
    return np.random.default_rng(9).random(SHAPE) < share


class Coupled(fu.Model):
    """Eq. (14): a factor of any sign beside others."""

    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, 2))
        self.N = fu.Factor((data.pixels, 2), Free())
        self.S = fu.Factor((data.channels, 2))
        self.C, self.N = uniform(ROWS, 2), normal(ROWS, 2, seed=2)
        self.S = uniform(COLUMNS, 2, seed=3)

    def forward(self):
        return {"a": fu.cp(self.C + self.N, self.S)}


class Expanded(fu.Model):
    """The escape: a dense prediction of a nonlinear model."""

    def __init__(self, data):
        super().__init__()
        self.C, self.S = fu.Factor((data.pixels, 2)), fu.Factor((data.channels, 2))
        self.C, self.S = uniform(ROWS, 2), uniform(COLUMNS, 2, seed=3)

    def forward(self):
        return {"a": torch.log1p(self.C @ self.S.T)}

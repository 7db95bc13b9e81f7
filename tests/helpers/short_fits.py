"""Small counts, short fits of them, and what a complaint has to name."""

import re

import numpy as np

import fusion as fu
from fusion import models
from fusion.losses import Frobenius, Gaussian, Poisson

SHAPE = (4, 5, 8)
LOSSES = [Frobenius, Gaussian, Poisson]


def counts(shape=SHAPE, seed=0, mean=6.0):
    """Counts of two overlapping components on a scan."""
    rng = np.random.default_rng(seed)
    C, S = rng.random((int(np.prod(shape[:-1])), 2)), rng.random((shape[-1], 2))
    return rng.poisson(mean * C @ S.T).reshape(shape).astype(float)


def fit(data, loss=Frobenius, K=2, **options):
    """A short fit by NMF."""
    loss = loss(data) if isinstance(loss, type) else loss
    options = {"starts": 2, "max_steps": 15, "progress": False} | options
    return fu.fit(models.NMF(data, K), loss, **options)


def finite(result):
    """Whether an answer is one: finite factors and loss, nothing negative, no empty spectrum."""
    C, S = result.factors["C"], result.factors["S"]
    return (
        np.isfinite(result.loss)
        and np.isfinite(C).all()
        and np.isfinite(S).all()
        and C.min() >= 0
        and S.min() >= 0
        and C.max() > 0
    )


def complaint(*words):
    """A pattern that wants all these words, in order."""
    return ".*".join(re.escape(word) for word in words)


def read_only(X):
    X.flags.writeable = False
    return X


class BilinearOfSizes(fu.Model):
    """X ≈ C Sᵀ, of any sizes and under any name, whether they fit the data or not."""

    def __init__(self, pixels, channels, K, C=(), S=(), name="a"):
        super().__init__()
        self.name = name
        self.C, self.S = fu.Factor((pixels, K), *C), fu.Factor((channels, K), *S)

    def forward(self):
        return {self.name: fu.cp(self.C, self.S)}

"""Planted data with structure: lines, regions, noise; and short fits of them."""

import numpy as np
import torch

import fusion as fu
from tests.helpers.planted_factors import pure

TOLD = {"progress": False, "starts": 2}
ENERGY = fu.Axis("energy loss", 5.0, 100.0, units="eV")
E = 100 + 5.0 * np.arange(40)


def noisy(X, level, seed=0, **options):
    rng = np.random.default_rng(seed)
    return fu.Dataset("x", X + level * rng.standard_normal(X.shape), **options)


def fitted(model, loss, **options):
    return fu.fit(model, loss, **(TOLD | options))


def value_of(term, model):
    """Value of a term, a number."""
    with torch.no_grad():
        return float(term(model))


def planted_mean(seed=0, shape=(6, 7, 20), K=3):
    """(expected counts with pure rows, the random numbers to go on with)."""
    rng = np.random.default_rng(seed)
    mean = pure(rng, shape[0] * shape[1], K) @ pure(rng, shape[2], K).T
    return mean.reshape(shape), rng


SCAN = (16, 16)


def peak(x, centre, width):
    return np.exp(-0.5 * ((x - centre) / width) ** 2)


def peaks(n=40, centres=(8, 17, 27), width=5.0):
    """Overlapping lines, one a component."""
    return np.stack([peak(np.arange(n), centre, width) for centre in centres], 1)


def blocks():
    """Three phases in sharp regions, none mixed."""
    y, x = np.mgrid[:16, :16]
    phase = np.where(x < 6, 0, np.where(y + x < 22, 1, 2))
    return np.eye(3)[phase].reshape(-1, 3)


def relative_error(found, truth):
    """Relative error of a matrix."""
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)

"""Data for the tests of what is done before a fit."""

from __future__ import annotations

import numpy as np

import fusion as fu
from tests.helpers.planted_factors import pure

FULL = (4, 6, 12)


def axes(scale: float = 0.5, offset: float = 100.0):
    return (
        fu.Axis("y", 2.0, 10.0, units="nm"),
        fu.Axis("x", 2.0, units="nm"),
        fu.Axis("energy loss", scale, offset, units="eV"),
    )


def data(array=None, **options) -> fu.Dataset:
    array = np.arange(288.0).reshape(FULL) + 1 if array is None else array
    return fu.Dataset("eels", array, **({"axes": axes(), "metadata": {"kV": 300}} | options))


def poisson_counts(mean, seed: int = 0):
    return np.random.default_rng(seed).poisson(mean)


def smooth_scene(noise: float = 0.02):
    """(data (24, 26, 40), C (24, 26, 3), S): smooth maps with pure places."""
    y, x = np.mgrid[0:1:24j, 0:1:26j]
    C = np.stack([np.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.06) for a, b in ((0, 0), (1, 0.2))], -1)
    C = np.concatenate([C, (1 - C.sum(-1, keepdims=True)).clip(0)], -1)
    S = pure(np.random.default_rng(0), 40)
    X = C @ S.T
    X = X + noise * X.mean() * np.random.default_rng(1).standard_normal(X.shape)
    return fu.Dataset("a", X), C, S

"""Data for the tests of what is done before a fit."""

from __future__ import annotations

import numpy as np

import fusion as fu

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

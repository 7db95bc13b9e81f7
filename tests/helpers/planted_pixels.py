"""Counts (pixel, channel) for the estimators, and how far spectra are off."""

from __future__ import annotations

import numpy as np

import fusion as fu

K, CHANNELS = 3, 30
QUICK = fu.GaussNewton(tolerance=1e-5)


def planted(pixels: int = 60, *, counts: float = 300, seed: int = 0):
    """Counts (pixel, channel) of maps and spectra that they tell alone, and these."""
    random = np.random.default_rng(seed)
    C = counts * random.dirichlet(np.full(K, 0.3), pixels)
    x = np.linspace(0, 1, CHANNELS)[:, None]
    S = np.exp(-0.5 * ((x - np.array([0.2, 0.5, 0.8])) / 0.08) ** 2)
    return random.poisson(C @ S.T), C, S

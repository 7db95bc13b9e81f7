"""Data with a known number of components under every kind of noise."""

from __future__ import annotations

import numpy as np

import fusion as fu

PIXELS, CHANNELS = 300, 90
SIGNS = np.where(np.arange(CHANNELS) % 2, 1, -1)


def expected(rng: np.random.Generator, K: int) -> np.ndarray:
    """Mean of K components, of mean 1; without any, zero."""
    E = np.linspace(0, 1, CHANNELS)[:, None]
    S = np.exp(-0.5 * ((E - rng.random(K)) / (0.02 + 0.1 * rng.random(K))) ** 2)
    C = rng.dirichlet([0.5] * K, PIXELS) if K > 1 else 0.5 + rng.random((PIXELS, K))
    M = C @ (S + 0.1 * np.exp(-2 * E)).T
    return M / M.mean() if K else M


def correlated(rng) -> np.ndarray:
    kernel = np.array([1, 2, 3, 2, 1]) / np.sqrt(19)
    white = rng.standard_normal((PIXELS, CHANNELS + 4))
    return sum(k * white[:, i : CHANNELS + i] for i, k in enumerate(kernel))


def white(rng) -> np.ndarray:
    return rng.standard_normal((PIXELS, CHANNELS))


NOISES = {
    "many counts": lambda M, rng: rng.poisson(200 * M if M.any() else 200 + M).astype(float),
    "few counts": lambda M, rng: rng.poisson(2 * M if M.any() else 2 + M).astype(float),
    "Gaussian": lambda M, rng: M + 0.1 * white(rng),
    "uneven channels": lambda M, rng: M + 0.1 * white(rng) * (0.2 + 2 * rng.random(CHANNELS)),
    "noise grows with the signal": lambda M, rng: M * SIGNS + 0.1 * white(rng) * np.sqrt(M + 0.1),
    "clipped": lambda M, rng: np.maximum(M + 0.1 * white(rng), 0),
    "correlated": lambda M, rng: M + 0.1 * correlated(rng),
}


def data(kind: str, K: int, seed: int = 0) -> fu.Dataset:
    rng = np.random.default_rng(seed)
    return fu.Dataset("a", NOISES[kind](expected(rng, K), rng))


def quick(dataset: fu.Dataset, **options) -> fu.Ranking:
    return fu.rank(dataset, **{"ard": False, "stability": False, **options})

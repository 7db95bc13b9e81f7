"""Data of a planted number of components, with the noises that detectors have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PIXELS, CHANNELS = 400, 120
KERNEL = np.array([1, 2, 3, 2, 1]) / np.sqrt(19)
CLEAR = 1.5  # the weakest component over the largest singular value of noise
UNEVEN = 0.2 + 2 * np.random.default_rng(0).random(CHANNELS)
Array = np.ndarray


@dataclass(frozen=True)
class Noisy:
    """One kind of noise.

    Attributes:
        name: in words.
        draw: expected values (n, m) of mean 1, or all zero, → data.
        size: standard deviation of every entry.
        colour: largest amplitude of its spectrum along the channels; 1 for white noise.
        positive: whether what has no component is a constant instead of zero.
    """

    name: str
    draw: Callable[[Array, np.random.Generator], Array]
    size: Callable[[Array], Array]
    colour: float = 1.0
    positive: bool = False


def expected(rng: np.random.Generator, K: int) -> Array:
    """Mean of K components, a peak each on a common tail; of mean 1, zero where K = 0."""
    E = np.linspace(0, 1, CHANNELS)[:, None]
    S = np.exp(-0.5 * ((E - rng.random(K)) / (0.02 + 0.1 * rng.random(K))) ** 2)
    C = rng.dirichlet([0.5] * K, PIXELS) if K > 1 else 0.5 + rng.random((PIXELS, K))
    M = C @ (S + 0.1 * np.exp(-2 * E)).T
    return M / M.mean() if K else M


def standing_out(rng: np.random.Generator, K: int, noise: Noisy) -> Array:
    """Such a mean whose weakest component is 1.5 times the edge of the noise."""
    edge = noise.colour * (np.sqrt(PIXELS) + np.sqrt(CHANNELS))
    while True:
        M = expected(rng, K)
        if K == 0:
            return M
        values = np.linalg.svd(M / noise.size(M), compute_uv=False)
        if values[K - 1] > CLEAR * edge:
            return M


def _counts(level: float) -> Callable[[Array, np.random.Generator], Array]:
    return lambda M, rng: rng.poisson(level * (M if M.any() else M + 1)).astype(float)


def _gaussian(sizes: Callable[[Array], Array]) -> Callable[[Array, np.random.Generator], Array]:
    return lambda M, rng: M + sizes(M) * rng.standard_normal(M.shape)


def _clipped(M: Array, rng: np.random.Generator) -> Array:
    return np.maximum(M + 0.05 * rng.standard_normal(M.shape), 0)


def _correlated(M: Array, rng: np.random.Generator) -> Array:
    white = rng.standard_normal((len(M), CHANNELS + 4))
    return M + 0.05 * sum(k * white[:, i : CHANNELS + i] for i, k in enumerate(KERNEL))


def _scintillator(M: Array, rng: np.random.Generator) -> Array:
    """Five units a count, of which neighbours get a quarter each."""
    M = M if M.any() else M + 1
    raw = 5.0 * rng.poisson(200 * np.pad(M, ((0, 0), (1, 1)), mode="edge"))
    return raw[:, :-2] / 4 + raw[:, 1:-1] / 2 + raw[:, 2:] / 4


def _even(size: float) -> Callable[[Array], Array]:
    return lambda M: np.full(M.shape, size)


def _by_channel(M: Array) -> Array:
    return 0.05 * np.broadcast_to(UNEVEN, M.shape)


def _by_signal(M: Array) -> Array:
    return 0.05 * np.sqrt(M + 0.1)


NOISES = (
    Noisy("Poisson, 200 counts", _counts(200), lambda M: np.sqrt(M / 200), positive=True),
    Noisy("Poisson, 10 counts", _counts(10), lambda M: np.sqrt(M / 10), positive=True),
    Noisy("Gaussian", _gaussian(_even(0.05)), _even(0.05)),
    Noisy("Gaussian, by channel", _gaussian(_by_channel), _by_channel),
    Noisy("Gaussian, variance ∝ signal", _gaussian(_by_signal), _by_signal),
    Noisy("Gaussian, clipped at zero", _clipped, _even(0.05)),
    Noisy("Gaussian, correlated 0.84", _correlated, _even(0.05), float(KERNEL.sum())),
    Noisy("Poisson × 5, correlated 0.67", _scintillator, lambda M: np.sqrt(M / 200 * 0.375), 1.63,
          positive=True),
)  # fmt: skip

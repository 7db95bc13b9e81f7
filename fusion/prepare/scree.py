"""Singular values against those of noise: white, correlated along the channels, uneven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MOST = 20  # components that are looked for
LAGS = 16  # channels over which the noise may be correlated
POWER = 20  # steps to the largest singular value of simulated noise
SAFETY = 1.03  # of an edge that is simulated, or rests on correlations that were measured


@dataclass(frozen=True, eq=False)
class Scree:
    """Singular values of data (n, m) whose noise has the same size in every entry.

    Attributes:
        values: singular values over the noise level, largest first, (min(n, m),).
        edge: the largest that noise alone has.
        rank: how many lie above it.
        level: standard deviation of the noise of an entry, as found.
        correlation: of neighbouring channels' noise; `inflation`: 1 + 2 Σ of all lags.
        residual_squares: (data − components above the edge)², (n, m), raised by what these take
            of the noise of each row and column.
    """

    values: Array
    edge: float
    rank: int
    level: float
    correlation: float
    inflation: float
    residual_squares: Array

    @property
    def over_edge(self) -> Array:
        """Singular values over the largest that noise alone has."""
        return self.values / self.edge


def scree(X: Array, profile: Callable[[Array], Array] | None = None) -> Scree:
    """The singular values of X, and which of them stand out of the noise.

    Components are taken off, the largest first, as long as they stand out of noise that is as
    strong and as correlated along the channels as all that is left. Its largest singular value is
    known from random matrix theory; where the noise differs from entry to entry it is simulated.

    Args:
        X: (n, m), entries in units of their expected noise.
        profile: signal (n, m), in the unit of X, → variance of every entry, up to a factor.

    References:
        Silverstein & Choi, J. Multivariate Anal. 54:295 (1995); Johnstone, Ann. Stat. 29:295
        (2001).
    """
    n, m = X.shape
    values, left, right = _svd(X)
    most = min(MOST, min(n, m) // 4)
    left_over = np.append(np.cumsum(values[::-1] ** 2)[::-1], 0.0)  # Σ of all from this one on

    def level(rank: int) -> float:
        freedom = (n - rank) * (m - rank)
        return max(float(np.sqrt(left_over[rank] / freedom)), np.finfo(float).tiny)

    rank, rest, correlations, edge = 0, X, np.zeros(0), 0.0
    for rank in range(most + 1):
        # a component that is signal must not pass for correlated noise
        after = rest - values[rank] * np.outer(left[:, rank], right[rank]) if rank < most else rest
        correlations = _correlations(after / level(min(rank + 1, most)))
        edge = _edge(n, m, correlations)
        if profile is not None and values[rank] > edge * level(rank):
            edge = max(edge, _simulated(profile(X - rest), correlations))
        if values[rank] <= edge * level(rank) or rank == most:
            break
        rest = after
    taken = (left[:, :rank] ** 2).sum(1), (right[:rank] ** 2).sum(0)  # leverage
    return Scree(
        values=values / level(rank),
        edge=edge,
        rank=rank,
        level=level(rank),
        correlation=float(correlations[0]) if correlations.size else 0.0,
        inflation=max(1.0 + 2 * float(correlations.sum()), 0.0),
        residual_squares=rest**2 / np.outer(*(1 - part.clip(max=0.9) for part in taken)),
    )


def _svd(X: Array) -> tuple[Array, Array, Array]:
    """Thin SVD through the smaller Gram matrix, (values, (n, r), (r, m))."""
    tall = X.shape[0] >= X.shape[1]
    squares, vectors = np.linalg.eigh(X.T @ X if tall else X @ X.T)
    values, vectors = np.sqrt(np.maximum(squares[::-1], 0.0)), vectors[:, ::-1]
    scale = np.maximum(values, 1e-7 * values[0] if values[0] > 0 else 1.0)
    if tall:
        return values, X @ vectors / scale, vectors.T
    return values, vectors, (vectors.T @ X) / scale[:, None]


def _edge(n: int, m: int, correlations: Array) -> float:
    """Largest singular value of an (n, m) matrix of unit noise with these correlations.

    √(n min_α α + (α m / n) mean(t / (α − t))), t the power spectrum of the noise; for white noise
    √n + √m. Three deviations of the largest eigenvalue are added.
    """
    from scipy.optimize import minimize_scalar

    t = _power(m, correlations)
    t = np.concatenate([t, t[1 : (m + 1) // 2]])  # both signs of every frequency
    top = float(t.max())

    def bound(log: float) -> float:
        alpha = top * (1 + np.exp(log))
        return float(alpha * (1 + m / n * np.mean(t / (alpha - t))))

    found: Any = minimize_scalar(bound, bounds=(-15, 15), method="bounded")
    root = np.sqrt(n) + np.sqrt(m)
    spread = root * (1 / np.sqrt(n) + 1 / np.sqrt(m)) ** (1 / 3)
    margin = SAFETY if correlations.size else 1.0
    return margin * float(np.sqrt(n * found.fun * (1 + 3 * spread / root**2)))


def _power(m: int, correlations: Array) -> Array:
    """Power spectrum, mean 1, of noise over m channels with these correlations."""
    lags = np.zeros(m)
    lags[0] = 1.0
    if correlations.size:
        lags[1 : 1 + correlations.size] = correlations
        lags[m - correlations.size :] = correlations[::-1]
    return np.maximum(np.fft.rfft(lags).real, 0.0)


def _simulated(variance: Array, correlations: Array) -> float:
    """Largest singular value of noise with this variance in every entry, mean 1."""
    m = variance.shape[1]
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(variance.shape)
    if correlations.size:
        power = np.sqrt(_power(m, correlations))
        noise = np.fft.irfft(np.fft.rfft(noise, axis=1) * power, n=m, axis=1)
    noise *= np.sqrt(np.maximum(variance, 0.0) / max(float(variance.mean()), 1e-300))
    vector = rng.standard_normal(m)
    for _ in range(POWER):
        vector = noise.T @ (noise @ vector)
        vector /= max(float(np.linalg.norm(vector)), 1e-300)
    return SAFETY * float(np.linalg.norm(noise @ vector))


def _correlations(residual: Array) -> Array:
    """Correlation of channels 1, 2, … apart, up to the first that could be chance."""
    m = residual.shape[1]
    lags = range(1, min(LAGS, m // 4) + 1)
    found = np.array([(residual[:, :-lag] * residual[:, lag:]).mean() for lag in lags])
    chance = 4 / np.sqrt(residual.size)
    small = np.flatnonzero(found < max(chance, 0.02))
    return found[: small[0]] if small.size else found

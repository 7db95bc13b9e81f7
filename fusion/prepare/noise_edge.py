"""The largest singular value of noise: white, correlated along the channels, uneven."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRAWS = 3  # of uneven noise
SAFETY = 1.03  # of an edge that rests on correlations that were measured


def even_edge(n: int, m: int, correlations: Array) -> float:
    """Largest singular value of an (n, m) matrix of unit noise with these correlations.

    √(n min_α α + (α m / n) mean(t / (α − t))), t the power spectrum of the noise; for white noise
    √n + √m. Three deviations of the largest eigenvalue are added.
    """
    from scipy.optimize import minimize_scalar

    t = _power_spectrum(m, correlations)
    t = np.concatenate([t, t[1 : (m + 1) // 2]])  # both signs of every frequency
    top = float(t.max())

    def bound(log: float) -> float:
        alpha = top * (1 + np.exp(log))
        return float(alpha * (1 + m / n * np.mean(t / (alpha - t))))

    minimum: Any = minimize_scalar(bound, bounds=(-15, 15), method="bounded")
    return _with_margin(float(np.sqrt(n * minimum.fun)), n, m, correlations, 3)


def uneven_edge(squares: Array, correlations: Array, asked: float) -> float:
    """Largest singular value of noise that is as large as a residual in every entry.

    The residual with signs by chance; where neighbours are correlated, noise as correlated is drawn
    instead, as large as the residual around every entry. 0 where it is surely below `asked`, by the
    norms of rows and columns.

    Args:
        squares: of the residual, (n, m).
    """
    from scipy.ndimage import uniform_filter1d
    from scipy.sparse.linalg import svds

    squares /= squares.mean()  # the caller has no other use for them
    n, m = squares.shape
    power = np.sqrt(_power_spectrum(m, correlations))
    if correlations.size:
        squares = uniform_filter1d(squares, 2 * correlations.size + 1, axis=1, mode="nearest")
        squares = squares.clip(0, out=squares)  # a moving sum leaves less than 0 behind a peak
    norms = np.sqrt(squares.sum(1).max()) + np.sqrt(squares.sum(0).max())
    if power.max() * (norms + np.sqrt(np.log(n + m) * squares.max())) < asked:
        return 0.0
    rng, singular_values = np.random.default_rng(0), []
    sizes = np.sqrt(squares, out=squares)
    for _ in range(DRAWS):
        noise = _drawn(sizes, correlations, power, rng)
        start = rng.standard_normal(min(n, m))
        options: Any = {"k": 1, "v0": start, "tol": 1e-3, "return_singular_vectors": False}
        singular_values += np.asarray(svds(noise, **options)).tolist()
        del noise  # before the next are drawn
    return _with_margin(float(np.mean(singular_values)), n, m, correlations, 4)


def _drawn(sizes: Array, correlations: Array, power: Array, rng: np.random.Generator) -> Array:
    """Noise of these sizes, with signs by chance, or as correlated."""
    if not correlations.size:
        signs = 2 * rng.integers(0, 2, sizes.shape, dtype=np.int8) - 1
        return signs * sizes
    noise = np.fft.rfft(rng.standard_normal(sizes.shape), axis=1)
    noise *= power
    noise = np.fft.irfft(noise, n=sizes.shape[1], axis=1)
    noise *= sizes
    return noise


def hard_threshold(n: int, m: int) -> float:
    """Optimal hard threshold of singular values, over the edge of the noise.

    √(2(β + 1) + 8β / (β + 1 + √(β² + 14β + 1))) / (1 + √β), β = m / n ≤ 1. Components below it
    are mostly noise: the data without them are nearer to the truth.

    References:
        Gavish & Donoho, IEEE Trans. Inf. Theory 60:5040 (2014).
    """
    beta = min(n, m) / max(n, m)
    threshold = 2 * (beta + 1) + 8 * beta / (beta + 1 + np.sqrt(beta**2 + 14 * beta + 1))
    return float(np.sqrt(threshold) / (1 + np.sqrt(beta)))


def shrink(values: Array, edge: float, n: int, m: int) -> Array:
    """Optimal shrinkage √((y² − β − 1)² − 4β) / y, y in units where the edge is 1 + √β.

    References:
        Gavish & Donoho, IEEE Trans. Inf. Theory 63:2137 (2017).
    """
    beta = min(n, m) / max(n, m)
    unit = edge / (1 + np.sqrt(beta))
    y = values / unit
    return unit * np.sqrt(np.maximum((y**2 - beta - 1) ** 2 - 4 * beta, 0.0)) / y


def _with_margin(edge: float, n: int, m: int, correlations: Array, deviations: float) -> float:
    """So many deviations of a largest eigenvalue above; more where correlations were measured."""
    root = np.sqrt(n) + np.sqrt(m)
    spread = root * (1 / np.sqrt(n) + 1 / np.sqrt(m)) ** (1 / 3)
    margin = SAFETY if correlations.size else 1.0
    return margin * edge * float(np.sqrt(1 + deviations * spread / root**2))


def _power_spectrum(m: int, correlations: Array) -> Array:
    """Power spectrum, mean 1, of noise over m channels with these correlations."""
    lags = np.zeros(m)
    lags[0] = 1.0
    if correlations.size:
        lags[1 : 1 + correlations.size] = correlations
        lags[m - correlations.size :] = correlations[::-1]
    return np.maximum(np.fft.rfft(lags).real, 0.0)

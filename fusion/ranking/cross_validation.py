"""Speckled cross-validation: entries are held out and predicted by low-rank fits of the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.completion import complete
from fusion.algebra.seeds import generator
from fusion.prepare.noise import Noise
from fusion.ranking.criterion import Array, Criterion, integers

SHARE = 0.1  # of the entries are held out at a time
FOLDS = 3
ERRORS = 2.0  # standard errors by which more components must be better


def held_out(noise: Noise, most: int, *, seed: int = 0) -> Criterion:
    """Mean square error of entries that the fit has not seen, in units of the noise.

    Components that are signal predict them, components that are noise do not: the smallest K is
    chosen that no other beats by two standard errors of their difference. Where neighbouring
    channels share their noise, runs are held out and the channel in the middle is predicted.

    References:
        Wold, Technometrics 20:397 (1978); Owen & Perry, Ann. Appl. Stat. 3:564 (2009).
    """
    X = noise.scree.scaled
    most = max(min(most, min(X.shape) - 2), 0)
    rng = generator(seed)
    count, sums, products = 0, np.zeros(most + 1), np.zeros((most + 1, most + 1))
    for _ in range(FOLDS):
        hidden, scored = speckle(X.shape, noise.scree.correlations.size, rng)
        squares = _squared_errors(X, hidden, scored, most)  # (K, entry)
        count += squares.shape[1]
        sums += squares.sum(1)
        products += squares @ squares.T
        del squares  # before those of the next fold
    curve = sums / count
    best = int(curve.argmin())
    own = products.diagonal()
    worse = (own - 2 * products[best] + own[best]) / count - (curve - curve[best]) ** 2
    error = np.sqrt(np.maximum(worse, 0.0) / count)
    chosen = int(np.flatnonzero(curve - curve[best] <= ERRORS * error)[0])
    said = f"entries held out are predicted best with {chosen}"
    said += " or more, which are not tried." if chosen == most else "."
    return Criterion(
        "held-out entries", "square error / noise", integers(0, most + 1), curve, chosen, said,
        minimum=True,
    )  # fmt: skip


def speckle(
    shape: tuple[int, int], reach: int, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(entries that are held out, those of them that are scored), drawn at random."""
    width = 2 * reach + 1
    scored = rng.random(shape) < SHARE / width
    if not scored.any():
        scored[rng.integers(shape[0]), rng.integers(shape[1])] = True
    hidden = scored.copy()
    for lag in range(1, reach + 1):
        hidden[:, lag:] |= scored[:, :-lag]
        hidden[:, :-lag] |= scored[:, lag:]
    return hidden, scored


def _squared_errors(X: Array, hidden: NDArray, scored: NDArray, most: int) -> Array:
    """Squared errors of the scored entries for K = 0 … most, (most + 1, entry)."""
    scored_hidden, true = scored[hidden], X[scored]
    filled = np.where(hidden, 0.0, X)
    V, errors = np.zeros((X.shape[1], 0)), np.empty((most + 1, true.size))
    errors[0] = true**2
    for k in range(1, most + 1):
        V = np.concatenate([V, _next_direction(filled, V)], axis=1)
        filled, V, guess = complete(filled, hidden, V)
        errors[k] = (true - guess[scored_hidden]) ** 2
    return errors


def _next_direction(filled: Array, V: Array, steps: int = 8) -> Array:
    """The strongest direction that V does not hold, (m, 1), by power steps."""
    v = np.random.default_rng(0).standard_normal((filled.shape[1], 1))
    for _ in range(steps):
        v = v - V @ (V.T @ v)
        v = filled.T @ (filled @ (v / max(float(np.linalg.norm(v)), 1e-300)))
    v = v - V @ (V.T @ v)
    return v / max(float(np.linalg.norm(v)), 1e-300)

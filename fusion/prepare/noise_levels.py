"""The size of the noise of every entry: by its mean, by its place, behind a clipping at zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.prepare.scree import Scree, equaliser, scree_test

Array = NDArray[np.float64]

ROUNDS = 5  # of noise and components, each from the other
ROWS = 512  # pixels, spread over all, from which gain and read-out are told by turns
SETTLED = 0.01  # relative change of the noise, at which they end
UNEVEN = 0.3  # relative spread of channels' variances from which they do not follow the mean
FULL = 100  # entries of a level, at least
LEVELS = 30  # of the signal, in which variance and mean are compared
CLIPPED = 0.01  # share of zeros from which values may have been cut off there
NEAR = 0.5  # of the noise: values so close above the cut are as frequent as zeros, or
RATIO = 0.1  # this share of them at least


def noise_by_mean(X: Array, rows: Array, columns: Array) -> tuple[Scree, float, float, Array]:
    """(scree, gain, read-out, levels) where the variance follows the mean of pixel and channel.

    Entries are divided by a number of their pixel times one of their channel: by anything else, a
    component would become several.
    """
    step = -(-min(X.shape) // ROWS)
    if step == 1:
        return _by_turns(X, rows, columns)
    _, gain, readout, levels = _by_turns(X[::step], rows[::step], columns)
    return _divided(X, rows, columns, gain, readout), gain, readout, levels


def _by_turns(X: Array, rows: Array, columns: Array) -> tuple[Scree, float, float, Array]:
    """The same; components tell what is noise, the noise what is a component."""
    places = _levels_of(X, rows, columns)
    guesses = (_gain_readout(_transfer_curve(np.outer(*equaliser(X)), *places)), (1.0, 0.0))
    (gain, readout), scree = min(
        ((start, _divided(X, rows, columns, *start)) for start in guesses),
        key=lambda each: each[1].rank,
    )
    levels = np.zeros((0, 2))
    for iteration in range(ROUNDS):
        scree = scree if iteration == 0 else _divided(X, rows, columns, gain, readout)
        size = _sizes(X, rows, columns, gain, readout)
        levels = _transfer_curve(scree.residual_squares * size**2, *places)
        before, (gain, readout) = gain, _gain_readout(levels)
        if abs(gain - before) < SETTLED * gain:
            break
    return scree, gain, readout, levels


def _divided(X: Array, rows: Array, columns: Array, gain: float, readout: float) -> Scree:
    """The scree of the entries in units of their noise."""
    scaled = _sizes(X, rows, columns, gain, readout)
    return scree_test(np.divide(X, scaled, out=scaled))


def _sizes(X: Array, rows: Array, columns: Array, gain: float, readout: float) -> Array:
    """Standard deviation of the noise of every entry."""
    across, along = (gain * means + readout for means in (rows, columns))
    sizes = np.outer(across, along)
    sizes /= gain * X.mean() + readout
    return np.sqrt(sizes, out=sizes)


def equal_in_all_channels(scree: Scree) -> bool:
    """Whether the residual is as large in all channels: their means tell the noise."""
    spread = scree.residual_squares.mean(0)
    chance = 4 * np.sqrt(2 / len(scree.residual_squares))
    return bool(spread.std() / spread.mean() < max(UNEVEN, chance))


def _levels_of(X: Array, rows: Array, columns: Array) -> tuple[list[NDArray[np.intp]], Array]:
    """(which entries have one expected level, the mean of these), per level."""
    order = np.argsort(np.outer(rows, columns), axis=None)
    groups = np.array_split(order, max(2, min(LEVELS, X.size // FULL)))
    return groups, np.array([X.reshape(-1)[group].mean() for group in groups]).clip(0)


def _transfer_curve(squares: Array, groups: list[NDArray[np.intp]], level: Array) -> Array:
    """(mean, variance) of entries of one expected level each, (level, 2)."""
    return np.stack([level, [squares.reshape(-1)[group].mean() for group in groups]], axis=1)


def _gain_readout(levels: Array) -> tuple[float, float]:
    """(gain, read-out) of variance = gain × mean + read-out, both ≥ 0."""
    from scipy.optimize import nnls

    level, variance = levels.T
    scale = float(level.mean())
    design = np.stack([level / scale, np.ones_like(level)], axis=1)
    expected, slope, offset = level + 1e-3 * scale, 0.0, 0.0
    for _ in range(2):  # weights of what was seen would favour levels that happen to vary little
        (slope, offset), _ = nnls(design / expected[:, None], variance / expected)
        expected = np.maximum(design @ [slope, offset], 1e-3 * variance.max())
    return float(slope / scale), float(offset)


def noise_by_pixel_and_channel(X: Array) -> tuple[Scree, Array, Array]:
    """(scree, noise of every pixel, of every channel) where the mean does not tell the noise.

    Pixels and channels have a noise level each.
    """
    rows, columns = (np.sqrt(variances) for variances in equaliser(X))
    scree = None
    for _ in range(ROUNDS):
        if scree is not None:
            squares = scree.residual_squares
            change = np.sqrt(squares.mean(0))
            if np.ptp(change) < SETTLED:
                break
            columns = columns * np.where(change > 0, change, 1.0)  # 0: nothing tells its noise
            rows = rows * np.sqrt(squares.mean(1) / squares.mean())
            rows = rows.clip(np.median(rows) / 4, np.median(rows) * 4)
        scree = scree_test(X / np.outer(rows, columns))
    assert scree is not None
    return scree, rows, scree.level * columns


def impute_clipped(X: Array) -> tuple[Array, float]:
    """(X with values below zero for zeros, share of these) where X was clipped at zero.

    A bound cuts the noise on one side: its mean is no longer that of the signal, which adds
    components, and its size follows the signal. Zeros are drawn from the noise below zero around
    the components, found by turns, so that what is left is the noise as it was (stochastic
    imputation of a censored normal variable; Tobin, Econometrica 26:24 (1958)).
    """
    from scipy.special import ndtr, ndtri

    zero = X == 0
    share = float(zero.mean())
    if X.min() < 0 or share < CLIPPED or could_be_counts(X):
        return X, 0.0
    drawn = np.random.default_rng(0).random(X.shape)
    full = X
    for iteration in range(ROUNDS):
        scree, rows, columns = noise_by_pixel_and_channel(full)
        size = np.outer(rows, columns)
        if iteration == 0 and (X[~zero] < NEAR * size[~zero]).sum() < RATIO * zero.sum():
            return X, 0.0  # nothing between zero and the rest: zeros of another origin
        mean = scree.signal * size
        below = ndtri(np.maximum(drawn * ndtr(-mean / size), 1e-300))
        full = np.where(zero, mean + size * below, X)
    return full, share


def could_be_counts(X: NDArray) -> bool:
    """Whether all values could be counts."""
    return bool(X.min() >= 0 and np.array_equal(X, np.round(X)))

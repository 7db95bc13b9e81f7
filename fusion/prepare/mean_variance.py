"""The variance of every entry where it follows the mean: gain × mean + read-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.prepare.denoise import Estimated, principal_components

if TYPE_CHECKING:
    from fusion.prepare.noise import Noise

Array = NDArray[np.float64]

ROUNDS = 2  # of mean and variance, each from the other
CLOSE = 0.1  # relative rms difference up to which one value a pixel times one a channel is enough
HALF = 0.5  # a count that could have been where there was none
RIDGE = 1e-9  # holds what the entries that are seen do not tell


def variance_by_mean(data: Dataset, noise: Noise) -> Array:
    """Variance of every entry, (pixel, channel), from the mean that the data show.

    One value a pixel times one a channel where that is right to 10 %, as losses are quicker with
    it. Else the mean comes from the components that stand clearly out of the noise: a phase with
    an edge of its own is noisier behind that edge than the mean spectrum tells.
    """
    gain = 1.0 if noise.counts else noise.gain
    simple = _by_pixel_and_channel(data, gain, noise.readout)
    if noise.scree.clear < 2:
        return simple
    full = _by_components(data, noise, gain)
    return simple if np.sqrt(np.mean((simple / full - 1) ** 2)) < CLOSE else full


def _by_pixel_and_channel(data: Dataset, gain: float, readout: float) -> Array:
    """From the means of pixels and of channels; half a count in each: never zero."""
    stats = tally(data)
    rows, columns = (np.nan_to_num(means).clip(0) for means in (stats.row_means, stats.means))
    half = HALF * gain  # in the unit of the data
    per_pixel = gain * (rows + half / columns.size) + readout
    per_channel = gain * (columns + half / rows.size) + readout
    return per_pixel[:, None] * (per_channel / per_channel.mean())


def _by_components(data: Dataset, noise: Noise, gain: float) -> Array:
    """From weighted least squares with as many components as are clear of the noise.

    Left and right factors are solved for by turns, every entry with the weight that the mean before
    gives it. Where a mean is not above half a count, spread over as many entries as it rests on,
    that is taken.

    References:
        Gabriel & Zamir, Technometrics 21:489 (1979): low-rank approximation with any weights.
    """
    K = min(noise.scree.clear, *data.matrix_shape)
    components = principal_components(data, K, Estimated().sizes(data, noise))
    values, masked, left, right = (tensor.cpu().numpy() for tensor in components)
    values = np.where(masked, 0.0, values)

    def variance() -> Array:
        least = HALF * gain * np.maximum(_leverages(left, right), 1 / len(left) + 1 / len(right))
        return gain * np.maximum(left @ right.T, least) + noise.readout

    for _ in range(ROUNDS):
        weights = np.where(masked, 0.0, 1 / variance())
        left = _solved(weights, values, right)
        right = _solved(weights.T, values.T, left)
    return variance()


def _solved(weights: Array, values: Array, factor: Array) -> Array:
    """Weighted least squares of every row of values (n, m) on a factor (m, K), (n, K)."""
    K = factor.shape[1]
    products = (factor[:, :, None] * factor[:, None, :]).reshape(-1, K * K)
    grams = (weights @ products).reshape(-1, K, K)
    sizes = np.trace(grams, axis1=1, axis2=2)[:, None, None]
    grams += RIDGE * sizes * np.eye(K) + (sizes == 0) * np.eye(K)
    return np.linalg.solve(grams, ((weights * values) @ factor)[..., None])[..., 0]


def _leverages(left: Array, right: Array) -> Array:
    """One over how many entries each of L Rᵀ rests on."""
    rows, columns = ((np.linalg.qr(each)[0] ** 2).sum(1) for each in (left, right))
    return rows[:, None] + columns

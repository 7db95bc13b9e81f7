"""Where the first edge of core-loss spectra begins: the first excess over their background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

AHEAD = 6.0
"""eV over which an excess is looked for: so much, at most, the onset is found too early."""
CLEAR = 5.0
"""Standard deviations of an excess."""
BEFORE = 0.05
"""Share of the channels that are taken as background from the first on."""


def power_laws(energies: Array, exponents: tuple[float, ...]) -> Array:
    """E^(−r) for every exponent r, 1 at the geometric mean of the energies, (channel, law)."""
    relative = energies / np.exp(np.log(energies).mean())
    return relative[:, None] ** -np.asarray(exponents)


def first_onset(energies: Array, mean: Array, exponents: tuple[float, ...]) -> int | None:
    """The first channel from which the mean spectrum rises above the power laws fitted before it.

    They are fitted, with weights of counts, to the channels before each candidate; the channels of
    the next few eV are held against what they say there. None: nowhere.

    Args:
        energies: (channel,) eV, rising, > 0.
        mean: (channel,) mean spectrum.
        exponents: of the power laws.
    """
    n, step = len(mean), float(np.median(np.diff(energies)))
    ahead = max(3, round(AHEAD / step))
    least = max(4 * len(exponents), ahead, round(BEFORE * n))
    if n < least + ahead:
        return None
    laws = power_laws(energies, exponents)
    counts = np.maximum(mean, mean.max() * 1e-3)
    noise = _noise(mean / np.sqrt(counts))
    scaled = laws / np.sqrt(counts)[:, None]
    grams = np.cumsum(scaled[:, :, None] * scaled[:, None, :], 0)
    met = np.cumsum(scaled * (mean / np.sqrt(counts))[:, None], 0)
    ends = np.arange(least, n - ahead + 1)
    fitted = np.linalg.solve(grams[ends - 1], met[ends - 1][:, :, None])[:, :, 0]
    sums = np.concatenate([np.zeros((1, laws.shape[1])), np.cumsum(laws, 0)])
    law = sums[ends + ahead] - sums[ends]
    total = np.concatenate([[0.0], np.cumsum(mean)])
    excess = total[ends + ahead] - total[ends] - (law * fitted).sum(1)
    own = np.concatenate([[0.0], np.cumsum(counts)])
    told = np.linalg.solve(grams[ends - 1], law[:, :, None])[:, :, 0]
    left = np.cumsum(mean**2 / counts)[ends - 1] - (met[ends - 1] * fitted).sum(1)
    noise = np.maximum(noise, np.sqrt(np.maximum(left, 0) / (ends - laws.shape[1])))
    spread = noise * np.sqrt(own[ends + ahead] - own[ends] + (law * told).sum(1))
    found = np.flatnonzero(excess > CLEAR * np.maximum(spread, 1e-12 * np.abs(total[-1])))
    return int(ends[found[0]]) if found.size else None


def _noise(scaled: Array) -> float:
    """Standard deviation of what differs from channel to channel, from third differences."""
    return float(np.median(np.abs(np.diff(scaled, 3))) / 0.6745 / np.sqrt(20))

"""Criteria that read the singular values alone: of data in units of their noise."""

from __future__ import annotations

import numpy as np

from fusion.prepare.noise import Noise
from fusion.ranking.criterion import Array, Criterion, integers

LEVEL = 0.05  # of the F-test
MARGIN = 0.02  # of the real error over the noise: about what a measured gain is good for


def noise_edge(noise: Noise, most: int) -> Criterion:
    """Singular values over the largest that noise alone has; those count that exceed 1 clearly.

    References:
        Johnstone, Ann. Stat. 29:295 (2001); Hong, Sheng & Dobriban, arXiv:2012.02985 (2020);
        Gavish & Donoho, IEEE Trans. Inf. Theory 60:5040 (2014).
    """
    above, K, values = noise.scree.rank, noise.scree.clear, noise.scree.over_edge[:most]
    said = f"{above} exceed{'s' * (above == 1)} the largest of pure noise"
    said += f", {above - K} of them hardly." if above > K else "."
    return Criterion(
        "noise edge", "singular value / edge", integers(1, len(values)), values, K, said,
        line=1.0, log=True,
    )  # fmt: skip


def real_error(noise: Noise, most: int) -> Criterion:
    """RE(K) = √(Σ_{j>K} λ_j / (n (m − K))), in units of the noise; n ≥ m.

    The number of components is the first K at which RE has fallen to the size of the noise: known
    beforehand for counts. Where the noise was measured as what the components leave over, the
    comparison would be one with itself.

    References:
        Malinowski, Factor Analysis in Chemistry, 3rd ed. (2002), 4.3.
    """
    curve = _real_error(noise, most)
    chosen, said = None, "the size of the noise is not known beforehand: shown, chooses nothing."
    if noise.counts:
        curve = curve * np.sqrt(noise.gain) * noise.scree.level
        below = np.flatnonzero(curve <= 1 + MARGIN)
        chosen = int(below[0]) if below.size else None
        said = f"with {chosen} components what is left has the size of counting noise."
        if chosen is None:
            said = "what is left stays above counting noise: other noise, or more components."
    return Criterion(
        "RE", "real error / noise", integers(0, len(curve)), curve, chosen, said, line=1.0, log=True
    )


def indicator(noise: Noise, most: int) -> Criterion:
    """IND(K) = RE(K) / (m − K)², whose minimum is an empirical choice.

    References:
        Malinowski, Anal. Chem. 49:612 (1977).
    """
    _, m = _sides(noise)
    error = _real_error(noise, most)
    curve = error / (m - np.arange(len(error))) ** 2.0
    chosen = int(curve.argmin())
    said = f"its minimum is at {chosen}"
    said += " or beyond, where it is not looked for." if chosen == len(curve) - 1 else "."
    return Criterion("IND", "IND", integers(0, len(curve)), curve, chosen, said, minimum=True)


def reduced_eigenvalues(noise: Noise, most: int) -> Criterion:
    """REV_k = λ_k / ((n − k + 1)(m − k + 1)): alike for noise; F-test of each with the later ones.

    F(1, s − k) = REV_k Σ_{j>k} (n − j + 1)(m − j + 1) / Σ_{j>k} λ_j; significant ones are counted
    until the first that is not.

    References:
        Malinowski, J. Chemometrics 3:49 (1989).
    """
    from scipy.special import fdtrc

    (n, m), squares = _sides(noise), noise.scree.values**2
    s = len(squares)
    j = np.arange(1, s + 1)
    sizes = (n - j + 1.0) * (m - j + 1.0)
    # sums from the far end: a difference of sums would lose the small ones behind a large first
    sizes_after, squares_after = (np.cumsum(x[::-1])[::-1][1:] for x in (sizes, squares))
    floor = np.finfo(float).eps ** 2 * squares.sum() + np.finfo(float).tiny
    F = (squares / sizes)[: s - 1] * sizes_after / np.maximum(squares_after, floor)
    probability = fdtrc(1, s - j[: s - 1], F)[:most]
    chance = np.flatnonzero(probability > LEVEL)
    chosen = int(chance[0]) if chance.size else len(probability)
    curve = (squares / sizes)[:most]
    said = f"{chosen} differ{'s' * (chosen == 1)} from the later ones"
    said += f" by an F-test at {100 * LEVEL:g} %."
    return Criterion("REV", "reduced eigenvalue", integers(1, len(curve)), curve, chosen, said,
                     log=True)  # fmt: skip


def broken_stick(noise: Noise, most: int) -> Criterion:
    """λ_k / Σ λ against (1/s) Σ_{j≥k} 1/j, the shares of a stick that is broken at random.

    The noise is no part of it: it counts components that dominate and misses weak ones.

    References:
        Jackson, Ecology 74:2204 (1993).
    """
    squares = noise.scree.values**2
    s = len(squares)
    stick = np.cumsum(1.0 / np.arange(s, 0, -1))[::-1] / s
    curve = squares / squares.sum() / stick
    below = np.flatnonzero(curve < 1)
    chosen = int(below[0]) if below.size else s
    curve = curve[:most]
    said = f"{chosen} explain{'s' * (chosen == 1)} more than a share by chance."
    return Criterion(
        "broken stick", "share / broken stick", integers(1, len(curve)), curve, chosen, said,
        line=1.0, log=True,
    )  # fmt: skip


def _sides(noise: Noise) -> tuple[int, int]:
    """(longer, shorter) side of the matrix."""
    n, m = noise.scree.scaled.shape
    return max(n, m), min(n, m)


def _real_error(noise: Noise, most: int) -> Array:
    """RE(0), …, RE(most), in units of the noise."""
    n, m = _sides(noise)
    squares = noise.scree.values**2
    tails = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
    K = np.arange(min(most, m - 1) + 1)
    return np.sqrt(tails[K] / (n * (m - K)))

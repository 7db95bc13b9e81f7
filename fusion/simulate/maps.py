"""Where the phases are: grains, layers, particles, thickness; site weights against the tilt."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.calls import checked_call
from fusion.algebra.seeds import generator

Array = NDArray[np.float64]


@checked_call
def grain_maps(
    shape: tuple[int, int], K: int, *, grains: int | None = None, blur: float = 1.5, seed: int = 0
) -> Array:
    """Grains of K phases (Voronoi cells), mixed where they meet.

    Args:
        shape: (y, x), pixels.
        K: number of phases.
        grains: number of grains, at least K; by default 3 a phase.
        blur: standard deviation of the mixing at a boundary, pixels.
        seed: of the random numbers.

    Returns:
        Shares ≥ 0 that sum to one in every pixel, shape (y, x, K).

    Raises:
        ValueError: if K < 1, there are fewer grains than phases, or fewer pixels than grains.
    """
    grains = 3 * K if grains is None else grains
    if not 1 <= K <= grains <= shape[0] * shape[1]:
        raise ValueError(
            f"`grain_maps`: K = {K} phases in {grains} grains on {shape} pixels: "
            "give K ≥ 1, K grains or more, and a pixel for each."
        )
    rng = generator(seed)
    centres = _distant_points(rng, shape, grains)
    grid = np.moveaxis(np.indices(shape), 0, -1)  # (y, x, 2)
    nearest = ((grid[:, :, None] - centres) ** 2).sum(-1).argmin(-1)
    phase = rng.permutation(grains) % K  # every phase has its share of the grains
    return delocalise(np.eye(K)[phase[nearest]], blur)


@checked_call
def layer_maps(
    shape: tuple[int, int], K: int, *, waviness: float = 2.0, blur: float = 1.5, seed: int = 0
) -> Array:
    """K layers stacked along y, with wavy interfaces at which they mix.

    Args:
        shape: (y, x), pixels.
        K: number of layers.
        waviness: standard deviation of an interface's height, pixels.
        blur: standard deviation of the mixing at an interface, pixels.
        seed: of the random numbers.

    Returns:
        Shares ≥ 0 that sum to one in every pixel, shape (y, x, K).

    Raises:
        ValueError: if K < 1, or there are fewer rows than layers.
    """
    from scipy.ndimage import gaussian_filter1d

    if not 1 <= K <= shape[0]:
        raise ValueError(f"`layer_maps`: K = {K} layers in {shape[0]} rows: give 1 ≤ K ≤ rows.")
    rng = generator(seed)
    waves = gaussian_filter1d(rng.standard_normal((K - 1, shape[1])), shape[1] / 10, mode="wrap")
    waves *= waviness / np.maximum(waves.std(axis=1, keepdims=True), 1e-12)
    heights = np.arange(1, K)[:, None] * shape[0] / K + waves  # (interface, x)
    layer = (np.arange(shape[0])[:, None, None] >= heights).sum(axis=1)  # (y, x)
    return delocalise(np.eye(K)[layer], blur)


@checked_call
def particle_maps(
    shape: tuple[int, int],
    radii: tuple[float, ...] = (0.27, 0.36),
    *,
    blur: float = 1.0,
    seed: int = 0,
) -> Array:
    """A particle in its surroundings: a core, shells around it, and the matrix outside.

    Args:
        shape: (y, x), pixels.
        radii: of the core and of every shell, rising, in units of the shorter side.
        blur: standard deviation of the mixing at an interface, pixels.
        seed: of the particle's outline.

    Returns:
        Shares ≥ 0 that sum to one in every pixel, core first, matrix last, shape (y, x, len(radii)
        + 1).

    Raises:
        ValueError: if the radii do not rise.
    """
    if any(b <= a for a, b in zip((0.0, *radii), radii, strict=False)):
        raise ValueError(f"`particle_maps`: radii {radii}: give positive numbers that rise.")
    rng = generator(seed)
    y, x = np.indices(shape) - (np.array(shape).reshape(2, 1, 1) - 1) / 2
    angle, radius = np.arctan2(y, x), np.hypot(y, x) / min(shape)
    for order in (2, 3, 5):
        radius = radius * (1 + 0.15 / order * np.cos(order * angle + rng.uniform(0, 2 * np.pi)))
    zone = (radius[..., None] >= np.array(radii)).sum(-1)
    return delocalise(np.eye(len(radii) + 1)[zone], blur)


@checked_call
def delocalise(maps: ArrayLike, width: float) -> Array:
    """Maps as a detector with a blurred view sees them: convolved with a Gaussian.

    Args:
        maps: shape (y, x, K).
        width: standard deviation, pixels; 0 leaves the maps as they are.

    Returns:
        Shape (y, x, K); a sum of one over K stays one.
    """
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.asarray(maps, dtype=float), (width, width, 0), mode="nearest")


@checked_call
def thickness(shape: tuple[int, int], *, variation: float = 0.15, seed: int = 0) -> Array:
    """A smooth thickness with mean 1, for instance of a specimen thinned unevenly.

    Args:
        shape: (y, x), pixels.
        variation: largest deviation from 1, from 0 to less than 1.
        seed: of the random numbers.

    Returns:
        Shape (y, x), mean 1.
    """
    from scipy.ndimage import gaussian_filter

    rng = generator(seed)
    field = gaussian_filter(
        rng.standard_normal(shape), (shape[0] / 5, shape[1] / 5), mode="reflect"
    )
    field -= field.mean()
    return 1.0 + variation * field / max(np.abs(field).max(), 1e-12)


@checked_call
def tilt_curves(tilt: ArrayLike, amplitudes: ArrayLike, *, width: float = 0.22) -> Array:
    """Site weights against the tilt of the beam across a systematic row, mean near 1 far away.

    Site k: 1 + Σ_m a_km [d(t − t_m) + d(−t − t_m)], d(x) = −2 w x/(w² + x²), t_m = m/2. Sites on
    the reflecting planes (a > 0) get more than their share of electrons inside the Bragg angles
    ±t_m and less outside, the others the reverse: a caricature of the two-beam case, smooth and
    even in t.

    Args:
        tilt: t in units of the reciprocal vector g, 0 = symmetric; shape (tilt,).
        amplitudes: a, shape (K,) or (K, order m = 1, 2, …); a sum over m of |a| below 0.5 keeps the
            weights > 0.
        width: w, of a feature, in units of g.

    Returns:
        Weights, shape (tilt, K).

    Raises:
        ValueError: if a weight is not positive.

    References:
        Spence & Taftø, Journal of Microscopy 130:147 (1983), on why site weights depend on the
        tilt.
    """
    t, a = np.asarray(tilt, dtype=float)[:, None], np.asarray(amplitudes, dtype=float)
    a = a[:, None] if a.ndim == 1 else a  # (K, m)
    bragg = np.arange(1, a.shape[1] + 1) / 2

    def dispersive(x: Array) -> Array:
        return -2 * width * x / (width**2 + x**2)

    weights = 1.0 + (dispersive(t - bragg) + dispersive(-t - bragg)) @ a.T
    if weights.min() <= 0:
        raise ValueError(
            f"`tilt_curves`: the lowest weight is {weights.min():.3g}: give smaller amplitudes."
        )
    return weights


def _distant_points(rng: np.random.Generator, shape: tuple[int, int], n: int) -> Array:
    """n points that keep a distance: each the best of ten tries."""
    points = rng.uniform(size=(1, 2)) * shape
    for _ in range(n - 1):
        tries = rng.uniform(size=(10, 2)) * shape
        gaps = ((tries[:, None] - points) ** 2).sum(-1).min(1)
        points = np.vstack([points, tries[gaps.argmax()]])
    return points

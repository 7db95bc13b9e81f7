"""What a component that stands out looks like: of how many pixels and channels, smooth or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from fusion.prepare.noise import Noise
from fusion.prepare.scree import svd
from fusion.ranking.criterion import Array

FEW = 2.5  # pixels or channels on which a component stands alone
STRUCTURED = 0.25  # correlation of neighbouring pixels, below which a map has no structure
SMOOTH = 0.9  # share of a spectrum that a polynomial explains
DEGREE = 3  # of the polynomial
SURE = 0.4  # overlap of a noisy direction with the true one, squared, below which it tells little


@dataclass(frozen=True)
class ComponentShape:
    """One singular component of data in units of their noise.

    Attributes:
        number: from 1, the strongest.
        over_edge: its singular value over the edge of the noise.
        pixels, channels: on how many it stands, 1 / Σ p² of its shares p.
        structure: Σ u_i u_{i+1} of its map, corrected for noise: 1 where neighbouring pixels are
            alike, 0 where they are strangers.
        smooth: share of its spectrum that a cubic polynomial of the channel explains, likewise.
        said: what that may mean; empty for what looks like a phase.
    """

    number: int
    over_edge: float
    pixels: float
    channels: float
    structure: float
    smooth: float
    said: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def component_shapes(noise: Noise, history: Sequence[str] = ()) -> tuple[ComponentShape, ...]:
    """Every component above the edge of the noise; `history`: of the data set."""
    X, K = noise.scree.scaled, noise.scree.rank
    if K == 0:
        return ()
    values, left, right = svd(X)
    subtracted = any("background" in step for step in history)
    return tuple(
        _shape_of(k, noise, left[:, k], right[k], float(values[k]), subtracted) for k in range(K)
    )


def _shape_of(
    k: int, noise: Noise, u: Array, v: Array, value: float, subtracted: bool
) -> ComponentShape:
    n, m = noise.scree.scaled.shape
    strength = _signal_strength(value, n, m)
    of_map, of_spectrum = _squared_cosines(strength, n, m)
    structure = float((u[1:] * u[:-1]).sum()) / of_map  # not centred: an even map has structure
    smooth = min(_polynomial_share(v) / of_spectrum, 1.0)
    pixels, channels = (float(1 / (x**4).sum()) for x in (u, v))
    said = ""
    if pixels < FEW or channels < FEW:
        where = f"{pixels:.0f} pixels" if pixels < FEW else f"{channels:.0f} channels"
        said = f"stands on {where}: a spike, a defect, or a very small particle"
    elif of_map > SURE and structure < STRUCTURED:
        said = "its map changes from pixel to pixel without structure, as no phase does: "
        said += (
            "the error of extrapolating every pixel's background"
            if subtracted
            else "a gain, a drift, or a background subtracted pixel by pixel"
        )
    elif of_spectrum > SURE and smooth > SMOOTH and k:
        said = "its spectrum is smooth over all channels, as of a background, thickness or gain"
    return ComponentShape(
        k + 1, value / noise.scree.edge, pixels, channels, structure, smooth, said
    )


def _signal_strength(value: float, n: int, m: int) -> float:
    """Singular value θ of a component that shows as `value` in white unit noise (n, m).

    value² = (θ² + n)(θ² + m) / θ². Benaych-Georges & Nadakuditi, J. Multivariate Anal. 111 (2012).
    """
    excess = value**2 - n - m
    return float(np.sqrt(max((excess + np.sqrt(max(excess**2 - 4.0 * n * m, 0.0))) / 2, 1.0)))


def _squared_cosines(strength: float, n: int, m: int) -> tuple[float, float]:
    """Squared cosines of the measured map and spectrum with the true ones, at least 0.05."""
    t, product = strength**2, float(n * m)
    gain = max(t**2 - product, 0.0)
    return max(gain / (t * (t + n)), 0.05), max(gain / (t * (t + m)), 0.05)


def _polynomial_share(v: Array) -> float:
    """Share of Σ v² that a polynomial of the channel explains."""
    x = np.linspace(-1, 1, len(v))
    basis = np.linalg.qr(np.vander(x, min(DEGREE + 1, len(v))))[0]
    return float(((basis.T @ v) ** 2).sum() / max(float((v**2).sum()), 1e-300))

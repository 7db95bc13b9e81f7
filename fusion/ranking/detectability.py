"""Whether a trace component would stand out of the noise: the least amount that does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.calls import checked_call
from fusion.algebra.waiting import waited_for
from fusion.data.dataset import check_dataset
from fusion.data.tally import tally
from fusion.prepare.chosen_pixels import mask_of_pixels, spectra_in_parts
from fusion.prepare.denoise import Estimated
from fusion.prepare.noise_edge import even_edge, hard_threshold
from fusion.ranking.criterion import Array

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.prepare.noise import Noise

PART = 4096  # spectra that are looked at together


@dataclass(frozen=True)
class Detectability:
    """The least amount of a component that is seen in a data set.

    Attributes:
        amount: sum over the channels, in every pixel that holds it, in the unit of the data, at
            which its singular value reaches the edge of the noise (in simulations, half of the
            measurements show it at 1.1 to 1.2 times that); `clear`: at which it is counted
            by `rank`, for its map and spectrum are more than noise; `limit`: below which (phase
            transition, white noise) no singular vector of the data leans towards it.
        share: `amount` over the mean total of a pixel; NaN where that is not positive.
        fraction: of the pixels that hold it; `pixels`: how many those are.
        distinct: share of the spectrum, squared in units of the noise, that the components which
            stand out do not explain.
    """

    amount: float
    clear: float
    limit: float
    share: float
    fraction: float
    pixels: int
    distinct: float

    def __str__(self) -> str:
        of = f" ({100 * self.share:.2g} % of a pixel's total)" if np.isfinite(self.share) else ""
        return (
            f"in {self.pixels} pixels ({100 * self.fraction:.3g} %) a component stands out of the "
            f"noise from {self.amount:.3g} a pixel{of}, clearly from {self.clear:.3g}, never below "
            f"{self.limit:.3g}; {100 * self.distinct:.2g} % of its spectrum differs from the others"
        )


@checked_call
@waited_for
def detectability(
    dataset: Dataset,
    spectrum: ArrayLike,
    fraction: float,
    *,
    noise: Noise | None = None,
    progress: bool = True,
) -> Detectability:
    """The least amount of a component with this spectrum, in this share of the pixels, that shows.

    In units of the noise a component a u sᵀ has the singular value θ = a ‖u⊥‖ ‖s⊥‖, ⊥ what the
    components that stand out do not hold. Among noise E it shows as z, with
    1/θ² = mean_i z / (z² − σ_i²) · s⊥ᵀ z (z² − EᵀE)⁻¹ s⊥ / ‖s⊥‖²; it is seen where z reaches the
    edge. For white noise that is z² = (θ² + n)(θ² + m) / θ² and nothing shows below θ = (n m)^¼.
    Where the spectrum or the pixels are known beforehand, less is enough; places are at random.

    Args:
        dataset: the measurement, or one like it; its noise is independent from pixel to pixel.
        spectrum: (channel,), any scale, not negative.
        fraction: of the pixels that hold it, above 0, at most 1.
        noise: `dataset.noise()`, where it is known already.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if shapes disagree, the spectrum is zero, or the noise cannot be told.

    References:
        Baik, Ben Arous & Péché, Ann. Probab. 33:1643 (2005); Benaych-Georges & Nadakuditi,
        J. Multivariate Anal. 111:120 (2012).

    Example:
        >>> from fusion.simulate import concurrent
        >>> data = concurrent(shape=(12, 14), channels=60).datasets["edxs"]
        >>> line = np.exp(-0.5 * ((data.channels[0].values - 2.1) / 0.05) ** 2)
        >>> found = fu.detectability(data, line, fraction=0.05)
        >>> found.pixels, found.limit < found.amount < found.clear
        (8, True)
    """
    check_dataset("detectability(…)", dataset)
    s = np.asarray(spectrum, dtype=float).reshape(-1)
    call = f"`detectability({dataset}, …, fraction={fraction:g})`"
    n, m = dataset.matrix_shape
    if len(s) != m or not np.isfinite(s).all() or s.min() < 0 or not s.sum() > 0:
        raise ValueError(f"{call}: give a spectrum of {m} values ≥ 0, not all 0; here {len(s)}.")
    if not 0 < fraction <= 1:
        raise ValueError(f"{call}: give a fraction above 0, at most 1.")
    noise = dataset.noise() if noise is None else noise
    rows, columns = Estimated().sizes(dataset, noise)
    stats = tally(dataset)
    keep = stats.filled_rows, stats.filled_columns
    total = float(stats.rows[keep[0]].mean())
    gram = np.zeros((m, m))
    for _, X in _scaled(dataset, rows, columns):
        gram += X.T @ X
    squares, V = np.linalg.eigh(gram[np.ix_(keep[1], keep[1])])
    u, s = 1 / rows[keep[0]], (s / s.sum() / columns)[keep[1]]
    n, m = (int(each.sum()) for each in keep)
    squares, V = np.maximum(squares[::-1], 0), V[:, ::-1]
    K = noise.scree.rank
    level = np.sqrt(squares[K:].sum() / ((n - K) * (m - K)))
    U = np.zeros((len(rows), K))
    for pixels, X in _scaled(dataset, rows, columns):
        U[pixels] = X[:, keep[1]] @ V[:, :K]
    U = U[keep[0]] / np.sqrt(np.maximum(squares[:K], 1e-300))
    across = V.T @ s
    map_, spectrum_ = _mean_map_norm(u, U, fraction), float((across[K:] ** 2).sum())
    if spectrum_ < 1e-9 * float(s @ s):
        raise ValueError(f"{call}: the components that stand out explain this spectrum whole.")
    rest, weights = squares[K:] / level**2, across[K:] ** 2 / spectrum_
    visible, clear = (
        _least_strength(noise, rest, weights, n, over=over) for over in (1.0, hard_threshold(n, m))
    )
    unit = level / np.sqrt(map_ * spectrum_)
    amount = visible * unit
    return Detectability(
        amount=float(amount),
        clear=float(clear * unit),
        limit=float((n * m) ** 0.25 * unit),
        share=float(amount / total) if total > 0 else float("nan"),
        fraction=float(fraction),
        pixels=max(round(fraction * n), 1),
        distinct=spectrum_ / float(s @ s),
    )


def _scaled(
    dataset: Dataset, rows: Array, columns: Array
) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """(pixels, their spectra in units of their noise, 0 where masked), block by block."""
    for pixels, values in spectra_in_parts(dataset, PART):
        X = values / (rows[pixels, None] * columns)
        if dataset.mask is not None:
            X[mask_of_pixels(dataset, pixels)] = 0.0
        yield pixels, X


def _mean_map_norm(u: Array, U: Array, fraction: float) -> float:
    """Mean of ‖u⊥‖² over random sets of pixels, u of them alone, ⊥ to the maps U."""
    free = 1 - (U**2).sum(1)
    outside = u - U @ (U.T @ u)
    alone = float((u**2 * free).sum())
    return fraction * (1 - fraction) * alone + fraction**2 * float((outside**2).sum())


def _least_strength(noise: Noise, squares: Array, weights: Array, n: int, *, over: float) -> float:
    """θ of a component that shows at so many edges of noise with these squared singular values.

    Args:
        squares: σ² of the noise along its right directions, (r,).
        weights: squared cosines of the spectrum with these, (r,).
    """
    scree = noise.scree
    rows, columns = scree.scaled.shape
    raised = scree.edge / even_edge(rows, columns, scree.correlations)
    z = over * max(
        raised * even_edge(n, len(squares), scree.correlations), 1.001 * np.sqrt(squares.max())
    )
    gaps = z / (z**2 - squares)
    of_map = (gaps.sum() + (n - len(squares)) / z) / n
    return float(1 / np.sqrt(of_map * float(weights @ gaps)))

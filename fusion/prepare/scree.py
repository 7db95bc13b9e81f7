"""Singular values against those of noise: white, correlated along the channels, uneven."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.display import Display, Facts, Shown
from fusion.prepare.noise_edge import even_edge, hard_threshold, shrink, uneven_edge

Array = NDArray[np.float64]

MOST = 20  # components that are looked for
SHOWN = 8  # singular values that it shows
LAGS = 16  # channels over which the noise may be correlated
AHEAD = 2  # components taken off before the noise is looked at: smooth ones look like correlations


@dataclass(frozen=True, eq=False, repr=False)
class Scree(Shown):
    """Singular values of data (n, m) whose noise has the same size in every entry.

    Attributes:
        values: singular values over the noise level, largest first, (min(n, m),).
        edge: the largest that noise alone has.
        rank: how many lie above it.
        clear: how many so far that the data are nearer to the truth with them than without.
        level: standard deviation of the noise of an entry, as found.
        correlation: of neighbouring channels' noise; `inflation`: 1 + 2 Σ of all lags.
        residual_squares: (data − components above the edge)², (n, m), raised by what these take
            of the noise of each row and column.
        scaled: the data over the noise level, (n, m).
        clear_parts: maps (n, clear) and spectra (clear, m) of the clear components, each by as
            much smaller as makes it nearest to the truth; `signal` is their product.
        correlations: of channels 1, 2, … apart, up to the first that could be chance.
    """

    values: Array
    edge: float
    rank: int
    clear: int
    level: float
    correlation: float
    inflation: float
    residual_squares: Array
    scaled: Array
    clear_parts: tuple[Array, Array]
    correlations: Array

    def _display(self) -> Display:
        told = f"{self.clear} of {len(self.values)} stand clearly out of the noise"
        over = ", ".join(f"{value:.3g}" for value in self.over_edge[:SHOWN])
        return Display(f"singular values: {told}", (Facts([("over the edge", f"{over} …")]),))

    @property
    def signal(self) -> Array:
        """What the clear components make of the data, (n, m)."""
        return self.clear_parts[0] @ self.clear_parts[1]

    @property
    def over_edge(self) -> Array:
        """Singular values over the largest that noise alone has."""
        return self.values / self.edge


def scree_test(X: Array) -> Scree:
    """The singular values of X, and which of them stand out of the noise.

    Components are taken off, the largest first, as long as they stand out of noise that is as
    strong and as correlated along the channels as all that is left. Its largest singular value is
    known from random matrix theory where it is uniform. It seldom is: so what is left is also taken
    entry by entry with signs by chance, which keeps the size of every entry's noise and leaves
    nothing of a component.

    Args:
        X: (n, m), entries in units of their expected noise.

    References:
        Silverstein & Choi, J. Multivariate Anal. 54:295 (1995); Johnstone, Ann. Stat. 29:295
        (2001); Hong, Sheng & Dobriban, arXiv:2012.02985 (2020), on signs by chance.
    """
    n, m = X.shape
    most = min(MOST, min(n, m) // 4)
    values, left, right = svd(X, most + 1)
    rank, rest, correlations, edge, level = 0, X, np.zeros(0), 0.0, 1.0
    for rank in range(most + 1):
        # a component that is signal must not pass for correlated noise
        removed = min(rank + AHEAD, most)
        ahead = left[:, rank:removed] * values[rank:removed]
        level, correlations = _noise_correlations(
            _less(rest, ahead, right[rank:removed]), right[:removed]
        )
        edge = even_edge(n, m, correlations)
        if values[rank] <= edge * level or rank == most:
            break
        rest = _less(rest, left[:, rank : rank + 1] * values[rank], right[rank : rank + 1])
    while rank:  # fewer stand out where the noise is uneven
        level, correlations = _noise_correlations(rest, right[:rank])
        drawn = uneven_edge(
            _leverage_corrected(rest**2, left, right, rank), correlations, values[rank - 1] / level
        )
        edge = max(even_edge(n, m, correlations), drawn)
        fewer = int((values[:rank] > edge * level).sum())
        if fewer == rank:
            break
        rest = _less(rest, left[:, fewer:rank] * -values[fewer:rank], right[fewer:rank])
        rank = fewer
    clear = int((values[:rank] > hard_threshold(n, m) * edge * level).sum())
    return Scree(
        values=values / level,
        edge=edge,
        rank=rank,
        clear=clear,
        level=level,
        correlation=float(correlations[0]) if correlations.size else 0.0,
        inflation=max(1.0 + 2 * float(correlations.sum()), 0.0),
        residual_squares=_leverage_corrected(rest**2, left, right, rank),
        scaled=X / level,
        clear_parts=(
            left[:, :clear] * shrink(values[:clear] / level, edge, n, m),
            right[:clear],
        ),
        correlations=correlations,
    )


def equaliser(X: Array) -> tuple[Array, Array]:
    """Variance of the noise of rows and of columns, (n,) and (m,), whose product it is.

    With G = η (X Xᵀ + η²)⁻¹, g its diagonal and h that of η (Xᵀ X + η²)⁻¹, the Dyson equation of
    noise of variance x_i y_j gives x_i y_j = (1/g_i − η)(1/h_j − η) / (n − η Σ g). A few strong
    components leave the diagonals almost as they are: they need not be known.

    References:
        Landa & Kluger, arXiv:2306.11263 (2023): the Dyson equaliser.
    """
    values, left, right = svd(X)
    eta = max(float(np.median(values)), 1e-6 * float(values[0]), np.finfo(float).tiny)
    filter_factors = values**2 / (values**2 + eta**2)
    g, h = ((1 - filter_factors @ squares).clip(1e-12) / eta for squares in (left.T**2, right**2))
    rows, columns = (np.maximum(1 / diagonal - eta, 1e-9 * eta) for diagonal in (g, h))
    columns = columns / max(len(g) - eta * float(g.sum()), 1e-9)
    return rows / rows.mean(), columns * rows.mean()


def svd(X: Array, most: int | None = None) -> tuple[Array, Array, Array]:
    """Thin SVD through the smaller Gram matrix, (values, (n, r), (r, m)).

    All values, and the vectors of the `most` largest.
    """
    tall = X.shape[0] >= X.shape[1]
    squares, vectors = np.linalg.eigh(X.T @ X if tall else X @ X.T)
    values, vectors = np.sqrt(np.maximum(squares[::-1], 0.0)), vectors[:, ::-1][:, :most].copy()
    scale = np.maximum(values, 1e-7 * values[0] if values[0] > 0 else 1.0)[:most]
    if tall:
        return values, X @ vectors / scale, vectors.T
    return values, vectors, (vectors.T @ X) / scale[:, None]


def _less(X: Array, left: Array, right: Array) -> Array:
    """X − left right, with no more than one other array of its size."""
    product = left @ right
    return np.subtract(X, product, out=product)


def _leverage_corrected(squares: Array, left: Array, right: Array, rank: int) -> Array:
    """Squares of a residual, raised by what the components took of the noise (leverage).

    Changes them in place.
    """
    squares /= 1 - (left[:, :rank] ** 2).sum(1)[:, None].clip(max=0.9)
    squares /= 1 - (right[:rank] ** 2).sum(0).clip(max=0.9)
    return squares


def _noise_correlations(residual: Array, right: Array) -> tuple[float, Array]:
    """(standard deviation, correlations of channels 1, 2, … apart) of the noise of a residual.

    Components took what the noise had along their spectra V: what is left of a covariance T, the
    same along all channels, is P T P, P = 1 − V Vᵀ. T = Σ_l t_l (of channels l apart) is solved for
    from the mean products of channels l apart. Correlations end at the first that could be chance.

    Args:
        residual: (n, m).
        right: spectra of the components that were taken off, orthonormal, (K, m).
    """
    n, m = residual.shape
    lags = range(min(LAGS, m // 4) + 1)
    size = (n - len(right)) * (m - np.arange(len(lags)))
    products = [np.einsum("ij,ij->", residual[:, : m - lag], residual[:, lag:]) for lag in lags]
    autocov = np.array(products) / size
    projection = _projected(right, lags).T  # (seen, true)
    autocov = np.linalg.solve(projection, autocov)
    if not autocov[0] > 0:
        return np.finfo(float).tiny, np.zeros(0)
    correlations = autocov[1:] / autocov[0]
    small = np.flatnonzero(correlations < max(4 / np.sqrt(residual.size), 0.02))
    correlations = correlations[: small[0]] if small.size else correlations
    return float(np.sqrt(autocov[0])), correlations


def _projected(V: Array, lags: range) -> Array:
    """Means of P T P over channels 0, 1, … apart, where T is 1 for channels some lag apart, else 0.

    Args:
        V: orthonormal spectra that P takes off, (K, m).
        lags: 0, 1, …, of T as of the channels over which means are taken.

    Returns:
        (lag of T, channels apart).
    """
    m, count = V.shape[1], len(lags)
    behind, ahead = np.zeros((count, *V.shape)), np.zeros((count, *V.shape))
    for lag in lags:
        behind[lag, :, lag:], ahead[lag, :, : m - lag] = V[:, : m - lag], V[:, lag:]
    moved = behind + ahead  # V T
    moved[0] = V
    left = (moved @ V.T) @ V - moved  # V T Vᵀ V − V T
    sums = left.reshape(count, -1) @ behind.reshape(count, -1).T
    sums -= moved.reshape(count, -1) @ ahead.reshape(count, -1).T
    sums += np.diag(m - np.arange(count))
    return sums / (m - np.arange(count))

"""The data: everything from formulas and a seed, or read from a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from benchmarks.problems import Core, Counts, Factors, Joint, Matrix, Polyadic
from fusion.simulate import core_loss_edge, delocalise, grain_maps, thickness, xray_spectrum

Array = NDArray[np.float64]

Spectra = Callable[[np.random.Generator, int, int], Array]

BLOCK = 1024
"""Rows of which the counts are drawn at once."""

SMALL = 0.2
"""Mean of a start for counts, over that of the data. Multiplicative updates do not feel it;
`RowNewton` finds better minima from below, and `fit`'s own random starts lie there, too."""


def nmf(pixels: int, channels: int, K: int, seed: int, spectra: Spectra | None = None) -> Matrix:
    """Dense counts of a map, float32, on average four in a channel of a pixel.

    Args:
        pixels: of the map.
        channels: of a spectrum.
        K: number of phases.
        seed: of geometry, spectra, noise and start.
        spectra: `edges` (default), which overlap nearly everywhere, or `lines`, which hardly do.
    """
    rng, spectra, counts = np.random.default_rng(seed), spectra or edges, 4.0
    C, S = maps(pixels, K, seed), spectra(rng, channels, K)
    S *= counts / mean(C, S)
    X = np.empty((pixels, channels), dtype=np.float32)
    for first, block in blocks(rng, C, S):
        X[first : first + len(block)] = block
    kind = "similar edges" if spectra is edges else "separate lines"
    title = f"{pixels} pixels × {channels} channels of {kind}, Poisson noise, float32, K = {K}"
    return Matrix(title, X, matrix_start(rng, pixels, channels, K, counts))


def poisson(pixels: int, channels: int, K: int, seed: int, counts: float = 0.05) -> Counts:
    """Sparse counts of an X-ray map; the dense map is never made."""
    rng = np.random.default_rng(seed)
    C, S = maps(pixels, K, seed), lines(rng, channels, K)
    S *= counts / mean(C, S)
    X = vstack([csr_matrix(block.astype(np.float32)) for _, block in blocks(rng, C, S)], "csr")
    title = (
        f"{pixels} pixels × {channels} channels, {counts:g} counts in a channel, sparse "
        f"({X.nnz} not zero), K = {K}, Poisson"
    )
    return Counts(title, X, matrix_start(rng, pixels, channels, K, SMALL * counts))


def gpa88(folder: Path, seed: int, K: int = 3) -> Counts:
    """Real counts of high-pressure mantle phases; the seed is of the start."""
    with np.load(folder / "espm_geology_edxs" / "88GPa_80x80.npz") as file:
        data = file["data"]
    X = csr_matrix(data.reshape(-1, data.shape[-1]).astype(np.float32))
    rng = np.random.default_rng(seed)
    title = f"real STEM-EDXS map {data.shape}, {X.nnz} values not zero, K = {K}, Poisson"
    return Counts(title, X, matrix_start(rng, *X.shape, K, SMALL * float(X.mean())))


def cpd(shape: tuple[int, int, int], K: int, seed: int, noise: float = 0.1) -> Polyadic:
    """A tensor of collinear factors, cosines ≥ 0.9 in all modes, with Gaussian noise."""
    rng = np.random.default_rng(seed)
    A, B, C = (collinear(rng, n, K) for n in shape)
    X = np.einsum("ik,jk,lk->ijl", A, B, C, optimize=True)
    X += noise * np.sqrt(np.mean(X**2)) * rng.standard_normal(shape)
    start = {name: unit(rng.random((n, K))) for name, n in zip("ABC", shape, strict=True)}
    start["A"] *= X.mean() / np.einsum("ik,jk,lk->", *start.values(), optimize=True) * X.size
    title = f"{_times(shape)}, collinear (cosines ≥ 0.9), noise {noise:.0%}, float64, K = {K}"
    return Polyadic(title, X, start)


def tucker(
    shape: tuple[int, int, int], ranks: tuple[int, int, int], seed: int, noise: float = 0.1
) -> Core:
    """A tensor of core and factors, half of whose entries are zero, with Gaussian noise."""
    rng = np.random.default_rng(seed)
    core, *factors = (
        rng.exponential(size=size) * (rng.random(size) < 0.5)
        for size in (ranks, *zip(shape, ranks, strict=True))
    )
    used = np.arange(max(ranks))  # without these the data may be of lower rank
    core[tuple(used % rank for rank in ranks)] += 1.0
    X = np.einsum("pqr,ip,jq,lr->ijl", core, *factors, optimize=True)
    X += noise * np.sqrt(np.mean(X**2)) * rng.standard_normal(shape)
    start = {"core": rng.random(ranks)}
    for name, n, r in zip("ABC", shape, ranks, strict=True):
        start[name] = unit(rng.random((n, r)))
    total = np.einsum("pqr,ip,jq,lr->", *start.values(), optimize=True)
    start["core"] *= X.mean() * X.size / total
    title = f"{_times(shape)}, noise {noise:.0%}, float64, ranks {ranks}"
    return Core(title, X, start)


def joint(pixels: int, channels: tuple[int, int], K: int, seed: int, scale: float = 0.002) -> Joint:
    """EELS, less its background, and EDXS of one scan; EELS sees delocalised maps."""
    rng = np.random.default_rng(seed)
    scan = _scan(pixels)
    C = maps(pixels, K, seed)
    seen = delocalise(C.reshape(*scan, K), 1.2).reshape(pixels, K)
    S1, S2 = edges(rng, channels[0], K), lines(rng, channels[1], K)
    S1 *= 4.0 / mean(seen, S1)
    S2 *= 0.5 / mean(C, S2)
    background = 20.0 * (_loss(channels[0]) / _loss(channels[0])[0]) ** -3.0
    data = {}
    for name, left, right, floor in (("eels", seen, S1, background), ("edxs", C, S2, 0.0)):
        X = np.empty((pixels, len(right)), dtype=np.float32)
        means = np.zeros(len(right))
        for first, block in blocks(rng, left, right, floor):
            X[first : first + len(block)] = block - floor
            means += block.sum(0) / pixels
        data[name] = (X, means + (0.5 if name == "eels" else 0.02))
    start = {
        "C": unit(rng.random((pixels, K))),
        "N": 0.1 / np.sqrt(pixels) * rng.standard_normal((pixels, K)),
    }
    for name, (X, _) in data.items():
        S = rng.random((X.shape[1], K))
        start[f"S_{name}"] = S * (float(X.mean()) / mean(start["C"], S))
    title = f"{pixels} pixels, EELS {channels[0]} + EDXS {channels[1]} channels, float32, K = {K}"
    return Joint(f"{title}, eq. (14)", data, scale, start)


def counted_joint(
    side: int, channels: tuple[int, int], K: int, seed: int, counts: float = 200.0
) -> dict[str, NDArray[np.float32]]:
    """EELS and EDXS of one scan, both counted: (y, x, channel) each, so many counts a pixel.

    Phases are round and melt into each other; EELS sees C + N, N a tenth of C, EDXS sees C.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    C = np.stack([_spot(rng, y, x) for _ in range(K)], -1).reshape(-1, K)
    C /= C.sum(1, keepdims=True)
    waves = [np.sin(6 * x + k) * np.cos(5 * y) for k in range(K)]
    N = 0.1 * np.stack(waves, -1).reshape(-1, K) * C
    S1, S2 = _steps(channels[0], K), _peaks(rng, channels[1], K)
    return {
        name: rng.poisson(counts * (left @ right.T)).astype(np.float32).reshape(side, side, -1)
        for name, left, right in (("eels", np.maximum(C + N, 0), S1), ("edxs", C, S2))
    }


def _spot(rng: np.random.Generator, y: Array, x: Array) -> Array:
    """A round phase somewhere, a little of it everywhere."""
    return np.exp(-((y - rng.random()) ** 2 + (x - rng.random()) ** 2) / 0.05) + 0.02


def _steps(channels: int, K: int) -> Array:
    """Edges one after the other on one background, of sum 1, (channel, K)."""
    e, onsets = np.linspace(0, 1, channels)[:, None], 0.1 + 0.2 * np.arange(K)
    S = np.where(e > onsets, np.exp(-4 * (e - onsets)), 0) + 0.3 * np.exp(-3 * e)
    return S / S.sum(0)


def _peaks(rng: np.random.Generator, channels: int, K: int) -> Array:
    """Four lines each on one continuum, of sum 1, (channel, K)."""
    e, places = np.linspace(0, 1, channels)[:, None, None], rng.random((K, 4))
    S = np.exp(-((e - places) ** 2) / (2 * 0.004**2)).sum(-1) + 0.05 * np.exp(-3 * e[..., 0])
    return S / S.sum(0)


def blocks(
    rng: np.random.Generator, C: Array, S: Array, background: Array | float = 0.0
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(first row, counts) of some rows at a time, Poisson with mean C Sᵀ + background."""
    for first in range(0, len(C), BLOCK):
        yield first, rng.poisson(C[first : first + BLOCK] @ S.T + background)


def maps(pixels: int, K: int, seed: int) -> Array:
    """Grains of K phases in a specimen of uneven thickness, (pixel, K)."""
    scan = _scan(pixels)
    shares = grain_maps(scan, K, seed=seed) * thickness(scan, seed=seed + 1)[..., None]
    return shares.reshape(pixels, K)


def lines(rng: np.random.Generator, channels: int, K: int) -> Array:
    """X-ray spectra, six lines each on a continuum, (channel, K)."""
    energy = np.linspace(0.1, 10.0, channels)
    drawn = [[(e, rng.uniform(0.2, 2.0)) for e in rng.uniform(0.3, 9.0, 6)] for _ in range(K)]
    return np.stack([xray_spectrum(energy, some, continuum=1.5) for some in drawn], axis=1)


def edges(rng: np.random.Generator, channels: int, K: int) -> Array:
    """Core-loss edges with three peaks each, (channel, K)."""
    energy, made = _loss(channels), []
    for onset in rng.uniform(97.0, 125.0, K):
        peaks = [(onset + e, rng.uniform(0.3, 1.5), 2.5) for e in rng.uniform(1.0, 18.0, 3)]
        made.append(core_loss_edge(energy, onset, peaks))
    return np.stack(made, axis=1)


def collinear(rng: np.random.Generator, n: int, K: int, cosine: float = 0.9) -> Array:
    """Columns with these cosines at least, (n, K): one in common and as much of its own."""
    own, share = rng.exponential(size=(n, K)), 1.0
    while True:
        columns = 1.0 + share * own
        gram = unit(columns).T @ unit(columns)
        if gram.min() >= cosine:
            return columns
        share *= 0.95


def matrix_start(
    rng: np.random.Generator, pixels: int, channels: int, K: int, mean_value: float
) -> Factors:
    """Random C and S ≥ 0, S of unit columns, with the data's mean."""
    C, S = rng.random((pixels, K)), unit(rng.random((channels, K)))
    return {"C": C * (mean_value / mean(C, S)), "S": S}


def mean(C: Array, S: Array) -> float:
    """The mean entry of C Sᵀ."""
    return float(C.mean(0) @ S.mean(0))


def unit(columns: Array) -> Array:
    """Columns of norm 1."""
    return columns / np.linalg.norm(columns, axis=0)


def _loss(channels: int) -> Array:
    """Energy losses in eV."""
    return np.linspace(90.0, 150.0, channels)


def _scan(pixels: int) -> tuple[int, int]:
    """(y, x) as near to a square as the number of pixels allows."""
    y = next(n for n in range(isqrt(pixels), 0, -1) if pixels % n == 0)
    return y, pixels // y


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))

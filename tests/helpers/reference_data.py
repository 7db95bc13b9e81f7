"""Overlapping reference spectra, scans made of them, and a simulated map with its truth."""

from __future__ import annotations

import numpy as np

import fusion as fu
from tests.helpers.paths import shared_file

ENERGY = fu.Axis("energy loss", scale=0.5, offset=100.0, units="eV")


def spectra(channels: int = 60, K: int = 3) -> np.ndarray:
    """Overlapping peaks (channel, K), K up to 4."""
    E = np.arange(channels)[:, None]
    return np.exp(-0.5 * ((E - np.array([15.0, 25.0, 38.0, 50.0])[:K]) / 7) ** 2)


def amounts(rng: np.random.Generator, n: int, K: int = 3) -> np.ndarray:
    """Maps (n, K), about a third of the entries zero."""
    return 10 * rng.random((n, K)) * (rng.random((n, K)) > 0.35)


def named(S: np.ndarray) -> dict[str, np.ndarray]:
    return {f"ref {k}": column for k, column in enumerate(S.T)}


def scan(rng, sigma: float = 0.5, shape=(12, 10), K: int = 3, **options) -> fu.Dataset:
    """Spectra of `amounts` with Gaussian noise."""
    C, S = amounts(rng, shape[0] * shape[1], K), spectra(K=K)
    X = (C @ S.T + sigma * rng.standard_normal((len(C), len(S)))).reshape(*shape, -1)
    axes = (fu.Axis("y", 2.0, units="nm"), fu.Axis("x", 2.0, units="nm"), ENERGY)
    return fu.Dataset("eels", X, axes=axes, **options)


def silicon(name: str) -> tuple[fu.Dataset, dict[str, np.ndarray], np.ndarray]:
    """(data, true spectra, true maps (pixel, 3)) of Si, Si₃N₄ and SiO₂."""
    file = np.load(shared_file("figure_cases", "fig3_sim.npz"))
    counts = file["counts"].astype(float)
    X = file["bgsub"].astype(float) if name == "bgsub" else counts - file["background"]
    axes = ("y", "x", fu.Axis("energy loss", values=file["energy"], units="eV"))
    variance = fu.Dataset("eels", counts).estimate_variance().variance
    data = fu.Dataset("eels", X, axes=axes, variance=variance)
    known = dict(zip(map(str, file["names"]), file["S"], strict=True))
    return data, known, file["C"].reshape(3, -1).T

"""Small maps of planted components, the same in memory and in chunks, and answers held together."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np

import fusion as fu

SCAN, K = (20, 24), 3
OPTIONS: dict[str, Any] = {"starts": 1, "seed": 0, "progress": False, "threads": 1}


def planted(scan=SCAN, channels: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Maps (pixel, K) with pixels of each component alone, and spectra (channel, K) that overlap.

    Every component is alone somewhere and every channel sees one of them best, so that the data
    tell the answer.
    """
    rng = np.random.default_rng(seed)
    C = rng.dirichlet(np.full(K, 0.3), scan[0] * scan[1])
    C[C < 0.02] = 0
    x = np.linspace(0, 1, channels)[:, None]
    S = np.exp(-0.5 * ((x - (np.arange(K) + 0.5) / K) / 0.09) ** 2)
    S[S < 0.03] = 0
    return C, S + 1e-3


def noisy(C, S, *, scan=SCAN, level: float = 20, noise: float = 1, seed: int = 1) -> np.ndarray:
    """A map (y, x, channel) with the same noise everywhere."""
    rng = np.random.default_rng(seed)
    exact = level * C @ S.T
    return (exact + noise * rng.normal(size=exact.shape)).reshape(*scan, -1)


def counted(C, S, *, scan=SCAN, level: float = 20, seed: int = 2) -> np.ndarray:
    """Counts (y, x, channel)."""
    return np.random.default_rng(seed).poisson(level * C @ S.T).reshape(*scan, -1).astype("uint16")


def lazy(array: np.ndarray, chunks: Any) -> da.Array:
    """In chunks of the scan, the channels together unless it is said otherwise."""
    chunks = chunks if len(chunks) == array.ndim else (*chunks, array.shape[-1])
    return da.from_array(array, chunks=chunks)


def by_blocks(model: fu.Model, loss, *, sample: int = 200, settings=None, **options) -> fu.Result:
    """The answer block by block, from a sample that lets passes matter."""
    settings = {"sample": sample} | (settings or {})
    return fu.fit(model, loss, blocks=fu.Blocks(**settings), **(OPTIONS | options))


def in_memory(model: fu.Model, loss, **options) -> fu.Result:
    """The answer in memory."""
    return fu.fit(model, loss, **(OPTIONS | options))


def same_answer(
    one: fu.Result, other: fu.Result, *, loss: float = 1e-5, degrees: float = 0.05
) -> None:
    """The loss not higher than a share, columns of all factors along the same directions.

    Args:
        one: block by block; other: in memory.
        loss: share of the loss; degrees: of spectra "S…", ten times as many of all others.
    """
    assert one.loss - other.loss <= loss * abs(other.loss), (one.loss, other.loss)
    assert abs(one.loss - other.loss) <= 10 * loss * abs(other.loss), (one.loss, other.loss)
    spectra = [name for name in one.factors if name.startswith("S")]
    order = fu.match(other[spectra[0]], one[spectra[0]])
    for name in spectra:
        angles = fu.spectral_angle(one[name][:, order], other[name])
        assert angles.max() <= degrees, (name, angles)

"""Random tensors of three components, and CPDs of them."""

from __future__ import annotations

import numpy as np

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import CPD

K = 3


def random_cp(seed: int, shape=(6, 7, 8), rank: int = K) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((n, rank)) for n in shape]


def expand(factors) -> np.ndarray:
    letters = "abcd"[: len(factors)]
    return np.einsum(",".join(f"{x}k" for x in letters) + "->" + letters, *factors)


def noisy(factors, noise: float = 0.02, seed: int = 9) -> np.ndarray:
    X = expand(factors)
    return X + noise * X.std() * np.random.default_rng(seed).standard_normal(X.shape)


def fitted(data: fu.Dataset, rank: int = K, **options) -> fu.Result:
    told = {"starts": 2, "max_steps": 40, "progress": False} | options
    return fu.fit(CPD(data, rank), Frobenius(data), **told)

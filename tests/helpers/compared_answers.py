"""A planted answer, its data, and short fits of them."""

from __future__ import annotations

import numpy as np

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF
from tests.helpers.planted_factors import pure

QUICK = {"starts": 1, "seed": 0, "max_steps": 8, "progress": False}
SHAPE, CHANNELS = (6, 7), 20


def factors(K: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"C": pure(rng, 42, K), "S": pure(rng, CHANNELS + 2 * K, K)[:CHANNELS]}


def data(truth=None, name: str = "eels", **options) -> fu.Dataset:
    truth = truth or factors()
    axes = (
        fu.Axis("y", 0.5, units="nm"),
        fu.Axis("x", 0.5, units="nm"),
        fu.Axis("energy loss", 0.5, 100, units="eV"),
    )
    return fu.Dataset(name, (truth["C"] @ truth["S"].T).reshape(*SHAPE, -1), axes=axes, **options)


def fitted(dataset: fu.Dataset, K: int = 3) -> fu.Result:
    return fu.fit(NMF(dataset, K), 1.0 * Frobenius(dataset), **QUICK)

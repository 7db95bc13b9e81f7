"""Mixtures without pure rows: many answers fit them equally well."""

from __future__ import annotations

import numpy as np

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF


def mixed(rng: np.random.Generator, n: int, rank: int, purest: float) -> np.ndarray:
    """Rows of a matrix (n, rank) none of which is purer than this."""
    values = rng.dirichlet([1.0] * rank, 50 * n)
    return values[values.max(1) <= purest][:n] * (1 + rng.random((n, 1)))


def fitted(model, loss, **options) -> fu.Result:
    return fu.fit(model, loss, **({"starts": 3, "progress": False} | options))


def nmf_of(X: np.ndarray, K: int, loss=Frobenius, **options) -> fu.Result:
    data = fu.Dataset("a", X, **options)
    return fitted(NMF(data, K), loss(data))


def band_of_a_map() -> fu.Ambiguity:
    """Of two components in 6 × 8 pixels."""
    rng = np.random.default_rng(7)
    axes = (fu.Axis("y", units="nm"), fu.Axis("x", units="nm"), fu.Axis("energy", units="eV"))
    X = mixed(rng, 48, 2, 0.8) @ (0.2 + rng.random((30, 2))).T
    X = X + 0.01 * X.mean() * rng.standard_normal(X.shape)
    return fu.ambiguity(nmf_of(X.reshape(6, 8, 30), 2, axes=axes))

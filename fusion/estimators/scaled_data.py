"""Data that were divided by the size of their noise before the estimator saw them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

STEPS = 12
"""Power steps: the second singular value of scaled data is well below the first."""
NEAR = 1e-3
"""How near to 1 the first is."""
SMALL_SAMPLE = 0.3
"""The same for the share of a sample."""


class ScaledDataWarning(UserWarning):
    """The data are no counts any more: HyperSpy has scaled them for its own decomposition."""


def warn_if_scaled(X: Any, *, counts: bool, share: float = 1.0, stacklevel: int = 3) -> None:
    """Warn of data that `normalize_poissonian_noise` has scaled.

    Args:
        X: (pixel, channel), NumPy array or scipy.sparse matrix.
        counts: whether the fit takes them for counts.
        share: of all pixels, where these are a random sample.
        stacklevel: of the warning.
    """
    if not is_scaled(X, share):
        return
    what = (
        "a fit of counts is wrong on them"
        if counts
        else "spectra and maps are fitted in units of that noise, and turned back by HyperSpy"
    )
    warnings.warn(
        "`Unmixer`: every value was divided by √(sum of its pixel × sum of its channel): that is "
        "HyperSpy's normalize_poissonian_noise, which EDS signals switch on by themselves, with a "
        f"mask of pixels of few counts; {what}. For the data as measured: "
        "`s.decomposition(False, None, algorithm=…)` of an EDS signal, "
        "`s.decomposition(algorithm=…)` of others.",
        ScaledDataWarning,
        stacklevel=stacklevel,
    )


def is_scaled(X: Any, share: float = 1.0) -> bool:
    """Whether X is D / √(aᵢ bⱼ), a and b the sums of the rows and columns of some D ≥ 0.

    Then √b is its first right singular vector, with the singular value 1, or, of a random sample of
    the pixels, the root of their share. No counts, nor any multiple of them, have that.
    """
    if X.shape[0] < 2 or X.shape[1] < 2 or X.dtype.kind in "biu":
        return False
    largest = float(X.max())
    if not 0 < largest <= 1 + NEAR or float(X.min()) < 0:
        return False
    v = np.asarray(X.sum(axis=0), dtype=float).ravel()
    for _ in range(STEPS):
        v = np.asarray(X.T @ (X @ (v / np.linalg.norm(v)))).ravel()
        if not np.linalg.norm(v) > 0:
            return False
    first = float(np.linalg.norm(v)) / share
    return abs(first - 1) < (NEAR if share == 1 else SMALL_SAMPLE)

"""Random numbers of NumPy from any seed."""

from __future__ import annotations

import numpy as np


def generator(seed: int) -> np.random.Generator:
    """Of any whole number, as torch takes them: NumPy's own takes none below 0."""
    return np.random.default_rng(int(seed) % 2**63)

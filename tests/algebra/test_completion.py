"""Low-rank completion."""

from __future__ import annotations

import numpy as np

from fusion.algebra.completion import complete


def test_hidden_entries_of_low_rank_are_found_exactly():
    rng = np.random.default_rng(0)
    X = rng.random((50, 2)) @ rng.random((2, 40))
    hidden = rng.random(X.shape) < 0.1
    filled, *_ = complete(np.where(hidden, 0, X), hidden, rng.random((40, 2)), 100)
    np.testing.assert_allclose(filled, X, atol=1e-6)

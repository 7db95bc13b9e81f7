"""Which entries are held out."""

from __future__ import annotations

import numpy as np

from fusion.ranking.cross_validation import speckle


def test_held_out_runs_leave_no_seen_neighbour_within_reach():
    hidden, scored = speckle((40, 50), 3, np.random.default_rng(0))
    for i, j in np.argwhere(scored):
        assert hidden[i, max(j - 3, 0) : j + 4].all()
    assert 0.05 < hidden.mean() < 0.15

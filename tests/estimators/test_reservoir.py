"""A sample of pixels that come in batches."""

from __future__ import annotations

import numpy as np

from fusion.estimators.reservoir import Reservoir


def test_a_sample_holds_every_pixel_with_the_same_chance():
    hits = np.zeros(60)
    for seed in range(400):
        sample = Reservoir(15, seed)
        for batch in np.array_split(np.arange(60)[:, None], [10, 11, 40]):
            sample.add(batch)
        assert len(set(sample.rows[:, 0])) == 15
        hits[sample.rows[:, 0]] += 1
    assert sample.share == 0.25
    chi2 = ((hits - 100) ** 2 / 75).sum()
    assert chi2 < 100  # 59 degrees of freedom: one in 1500

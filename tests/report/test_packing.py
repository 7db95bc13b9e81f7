"""Arrays as text in a page."""

from __future__ import annotations

import numpy as np

from fusion.report.packing import levels
from tests.helpers.report_data import unpacked


def test_whole_numbers_are_packed_exactly_and_others_to_a_65534th_of_their_column():
    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, (20, 7)).astype(float)
    counts[2, 3] = np.nan
    np.testing.assert_array_equal(unpacked(levels(counts)), counts)
    values = rng.normal(0, [[1e-3, 1.0, 1e6]], (50, 3))
    off = np.abs(unpacked(levels(values)) - values).max(0)
    assert (off <= np.ptp(values, axis=0) / 65534).all()
    np.testing.assert_array_equal(
        unpacked(levels(np.full((3, 2), np.nan))), np.full((3, 2), np.nan)
    )

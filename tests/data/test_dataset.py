"""`Dataset`: what a prediction of it may look like."""

from __future__ import annotations

import numpy as np

import fusion as fu


def test_pixels_of_a_prediction_may_be_flattened_in_part():
    data = fu.Dataset("d", np.ones((4, 3, 5, 7)))
    assert data.matching((4, 15, 7)) == (60, 7)
    assert data.matching((12, 5, 7)) == (60, 7)
    assert data.matching((4, 3, 5, 7)) == (60, 7)
    for wrong in ((15, 4, 7), (4, 15, 6), (2, 30, 7), (4, 3, 35)):
        assert data.matching(wrong) is None

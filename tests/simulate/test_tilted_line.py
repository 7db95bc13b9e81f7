"""`tilted_line`: nothing in it is pure, and its counts are of its mean."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.simulate import tilted_line


def test_a_tilted_line_has_no_pure_pixel_tilt_or_channel_and_counts_of_its_mean():
    case = tilted_line(seed=3)
    T, C, S = (case.truth[name] for name in "TCS")
    eels = case.datasets["eels"]
    assert eels.shape == (len(T), len(C), len(S))
    assert C.sum(1) == pytest.approx(np.ones(len(C)))
    for factor in (T, C):
        share = factor / factor.sum(1, keepdims=True)
        assert share.min() > 0.09
        assert share.max() < 0.81
    mean = np.einsum("tk,pk,ek->tpe", T, C, S)
    z = (eels.numpy() - mean)[mean > 1] / np.sqrt(mean[mean > 1])
    assert np.mean(z**2) == pytest.approx(1, abs=0.02)

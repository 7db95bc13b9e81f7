"""Starts that are read off the data do not read what is masked."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF
from tests.helpers.prepared_data import smooth_scene

RNG = np.random.default_rng


@pytest.mark.parametrize("init", [fu.VCA(), fu.SPA(points=fu.SSS()), fu.NNDSVD()])
def test_a_start_from_the_data_reads_no_masked_pixel(init):
    given, _, _ = smooth_scene()
    part = given.sample_pixels(0.3)
    X = part.numpy().copy()
    X[part.mask[..., 0].numpy()] = 1e4 * RNG(5).random((part.mask.sum(), 40))
    told = {"init": init, "starts": 1, "max_steps": 0, "progress": False}
    garbage = part.derive(X, "garbage where masked")
    results = [fu.fit(NMF(d, 3), Frobenius(d), **told) for d in (part, garbage)]
    np.testing.assert_allclose(results[0]["S"], results[1]["S"], rtol=1e-6, atol=1e-9)
    assert np.isfinite(results[0]["S"]).all()

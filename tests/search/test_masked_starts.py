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


@pytest.mark.parametrize("init", [fu.SPA(), fu.VCA(), fu.NFINDR(), fu.NNDSVD()], ids=str)
def test_starts_read_off_the_data_do_not_see_masked_channels_or_entries(init):
    E, random = np.arange(60), np.random.default_rng(0)
    S = np.exp(-0.5 * ((E[:, None] - np.array([10, 24, 38])) / 6) ** 2) * 300 + 10
    C = random.dirichlet([1, 1, 1], 320)
    C[:3] = np.eye(3)
    X = C @ S.T
    hidden = np.broadcast_to(E > 50, X.shape).copy()
    hidden[random.random(X.shape) < 0.02] = True
    found = []
    for spoiled in (X, np.where(hidden, 7e8, X)):
        data = fu.Dataset("d", spoiled, mask=hidden)
        model, loss = fu.models.NMF(data, 3), Frobenius(data)
        found.append(fu.fit(model, loss, init=init, max_steps=0, starts=1, progress=False))
    np.testing.assert_allclose(found[0]["S"][:51], found[1]["S"][:51], rtol=1e-6, atol=1e-9)
    if not isinstance(init, fu.NNDSVD):
        assert fu.compare({"S": S[:51]}, {"S": found[1]["S"][:51]}).worst < 5


def test_more_corners_than_there_are_is_said():
    C = np.random.default_rng(0).dirichlet([1, 1, 1], 320)
    S = np.random.default_rng(1).random((60, 3))
    data = fu.Dataset("d", C @ S.T)
    with pytest.warns(
        fu.ClaimWarning, match=r"2 of 5 corners are others once more .* the data have 3 corners"
    ):
        fu.fit(fu.models.NMF(data, 5), Frobenius(data), init=fu.VCA(), max_steps=0, progress=False)

"""`SoftOrthogonality` where pixels are masked."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, SoftOrthogonality
from fusion.models import NMF
from fusion.simulate import layers


def test_pixels_without_data_have_no_part_in_soft_orthogonality():
    rng = np.random.default_rng(5)
    C, S = rng.random((60, 2)) ** 3, np.array([np.hanning(30), np.hanning(42)[8:38]]).T
    X = 100 * C @ S.T + rng.normal(size=(60, 30))
    mask = np.zeros((60, 30), dtype=bool)
    mask[20:] = True
    losses, found = [], []
    for given in (fu.Dataset("a", X, mask=mask), fu.Dataset("a", X[:20])):
        loss = Frobenius(given) + 0.1 * SoftOrthogonality("C")
        result = fu.fit(NMF(given, 2), loss, starts=3, progress=False)
        losses.append(result.loss)
        found.append(result["S"][:, result["S"].argmax(0).argsort()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    np.testing.assert_allclose(found[0], found[1], atol=0.02)


def test_every_seed_ends_at_the_fixed_point_of_the_rule():
    """The multiplier does not lag behind for ever: by 1e-6 of the loss where it did."""
    data = layers(shape=(12, 16), channels=80).datasets["net"]
    loss = Frobenius(data) + 0.05 * SoftOrthogonality("C")
    ends = [fu.fit(NMF(data, 3), loss, starts=6, seed=s, progress=False).loss for s in range(3)]
    assert max(ends) - min(ends) < 2e-7 * min(ends)

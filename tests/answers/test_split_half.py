"""Split halves: how they are cut, and what they agree on."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF
from tests.helpers.trilinear_data import fitted, noisy, random_cp


def test_halves_of_trilinear_data_agree_and_surplus_components_do_not():
    data = fu.Dataset("a", noisy(random_cp(0, (20, 9, 10))), axes=("sample", "x", "channel"))
    right = fu.split_half(data, lambda half: fitted(half, starts=1), "sample", splits=2)
    assert right.compared == ("B", "C")
    assert right.scores.shape == (2,)
    assert right.scores.min() > 0.99
    surplus = fu.split_half(data, lambda half: fitted(half, 5, starts=1), "sample")
    assert surplus.scores.max() < 0.95
    assert str(right).startswith(f"halves of sample: B, C match by {right.scores[0]:.4f}")


def test_the_halves_are_every_second_entry_with_its_mask_and_variance():
    X = np.arange(10 * 3 * 4.0).reshape(10, 3, 4) + 1
    mask, variance = np.zeros((10, 3, 4), bool), 1 + np.arange(10.0).reshape(10, 1, 1)
    mask[3, 1, 2] = True
    tilt = fu.Axis("tilt", scale=0.5, units="g")
    data = fu.Dataset("a", X, axes=(tilt, "x", "channel"), mask=mask, variance=variance)
    seen = []

    def look(half):
        seen.append(half)
        return fitted(half, 1, starts=1)

    fu.split_half(data, look, "tilt", splits=2, seed=1)
    for half, part in zip(seen, (slice(0, None, 2), slice(1, None, 2)), strict=False):
        assert np.array_equal(half.numpy(), X[part])
        assert np.array_equal(half.mask.numpy(), mask[part])
        assert np.array_equal(half.variance.numpy(), variance[part])
        assert np.array_equal(half.axes[0].values, tilt.sized(10).values[part])
        assert half.history[-1] == "5 of 10 entries along tilt"
    drawn = [half.axes[0].values for half in seen[2:]]
    assert np.array_equal(np.sort(np.concatenate(drawn)), tilt.sized(10).values)
    assert not np.array_equal(drawn[0], seen[0].axes[0].values)


def test_split_half_compares_the_spectra_of_a_matrix_model():
    data = fu.Dataset("a", noisy(random_cp(0, (20, 6, 12))), axes=("y", "x", "channel"))
    told = {"starts": 1, "progress": False}
    found = fu.split_half(data, lambda d: fu.fit(NMF(d, 1), Frobenius(d), **told), "y")
    assert found.compared == ("S",)
    assert found.scores[0] > 0.99


def test_split_half_says_what_it_cannot_split():
    data = fu.Dataset("a", noisy(random_cp(0, (3, 7, 8))), axes=("tilt", "x", "channel"))
    with pytest.raises(ValueError, match="3 entries along tilt"):
        fu.split_half(data, fitted, "tilt")
    with pytest.raises(ValueError, match="no axes are called 'z'"):
        fu.split_half(data, fitted, "z")
    whole = fitted(fu.Dataset("a", noisy(random_cp(0)), axes=("u", "v", "w")))
    with pytest.raises(ValueError, match="do not run along x"):
        fu.split_half(data, lambda half: whole, "x")

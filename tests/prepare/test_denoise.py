"""`denoise`: nearer to the truth, and exact where nothing is scaled."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.prepare.denoise import Estimated, KeenanKotula, Unscaled
from tests.helpers.planted_ranks import CHANNELS, data, expected


@pytest.mark.parametrize("scaling", [None, KeenanKotula(), Estimated(), Unscaled()])
def test_denoised_data_are_nearer_to_the_truth(scaling):
    rng = np.random.default_rng(0)
    M = 20 * expected(rng, 3)
    noisy = fu.Dataset("a", rng.poisson(M).astype(float))
    clean = noisy.denoise(scaling=scaling)
    before, after = (((d.numpy() - M) ** 2).sum() for d in (noisy, clean))
    assert after < 0.1 * before
    assert "denoise(3" in clean.history[-1]


def test_scaling_by_the_noise_beats_none_where_it_is_uneven():
    rng = np.random.default_rng(1)
    M = 5 * expected(rng, 3) * np.exp(-4 * np.linspace(0, 1, CHANNELS)) + 0.05
    noisy = fu.Dataset("a", rng.poisson(M).astype(float))
    error = {
        scaling: (((noisy.denoise(3, scaling=scaling).numpy() - M) ** 2) / M).sum()
        for scaling in (KeenanKotula(), Unscaled())
    }
    assert error[KeenanKotula()] < 0.8 * error[Unscaled()]


def test_denoising_without_scaling_is_the_truncated_svd():
    X = data("Gaussian", 3).numpy()
    U, s, V = np.linalg.svd(X, full_matrices=False)
    found = fu.Dataset("a", X).denoise(2, scaling=Unscaled()).numpy()
    np.testing.assert_allclose(found, (U[:, :2] * s[:2]) @ V[:2], atol=1e-8)


def test_a_scaling_of_the_same_name_that_goes_there_and_back_is_told_apart():
    counts = data("many counts", 2)
    with pytest.raises(TypeError, match=r"fusion\.prepare\.denoise"):
        counts.denoise(2, scaling=fu.KeenanKotula(counts))


def test_masked_entries_stay_and_do_not_matter():
    rng = np.random.default_rng(0)
    X = rng.poisson(50 * expected(rng, 2)).astype(float)
    mask = rng.random(X.shape) < 0.02
    mask[4], mask[:, 7] = True, True
    found = [fu.Dataset("a", np.where(mask, bad, X), mask=mask).denoise(2) for bad in (7, 1e6)]
    left = ~mask
    np.testing.assert_allclose(found[0].numpy()[left], found[1].numpy()[left], rtol=1e-6)
    assert (found[1].numpy()[mask] == 1e6).all()


def test_nothing_to_keep_is_complained_of():
    with pytest.raises(ValueError, match="no component stands clearly out"):
        data("Gaussian", 0).denoise()
    with pytest.raises(ValueError, match="give 1 to 90"):
        data("Gaussian", 2).denoise(91)

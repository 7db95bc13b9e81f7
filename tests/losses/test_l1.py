"""`L1`: its sum, and the zeros that it finds."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import L1, Frobenius
from tests.helpers.planted_factors import angles
from tests.helpers.structured_data import fitted, noisy, peaks, planted_mean, value_of


def test_l1_is_the_sum_of_the_entries():
    model = fu.models.NMF(noisy(planted_mean()[0], 0), 2)
    assert value_of(L1("C"), model) == pytest.approx(model.C.detach().sum().item())


def test_l1_finds_the_zeros_that_noise_hides():
    rng = np.random.default_rng(0)
    C = rng.gamma(2.0, 1.0, (256, 3)) * (rng.random((256, 3)) < 0.4)
    data = noisy(C @ peaks(width=8.0).T, 0.1)
    kept = {}
    for weight in (0.0, 0.1):
        loss = Frobenius(data) + weight * L1("C")
        result = fitted(fu.models.NMF(data, 3), loss)
        kept[weight] = float(((result.factors["C"] == 0).sum(1) == (C == 0).sum(1)).mean())
        kept[f"angle {weight}"] = angles(result.factors["S"], peaks(width=8.0)).max()
    assert kept[0.1] > kept[0.0], kept

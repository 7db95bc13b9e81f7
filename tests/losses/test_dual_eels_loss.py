"""`dual_eels_loss`: what it is, and that it wants the noise."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, LearnedSmoothness, Overlap, dual_eels_loss
from fusion.testing import uniform


def dataset(variance: float | None = 0.1) -> fu.Dataset:
    return fu.Dataset("core", uniform(6, 5, 12) + 1, variance=variance)


def test_it_is_the_sum_that_its_name_says():
    data = dataset()
    expected = Frobenius(data) + 7 * Overlap("C") + LearnedSmoothness("S")
    assert str(dual_eels_loss(data, overlap=7)) == str(expected)
    model = fu.models.NMF(data, 3)
    assert dual_eels_loss(data, overlap=7)(model).item() == expected(model).item()
    assert str(dual_eels_loss(data, overlap=0)) == str(Frobenius(data) + LearnedSmoothness("S"))


def test_without_the_noise_or_with_a_weight_below_zero_it_is_refused():
    with pytest.raises(ValueError, match=r"variance of 'core' is not known.*estimate_variance"):
        dual_eels_loss(dataset(None))
    for weight in (-1.0, np.nan):
        with pytest.raises(ValueError, match=r"overlap=.*give 0 or more"):
            dual_eels_loss(dataset(), overlap=weight)

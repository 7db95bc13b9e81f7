"""The deviance of counts against its moments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import poisson

from fusion.engine.poisson_pixels import deviance


@pytest.mark.parametrize("mean", [0.01, 0.3, 5.0, 200.0])
def test_the_deviance_of_counts_has_its_moments(mean):
    x = np.arange(2000)
    chance = poisson.pmf(x, mean)
    d = 2 * (np.where(x > 0, x * np.log(np.maximum(x, 1) / mean), 0) - x + mean)
    m, one = torch.full((1, 1), mean, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    value, expected, variance = deviance(one * 3, one, m)
    assert float(value) == pytest.approx(2 * (3 * np.log(3 / mean) - 3 + mean))
    assert float(expected) == pytest.approx(np.sum(chance * d), rel=1e-2)
    assert float(variance) == pytest.approx(
        np.sum(chance * d**2) - np.sum(chance * d) ** 2, rel=2e-2
    )

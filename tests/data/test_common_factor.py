"""What a count is worth in whole numbers that have a factor."""

import numpy as np
import pytest

import fusion as fu
from fusion.data.count_value import value_of_a_count
from fusion.losses import Poisson

COUNTS = np.random.default_rng(0).poisson(20.0, (8, 9, 30))


@pytest.mark.parametrize("factor", [1, 3, 10_000])
def test_the_common_factor_of_many_values_is_what_a_count_is_worth(factor):
    assert value_of_a_count(factor * COUNTS) == factor


def test_few_values_may_have_a_factor_by_chance():
    assert value_of_a_count(np.array([0, 2, 4, 6] * 9)) == 1


def test_counts_times_a_gain_are_measured_as_such_and_told_under_poisson():
    data = fu.Dataset("big", 10_000 * COUNTS)
    assert data.noise().gain == pytest.approx(10_000, rel=0.1)
    with pytest.warns(fu.NoiseWarning, match=r"multiples of 1e\+04"):
        fu.fit(fu.models.NMF(data, 1), Poisson(data), starts=1, progress=False)

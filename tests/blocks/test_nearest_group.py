"""The nearest of a few points, compiled, against all distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion.blocks import nearest_group
from fusion.blocks.pixel_groups import _of_many
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights

RNG = np.random.default_rng(4)


@pytest.mark.parametrize(("few", "columns"), [(512, 8), (37, 5), (1, 2)])
@pytest.mark.parametrize("many", [nearest_group.MANY, 50])
def test_the_nearest_is_the_one_of_least_distance(few, columns, many):
    points, centres = RNG.random((many, columns)), RNG.random((few, columns))
    found = nearest_group.nearest(points, centres)
    for i in range(0, many, max(many // 40, 1)):
        apart = np.square(centres - points[i]).sum(1)
        assert apart[found[i]] <= apart.min() * (1 + 1e-5) + 1e-7


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "f4"])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_added_up_by_their_groups(kind, weighted):
    x = RNG.poisson(3, (2**13, 130)).astype(kind)
    x[5] = 250
    if kind == "i2":
        x[:, 3] = -7  # as under a mask
    group, w = RNG.integers(0, 11, len(x)), RNG.integers(0, 2, len(x)).astype(float)
    rows = torch.from_numpy(w) if weighted else None
    form = Dense(torch.from_numpy(x), Weights(rows), torch.float64)
    expected = np.zeros((12, 130))
    np.add.at(expected, group, x * w[:, None] if weighted else x)
    np.testing.assert_array_equal(_of_many(form, group, 12), expected)


def test_a_point_that_is_no_number_has_a_group_too():
    points = RNG.random((nearest_group.MANY, 4))
    points[7] = np.nan
    found = nearest_group.nearest(points, RNG.random((20, 4)))
    assert ((found >= 0) & (found < 20)).all()

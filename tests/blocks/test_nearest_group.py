"""The group nearest to a pixel, compiled, against all distances; counts added up by groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion.blocks import nearest_group
from fusion.blocks.nearest_group import Placed
from fusion.blocks.pixel_groups import _of_many
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights

RNG = np.random.default_rng(4)


def placed(amounts):
    """Roots of shares, and 3 apart for each component that one alone has."""
    total = amounts.sum(1, keepdims=True)
    share = np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0)
    return np.concatenate([np.sqrt(share), 3.0 * (share <= 1e-9)], axis=1)


@pytest.mark.parametrize(("few", "K"), [(512, 4), (512, 12), (37, 5), (1, 2), (20, 63)])
@pytest.mark.parametrize("many", [nearest_group.MANY, 50])
def test_the_nearest_is_the_one_of_least_distance(few, K, many):
    pixels, groups = (RNG.gamma(0.5, 2.0, (n, K)) for n in (many, few))
    for amounts in (pixels, groups):
        amounts[RNG.random(amounts.shape) < 0.3] = 0  # of 12, most pixels are like no group
    pixels[3] = 0
    found = nearest_group.nearest(pixels, Placed.of(groups))
    at, centres = placed(pixels), placed(groups)
    for i in [3, *range(0, many, max(many // 40, 1))]:
        apart = np.square(centres - at[i]).sum(1)
        assert apart[found[i]] <= apart.min() * (1 + 1e-5) + 1e-7


def test_of_groups_that_are_alike_it_is_the_first():
    groups = np.tile(RNG.random((6, 3)), (4, 1))
    pixels = np.repeat(groups[:6], nearest_group.MANY, axis=0)
    assert set(nearest_group.nearest(pixels, Placed.of(groups))) == set(range(6))


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
    found = nearest_group.nearest(points, Placed.of(RNG.random((20, 4))))
    assert ((found >= 0) & (found < 20)).all()

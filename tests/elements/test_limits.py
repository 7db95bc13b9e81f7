"""Limits of what is at its bound: where a bowl of so much is as high as 95 % want."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from fusion.elements.limits import HALF_CHI2, ONE_SIDED, reach, reach_until


def by_scan(pull, bend, begin, more):
    def risen(t, pull, by):
        return pull * t + bend * t**2 / 2 + (more * np.maximum(t - begin, 0) ** 2).sum() / 2 - by

    end = 1e6
    found = brentq(risen, 0, end, args=(pull, HALF_CHI2), xtol=1e-12)
    median = brentq(risen, 0, end, args=(0.0, ONE_SIDED**2 / 2), xtol=1e-12)
    return max(found, median)


def test_a_bowl_that_bends_more_where_others_come_to_their_bounds_is_followed_piece_by_piece():
    rng = np.random.default_rng(0)
    pull, bend = rng.exponential(size=20), 10 ** rng.uniform(-6, 1, 20)
    begin, more = rng.exponential(2.0, (20, 7)), 10 ** rng.uniform(-2, 2, (20, 7))
    found = reach_until(*map(torch.from_numpy, (pull, bend, begin, more)))
    expected = [by_scan(*each) for each in zip(pull, bend, begin, more, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_flat_bowl_ends_where_what_makes_up_for_it_does():
    """Counts without noise: an absent element that a share of another component would bring."""
    zero = torch.zeros(1, dtype=torch.float64)
    begin, more = torch.tensor([[0.25, math.inf]]), torch.tensor([[4.0, 9.0]])
    found = reach_until(zero, zero, begin.double(), more.double())
    assert float(found) == pytest.approx(0.25 + math.sqrt(2 * HALF_CHI2 / 4))


def test_where_no_other_comes_to_its_bound_it_is_that_of_the_bowl_alone():
    pull, bend = torch.rand(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    begin = torch.full((5, 3), math.inf, dtype=torch.float64)
    found = reach_until(pull, bend, begin, torch.ones_like(begin))
    np.testing.assert_allclose(found, reach(pull, bend))

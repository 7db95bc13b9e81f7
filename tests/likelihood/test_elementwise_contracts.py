"""Every entry-wise loss keeps to its contract: slope and curvature are its derivatives."""

import numpy as np
import pytest
import torch

from fusion.language.fit_term import SQUARE
from fusion.losses.beta_divergence import _Beta
from fusion.losses.poisson import LOG
from fusion.testing import ElementwiseContract, normal, uniform


class TestSquareOfADifference(ElementwiseContract):
    def make(self):
        return SQUARE, normal(8), normal(8, seed=1)


class TestLogarithm(ElementwiseContract):
    def make(self):
        return LOG, torch.arange(8).double(), uniform(8)

    def test_a_count_predicted_as_zero_is_infinitely_bad(self):
        x, m = torch.tensor([2.0, 0.0]), torch.zeros(2)
        assert LOG.value(x, m).tolist() == [np.inf, 0.0]


class BetaLoss(ElementwiseContract):
    beta = 1.5

    def make(self):
        return _Beta(self.beta, 1e-9), torch.arange(8).double() + 0.5, uniform(8) * 4


class TestBetaLoss(BetaLoss):
    pass


@pytest.mark.parametrize("beta", [-1.0, 0.0, 0.5, 1.0, 3.0])
class TestBetaLossOfOtherOrders:
    def test_slope_and_curvature_are_derivatives_of_the_value(self, beta):
        suite = BetaLoss()
        suite.beta = beta
        suite.test_slope_is_the_derivative_of_the_value()
        suite.test_curvature_is_the_second_derivative_where_that_is_positive()

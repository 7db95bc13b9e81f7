"""What every entry-wise loss ℓ(x, m) keeps to."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.testing import assert_close

from fusion.likelihood.entry_losses import Elementwise


class ElementwiseContract(ABC):
    """What every entry-wise loss ℓ(x, m) keeps to."""

    @abstractmethod
    def make(self) -> tuple[Elementwise, Tensor, Tensor]:
        """The loss, and values x and m, float64, at which it is smooth."""

    def test_slope_is_the_derivative_of_the_value(self) -> None:
        loss, x, m = self.make()
        m = m.clone().requires_grad_()
        (made,) = torch.autograd.grad(loss.value(x, m).sum(), m)
        assert_close(loss.slope(x, m.detach()), made)

    def test_curvature_is_the_second_derivative_where_that_is_positive(self) -> None:
        loss, x, m = self.make()
        m = m.clone().requires_grad_()
        (made,) = torch.autograd.grad(loss.slope(x, m).sum(), m)
        curvature = loss.curvature(x, m.detach())
        assert bool((curvature >= 0).all())
        convex = made > 0
        assert_close(curvature[convex], made[convex])

    def test_vanishes_at_zero_only_if_it_does(self) -> None:
        loss, x, m = self.make()
        if loss.vanishes_at_zero:
            zero = torch.zeros_like(x)
            for part in (loss.value, loss.slope, loss.curvature):
                assert not bool(part(zero, m).any())

"""What every linear map of a factor's rows keeps to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap
from torch.testing import assert_close

from fusion.testing.random_tensors import STARTS, normal


class LinearMapContract(ABC):
    """What every linear map of a factor's rows keeps to: (n, K) → (m, K), as `fu.resample` is."""

    @abstractmethod
    def make(self) -> tuple[Callable[[Tensor], Tensor], int]:
        """The map, and n, the rows that it takes."""

    def test_it_is_linear(self) -> None:
        function, n = self.make()
        x, y = normal(n, 3), normal(n, 3, seed=1)
        assert_close(function(2 * x - 3 * y), 2 * function(x) - 3 * function(y))
        assert not bool(function(torch.zeros_like(x)).any()), "zeros must stay zeros"

    def test_components_do_not_mix(self) -> None:
        function, n = self.make()
        x = normal(n, 3)
        alone = torch.cat([function(x[:, k : k + 1]) for k in range(3)], 1)
        assert_close(function(x), alone)

    def test_gradient_is_the_transpose(self) -> None:
        function, n = self.make()
        x = normal(n, 2).requires_grad_()
        image = function(x)
        w = normal(*image.shape, seed=2)
        (pulled,) = torch.autograd.grad(image, x, w)
        y = normal(n, 2, seed=3)
        assert_close((pulled * y).sum(), (w * function(y)).sum())

    def test_starts_together_equal_starts_one_by_one(self) -> None:
        function, n = self.make()
        x = normal(STARTS, n, 2)
        assert_close(vmap(function)(x), torch.stack([function(each) for each in x]))

    def test_precision_is_that_of_the_factor(self) -> None:
        function, n = self.make()
        x = normal(n, 2)
        assert function(x.float()).dtype == torch.float32
        assert_close(function(x.float()).double(), function(x), rtol=1e-4, atol=1e-5)

"""Losses entry by entry, ℓ(x, m), with what passes over the data need of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Elementwise(ABC):
    """ℓ(x, m) with its first two derivatives in m, entry by entry."""

    @abstractmethod
    def value(self, x: Tensor, m: Tensor) -> Tensor:
        """ℓ."""

    @abstractmethod
    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        """∂ℓ/∂m."""

    @abstractmethod
    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        """∂²ℓ/∂m², or a non-negative stand-in."""

    def bends(self, x: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        """(slope, curvature) where x ≠ 0, in one go."""
        return self.slope(x, m), self.curvature(x, m)

    def rise(self, x: Tensor, m: Tensor, to: Tensor) -> Tensor:
        """ℓ(x, to) − ℓ(x, m) where x ≠ 0; NaN where that is nothing."""
        return self.value(x, to) - self.value(x, m)

    vanishes_at_zero: bool = False
    """Whether ℓ = 0 wherever x = 0, so that the non-zero entries are all."""
    logarithmic: bool = False
    """Whether it is −x ln m where x ≠ 0, for which there are compiled passes, and nothing else."""
    quadratic: bool = False
    """Whether ∂²ℓ/∂m² = 1 everywhere, for which neither data nor prediction are asked."""
    linear: float = 0.0
    """Coefficient of a part Σ w m that comes on top of ℓ: column sums give it."""


class Square(Elementwise):
    """½ (x − m)²."""

    quadratic = True

    def value(self, x: Tensor, m: Tensor) -> Tensor:
        return 0.5 * (x - m).square()

    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        return m - x

    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.ones_like(m)


class SquareOfPrediction(Elementwise):
    """½ m², whatever the data are."""

    quadratic = True

    def value(self, x: Tensor, m: Tensor) -> Tensor:
        return 0.5 * m.square()

    def slope(self, x: Tensor, m: Tensor) -> Tensor:
        return m

    def curvature(self, x: Tensor, m: Tensor) -> Tensor:
        return torch.ones_like(m)


SQUARE = Square()
SQUARE_OF_PREDICTION = SquareOfPrediction()


def weighted(w: Tensor, value: Tensor) -> Tensor:
    """w·value with 0·∞ = 0: what is masked does not count."""
    return torch.where(w > 0, w * value, 0)

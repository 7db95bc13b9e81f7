"""How weighted squares of differences of neighbours bend, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.language.surrogate import FactorCurvature


@dataclass(frozen=True)
class Differences:
    """½ Σ w (Dᵖ f)² along one mode of a grid, free ends."""

    dim: int
    order: int = 1
    weight: Tensor | float = 1.0
    """w, for all differences or as `torch.diff` gives them."""

    def product(self, v: Tensor) -> Tensor:
        """Dᵖᵀ w Dᵖ v."""
        made = torch.diff(v, n=self.order, dim=self.dim) * self.weight
        for _ in range(self.order):
            edge = torch.zeros_like(made.narrow(self.dim, 0, 1))
            made = torch.diff(made, dim=self.dim, prepend=edge, append=edge).neg()
        return made

    def bound(self, like: Tensor) -> Tensor:
        """|Dᵖ|ᵀ w |Dᵖ| 1: no less than what the matrix is, entry by entry of its diagonal."""
        made = torch.ones_like(like)
        for _ in range(self.order):
            made = self._sums(made)
        made = made * self.weight
        for _ in range(self.order):
            edge = torch.zeros_like(made.narrow(self.dim, 0, 1))
            made = self._sums(torch.cat((edge, made, edge), self.dim))
        return made

    def _sums(self, v: Tensor) -> Tensor:
        n = v.shape[self.dim] - 1
        return v.narrow(self.dim, 0, n) + v.narrow(self.dim, 1, n)


def bending(value: Tensor, grid: Sequence[int], steps: Sequence[Differences]) -> FactorCurvature:
    """Of the sum of the steps, whose modes count from the end of a grid.

    Args:
        value: of a factor, (start, n, K).
        grid: into which its n rows fold, (…).
        steps: at least one.
    """
    shape = (value.shape[0], *grid, value.shape[-1])

    def product(v: Tensor) -> Tensor:
        folded = v.reshape(shape)
        made = steps[0].product(folded)
        for step in steps[1:]:
            made += step.product(folded)
        return made.reshape(v.shape)

    folded = value.reshape(shape)
    rows = torch.stack([step.bound(folded) for step in steps]).sum(0)
    return FactorCurvature(product, torch.diag_embed(rows.reshape(value.shape)))

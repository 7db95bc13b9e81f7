"""Terms at a batch of points, and their gradient by autograd where it is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.variables import States, Values


class TermsAtPoints:
    """Terms at a batch of points; their gradient by the values where it is asked for."""

    def __init__(self, function, values: Values, states: States) -> None:
        self.values = {name: v.detach() for name, v in values.items()}
        with torch.enable_grad():
            self._leaves = {n: v.detach().requires_grad_() for n, v in values.items()}
            self._total = function(self._leaves, states)
        self.terms = self._total.detach()  # (start, term)
        self._gradient: Values | None = None

    @property
    def size(self) -> Tensor:
        """(start,) how large the numbers are of which the terms are the sum."""
        return self.terms.abs().sum(1)

    @property
    def gradient(self) -> Values:
        """Of the sum of the terms."""
        if self._gradient is None:
            made = [None] * len(self._leaves)
            if self._total.requires_grad:
                made = torch.autograd.grad(
                    self._total.sum(), list(self._leaves.values()), allow_unused=True
                )
            self._gradient = {
                name: torch.zeros_like(x) if g is None else g
                for (name, x), g in zip(self._leaves.items(), made, strict=True)
            }
            self._total = self.terms  # the graph may go
        return self._gradient

    def rows(self, rows: Tensor) -> None:
        """Keep some of the points."""
        self._gradient = {name: g[rows] for name, g in self.gradient.items()}
        self.values = {name: v[rows] for name, v in self.values.items()}
        self.terms = self.terms[rows]

    def put(self, rows: Tensor, part: TermsAtPoints) -> None:
        """Write other points over some of them."""
        for name, g in self.gradient.items():
            g[rows] = part.gradient[name]
            self.values[name][rows] = part.values[name]
        self.terms[rows] = part.terms

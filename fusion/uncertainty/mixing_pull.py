"""The term that pulls components towards and away from each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusion.language.model import Model
from fusion.language.surrogate import Surrogate
from fusion.language.term import State


class MixingPull(Surrogate):
    """−Σ p_m t_m, t_m how much of component j is in component k of a factor, between −1 and 1.

    With a = ⟨s_j*, s_k⟩ and b = ⟨s_k*, s_k⟩ in the dual basis s* of the answer t is a / √(a² + b²),
    so that no pull is without end.

    p is a variable of the model that is held: every start of a batch has its own.
    """

    def __init__(self, mixes: Sequence[tuple[str, int, int]], duals: dict[str, Tensor]) -> None:
        self.mixes, self.duals = mixes, duals

    def mixing(self, model: Model) -> Tensor:
        """All t, (mix,)."""
        parts = []
        inner = {name: dual @ model.factor(name)() for name, dual in self.duals.items()}
        for name, j, k in self.mixes:
            a, b = inner[name][j, k], inner[name][k, k]
            parts.append(a / (a.square() + b.square()).clamp_min(1e-30).sqrt())
        return torch.stack(parts)

    def value(self, model: Model, state: State) -> Tensor:
        return -(model.pull * self.mixing(model)).sum()

    def curvature(self, model: Model, state: State) -> None:
        return None

    def signs(self) -> Tensor:
        """Every mix up and down, and with the one the other way round: (pull, mix) of −1, 0, 1."""
        rows, unit = [], torch.eye(len(self.mixes))
        for i, (name, j, k) in enumerate(self.mixes):
            back = self.mixes.index((name, k, j))
            rows += [unit[i], -unit[i]]
            if i < back:
                rows += [a * unit[i] + b * unit[back] for a in (1, -1) for b in (1, -1)]
        return torch.stack(rows)

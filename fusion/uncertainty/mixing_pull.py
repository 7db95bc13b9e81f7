"""The term that pulls components towards and away from each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        starts, at = {}, 0
        for name, dual in duals.items():
            starts[name], at = at, at + len(dual) ** 2
        places = [starts[name] + j * len(duals[name]) + k for name, j, k in mixes]
        like = next(iter(duals.values()))
        self.places = torch.tensor(places, device=like.device)

    def value(self, model: Model, state: State) -> Tensor:
        return self._value({name: model.factor(name)() for name in self.duals}, model.pull)

    def batched_value(self, model: Model, values: Mapping[str, Tensor], state: State) -> Tensor:
        return self._value(values, values["pull"])

    def _value(self, factors: Mapping[str, Tensor], pull: Tensor) -> Tensor:
        """The term at factors (…, n, K) and pulls (…, mix), of one start or of all at once."""
        parts = []
        for name, dual in self.duals.items():
            inner = dual @ factors[name]
            own = inner.diagonal(dim1=-2, dim2=-1)[..., None, :]
            share = inner / (inner.square() + own.square()).clamp_min(1e-30).sqrt()
            parts.append(share.flatten(-2))
        return -(pull * torch.cat(parts, -1).index_select(-1, self.places)).sum(-1)

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

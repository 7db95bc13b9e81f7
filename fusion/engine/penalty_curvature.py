"""Curvature of the penalties: in closed form where they say it, else by double backward."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from fusion.algebra.arrays import defined_beside
from fusion.engine.hessian import Hessian, row_blocks
from fusion.engine.objective import Objective
from fusion.engine.variables import States, Values
from fusion.language.model import Model
from fusion.language.penalty import FactorTerm
from fusion.language.surrogate import FactorCurvature, Surrogate
from fusion.language.term import State


class PenaltyCurvature:
    """v ↦ H v of the penalties by the values of the factors; zero where there is no curvature."""

    def __init__(self, objective: Objective, values: Values, states: States) -> None:
        self.values = values
        self.closed: list[tuple[str, float, FactorCurvature]] = []
        rest = []
        for i, weight, term in objective.loss.penalties:
            found = _closed(objective.model, term, values, states[i])
            if found is None:
                rest.append((i, weight, term.curvature))
            else:
                self.closed.append((found[0], weight, found[1]))
        with torch.enable_grad():
            self.rest = Hessian(objective.each(rest, values, states), values)

    def __bool__(self) -> bool:
        return bool(self.closed) or bool(self.rest)

    def touches(self, name: str) -> bool:
        """Whether some penalty bends in this variable."""
        return self.rest.touches(name) or any(name == known for known, *_ in self.closed)

    def __call__(self, v: Values) -> Values:
        """H v of the factors that bend; directions that are not given are zero."""
        made = self.rest(v) if self.rest else {}
        for name, weight, closed in self.closed:
            if name in v:
                more = weight * closed.product(v[name])
                made[name] = made[name] + more if name in made else more
        return made

    def blocks(self, name: str) -> Tensor:
        """Row blocks in one factor, (start, row or 1, K, K)."""
        made = [weight * closed.rows for known, weight, closed in self.closed if known == name]
        if self.rest.touches(name):
            rest = row_blocks(self.rest, name, self.values[name])
            alike = bool((rest == rest[:, :1]).all())
            made.append(rest[:, :1] if alike else rest)
        return reduce(torch.add, made)


def _closed(
    model: Model, term: Surrogate, values: Values, state: State
) -> tuple[str, FactorCurvature] | None:
    """The factor that a term is about, and how it bends; None where autograd is needed."""
    name = term.factor if isinstance(term, FactorTerm) else None
    own = all(
        defined_beside(type(term), "factor_curvature", main)
        for main in ("curvature", "value", "of")
    )
    if name is None or not own:
        return None
    made = term.factor_curvature(model, values[name].detach(), state)
    return None if made is None else (name, made)

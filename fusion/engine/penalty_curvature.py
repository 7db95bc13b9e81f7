"""Curvature of the penalties: in closed form where they say it, else by double backward."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fusion.algebra.arrays import defined_beside
from fusion.engine.hessian import Hessian
from fusion.engine.objective import Objective
from fusion.engine.variables import States, Values
from fusion.language.penalty import FactorTerm
from fusion.language.surrogate import Surrogate
from fusion.language.term import State


class PenaltyCurvature:
    """v ↦ H v of the penalties by the values of the factors; zero where there is no curvature."""

    def __init__(self, objective: Objective, values: Values, states: States) -> None:
        self.values = values
        self.closed: list[tuple[str, float, Callable[[Tensor], Tensor]]] = []
        rest = []
        for i, weight, term in objective.loss.penalties:
            found = _closed_product(term, values, states[i])
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
        for name, weight, product in self.closed:
            if name in v:
                more = weight * product(v[name])
                made[name] = made[name] + more if name in made else more
        return made

    def own(self, name: str, v: Tensor) -> Tensor:
        """The part of H v in the variable in which v lies."""
        made = self.rest.own(name, v) if self.rest else torch.zeros_like(v)
        for known, weight, product in self.closed:
            if known == name:
                made = made + weight * product(v)
        return made


def _closed_product(
    term: Surrogate, values: Values, state: State
) -> tuple[str, Callable[[Tensor], Tensor]] | None:
    """The factor that a term is about, and its product; None where autograd is needed."""
    name = term.factor if isinstance(term, FactorTerm) else None
    if name is None or not defined_beside(type(term), "curvature_product", "curvature"):
        return None
    if not defined_beside(type(term), "curvature_product", "value"):
        return None
    product = term.curvature_product(values[name].detach(), state)
    return None if product is None else (name, product)

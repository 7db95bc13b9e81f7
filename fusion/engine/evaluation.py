"""Loss and gradient at a point: what a solver without second derivatives asks for."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.curvature import Curvature
from fusion.engine.objective import Objective
from fusion.engine.variables import States


def evaluate(
    objective: Objective, flat: Tensor, states: States, *, frozen: bool = False
) -> tuple[Tensor, Tensor, States]:
    """Terms (start, term), gradient (start, n), and the lagged pieces, taken anew unless frozen.

    Args:
        objective: a model and a loss over starts.
        flat: (start, n) raw variables.
        states: lagged pieces of the step before; `objective.no_states()` at first.
        frozen: whether they stay as they are.
    """
    with torch.no_grad():
        values = objective.values(flat)
    if not frozen and objective.lagged:
        states = objective.refresh_fits(values, states)
        fit_information = (
            Curvature.fit_information(objective, values, states) if objective.wanted else {}
        )
        states = objective.refresh_penalties(values, states, fit_information)
    with torch.enable_grad():
        leaf = flat.detach().requires_grad_()
        values = objective.values(leaf)
        terms = torch.cat([objective.fits(values, states), objective.penalties(values, states)], 1)
        (gradient,) = torch.autograd.grad(terms.sum(), leaf)
    return terms.detach(), gradient, states

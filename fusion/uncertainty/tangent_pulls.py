"""Where pulls lead and how strong they have to be, by the curvature at an answer."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fusion.engine.curvature import Curvature
from fusion.engine.evaluation import evaluate
from fusion.engine.linear_system import System
from fusion.engine.objective import Objective
from fusion.engine.variables import Slot
from fusion.language.loss import Loss
from fusion.uncertainty.mixing_pull import MixingPull

EXACTNESS = 0.05
"""How far the linear systems are solved."""
PRODUCTS = 60
"""Curvature products for all of them, at most."""
DAMPING = 1e-6
"""Share of the row blocks that is added."""
TRUSTED = 0.3
"""Mixing up to which the loss is taken for a parabola."""
EXACT = 0.1
"""Mixing up to which two pulls of one direction end at one answer."""
SAME = 0.995
"""Cosine of two directions, in units of the noise, from which they are one."""


class Proposal(NamedTuple):
    """What the curvature says of pulls."""

    direction: Tensor  # (pull, n) from the answer to where the loss has risen by what is allowed
    weight: Tensor  # (pull, 1) of a pull that leads there
    near: Tensor  # (pull,) whether components mix so little on the way that this can be trusted
    again: Tensor  # (pull,) whether a pull before it leads to the same end


def proposals(
    objective: Objective, term: MixingPull, pull: Slot, start: Tensor, signs: Tensor, rise: float
) -> Proposal:
    """Ends of pulls as if the loss were a parabola and what is at its bound stayed there.

    Under a pull −p t the parabola's minimum is at p H⁻¹ ∇t, and ½ p² ∇tᵀ H⁻¹ ∇t above the answer:
    that is `rise` for p = √(2 rise / ∇tᵀ H⁻¹ ∇t). Pulls of several mixes are sums of those of one,
    so that there are as many linear systems as mixes, all solved together.

    Args:
        objective: the model and its loss with the term.
        term: the pulls.
        pull: the variable that weighs them.
        start: raw variables of the answer, (1, n).
        signs: (pull, mix) of −1, 0, 1.
        rise: of the loss.
    """
    asked = (signs != 0).any(0)
    flat = start.repeat(int(asked.sum()), 1)
    flat[:, pull.part] = torch.eye(signs.shape[1]).to(flat)[asked]
    downhill, directions = _directions(objective, term, flat)
    along, signs = downhill @ directions.T, signs[:, asked].to(flat)
    met = -(signs @ along @ signs.T)  # ∇tᵀ H⁻¹ ∇t of every two pulls
    slope = met.diagonal()[:, None]
    weight = (2 * rise / slope.clamp_min(torch.finfo(flat.dtype).tiny)).sqrt()
    mixed = weight * slope / signs.abs().sum(1, keepdim=True)
    near = torch.isfinite(weight) & (slope > 0) & (mixed <= TRUSTED)
    direction = torch.where(near, weight, 0) * (signs @ directions)
    near = near[:, 0] & torch.isfinite(direction).all(1)
    return Proposal(direction, weight, near, _again(met, near & (mixed <= EXACT)[:, 0]))


def _again(met: Tensor, near: Tensor) -> Tensor:
    """Which directions are those of one before, (pull,), from their inner products."""
    size = met.diagonal().clamp_min(torch.finfo(met.dtype).tiny).sqrt()
    alike = (met / size[:, None] / size > SAME) & near[:, None] & near
    return alike.tril(-1).any(1)


def _directions(objective: Objective, term: MixingPull, flat: Tensor) -> tuple[Tensor, Tensor]:
    """For every mix the gradient of −t and H⁻¹ ∇t, (mix, n) each, on what is inside its bounds."""
    alone = Objective(objective.model, Loss([(1.0, term)]))
    _, gradient, _ = evaluate(alone, flat, alone.no_states())
    _, _, states = evaluate(objective, flat, objective.no_states())
    free = objective.free() & (flat > objective.lower())
    curvature = Curvature(objective, flat, states)
    curvature.add_penalties(states)
    damping = flat.new_full((len(flat),), DAMPING)
    system = System(curvature, gradient, free.to(flat.dtype), damping)
    directions, _, _ = system.solve(EXACTNESS, PRODUCTS)
    return gradient * free, directions

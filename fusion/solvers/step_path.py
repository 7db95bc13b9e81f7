"""Where a Gauss–Newton step leads: straight on, or along a path that bends as the valley does."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.conjugate_gradients import inner
from fusion.engine.evaluation import evaluate
from fusion.engine.linear_system import System
from fusion.engine.objective import Objective
from fusion.engine.variables import States
from fusion.solvers.track import states_of

PROBED = 0.1
"""Share of the step after which the gradient says how the path bends."""


class StepPath:
    """x(l) = max(x + l d + l² b, lower): a step d, and how its path bends, b, once that is asked.

    d solves H d = −g. Where the valley bends, straight on leads up its side before long, and steps
    become short. Of a path on which the whole gradient falls evenly, g(x(l)) = (1 − l) g, the next
    order is b = −H⁻¹ (g(x + h d) − g − h H d) / h² for a small h: one gradient and one more system
    with the same matrix; what arrives at its bound within h has no say.

    Steps of the second order: M. K. Transtrum, J. P. Sethna (2012), "Improvements to the
    Levenberg–Marquardt algorithm for nonlinear least-squares minimization".

    Args:
        objective: what is minimised; states: lagged pieces.
        system: of the step.
        start: (start, n), where it begins; lower: bounds, (n,) or (start, n).
    """

    def __init__(
        self, objective: Objective, states: States, system: System, start: Tensor, lower: Tensor
    ) -> None:
        self.objective, self.states, self.system = objective, states, system
        self.start, self.lower, self.gradient = start, lower, system.gradient
        self.bent: Tensor | None = None
        self.products = 0
        """Made since the step was solved for."""

    def solve(self, tolerance: float, max_products: int) -> int:
        """Find the step; how many products were made."""
        self.within = tolerance, max_products
        self.direction, self.curved, made = self.system.solve(*self.within)
        return made

    @property
    def promised(self) -> Tensor:
        """How far the quadratic model says that the loss falls, (start,)."""
        return -inner(self.direction, self.gradient + 0.5 * self.curved)

    def bend(self, rows: Tensor) -> None:
        """Find how the paths of some of the starts bend."""
        at = self.start[rows] + PROBED * self.direction[rows]
        within = at > self.lower
        at = torch.maximum(at, self.lower)
        states = states_of(self.states, rows)
        _, ahead, _ = evaluate(self.objective, at, states, frozen=True)
        less = (ahead - self.gradient[rows]) * self.system.free[rows] - PROBED * self.curved[rows]
        less = less * within
        known = torch.isfinite(less).all(1, keepdim=True)
        pull = torch.zeros_like(self.gradient)
        pull[rows] = torch.where(known, less / PROBED**2, 0)
        self.bent, _, self.products = self.system.solve(*self.within, pull)

    def point(self, length: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Where lengths (start,) of the steps lead, of all starts or of some."""
        along = length[rows, None]
        point = self.start[rows] + along * self.direction[rows]
        if self.bent is not None:
            point = point + along.square() * self.bent[rows]
        return torch.maximum(point, self.lower)

    def slope(self, point: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """gᵀ (point − x), (start,), of all starts or of some."""
        return inner(self.gradient[rows], point - self.start[rows])

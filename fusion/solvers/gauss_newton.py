"""Projected Gauss–Newton: the default for every model a user can write."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.engine.objective import Objective
from fusion.engine.variables import States
from fusion.solvers.base import SCOUTED, Solver
from fusion.solvers.joint_descent import Descent
from fusion.solvers.track import Outcome, Track

SKETCHED = 0.2
"""How far the linear system is solved at least while starts are told apart."""
JUMPED = 1e-5
"""Damping after a jump, at most: what two components did, others do in long, flat directions."""


@checked_class
@dataclass(frozen=True)
class GaussNewton(Solver):
    """Projected Gauss–Newton steps by autograd, with row blocks for damping and preconditioning.

    Args:
        tolerance: stop when the loss falls by less than this share over `window` steps, or would
            by all steps to come as falls shrink (where a term is a rule, not an objective: when no
            factor changes by more than its square root).
        window: steps over which the change is taken.
        max_products: curvature products within one step.
        forcing: how far the linear system is solved within a step.
        damping: Levenberg damping to start with, a share of the row blocks.
        whole: for counts with the whole second derivative by the factors' products, not the part
            that Gauss and Newton keep: near a minimum each step then squares what is left.
        max_steps: unless `fit` says otherwise.
    """

    tolerance: float = 1e-9
    window: int = 5
    max_products: int = 60
    forcing: float = 0.1
    damping: float = 0.1
    whole: bool = False
    max_steps: int = 300

    def scouting(self) -> GaussNewton:
        tolerance, forcing = max(self.tolerance, SCOUTED), max(self.forcing, SKETCHED)
        return replace(self, window=2, tolerance=tolerance, forcing=forcing)

    def filling(self) -> GaussNewton:
        return replace(self, tolerance=0.0, damping=1e-6, max_steps=2)

    def polishing(self) -> GaussNewton:
        return replace(self, window=1)

    def jumped(self) -> GaussNewton:
        return replace(self, damping=min(self.damping, JUMPED))

    def resumed(self, outcome: Outcome, row: int) -> GaussNewton:
        if outcome.damping is None:
            return self
        return replace(self, damping=float(outcome.damping[row]))

    def descend(
        self, objective: Objective, flat: Tensor, states: States, track: Track, max_steps: int
    ) -> None:
        Descent(self, objective, flat, states, track).run(max_steps)

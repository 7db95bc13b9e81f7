"""A solver of one's own, from outside the package: projected gradient descent."""

from dataclasses import dataclass

import torch

from fusion.solvers import Solver, evaluate
from fusion.testing import SolverContract


@dataclass(frozen=True)
class ProjectedGradient(Solver):
    """Steps against the gradient, halved until the loss falls, doubled after they did."""

    tolerance: float = 1e-9
    window: int = 10
    max_steps: int = 500

    def descend(self, objective, flat, states, track, max_steps):
        lower, free = objective.lower(), objective.free()
        flat, length = torch.maximum(flat, lower), flat.new_ones(len(flat), 1)
        terms, gradient, states = evaluate(objective, flat, states)
        while True:
            going = ~track.record(flat, terms, states)
            if not bool(going.any()) or len(track.outcome.history) > max_steps:
                return
            flat, terms, gradient, length = (x[going] for x in (flat, terms, gradient, length))
            states = [{key: piece[going] for key, piece in state.items()} for state in states]
            waiting = torch.ones_like(length, dtype=torch.bool)
            for _ in range(40):
                trial = torch.maximum(flat - waiting * length * gradient * free, lower)
                lower_now = evaluate(objective, trial, states)[0].sum(1) < terms.sum(1)
                flat = torch.where(waiting & lower_now[:, None], trial, flat)
                length = torch.where(waiting & ~lower_now[:, None], length / 2, length)
                waiting = waiting & ~lower_now[:, None]
            length = 2 * length
            terms, gradient, states = evaluate(objective, flat, states)


class TestProjectedGradient(SolverContract):
    def make(self):
        return ProjectedGradient()

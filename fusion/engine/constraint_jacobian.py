"""The Jacobian of a factor's constraints: from raw variable to value and back, for directions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fusion.algebra.arrays import defined_beside
from fusion.constraints.contract import Constraint
from fusion.engine.batching import over_starts
from fusion.engine.variables import Slot, constrained

Step = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
"""J v and Jᵀ w of one constraint."""


class ConstraintJacobian:
    """Between a raw variable and its value, where constraints are more than a bound."""

    def __init__(self, slot: Slot, flat: Tensor) -> None:
        assert slot.module is not None
        value, steps = slot.of(flat).detach(), []
        for constraint in slot.module.chain:
            if not constraint.identity:
                step = _closed(constraint, value)
                if step is None:
                    self._by_autograd(slot, flat)
                    return
                steps.append(step)
            value = constrained(constraint, value)
        self.steps: list[Step] | None = steps
        self.value = value

    def _by_autograd(self, slot: Slot, flat: Tensor) -> None:
        """The graph from the raw variable, and that of its adjoint."""
        assert slot.module is not None
        self.steps = None
        with torch.enable_grad():
            self.raw = slot.of(flat).detach().requires_grad_()
            self.made = over_starts(slot.module.constrain, self.raw)
            self.dual = torch.zeros_like(self.made).requires_grad_()
            (self.pulled,) = torch.autograd.grad(self.made, self.raw, self.dual, create_graph=True)
        self.value = self.made.detach()

    def push(self, v: Tensor) -> Tensor:
        """J v: raw direction → direction of the value."""
        if self.steps is None:
            return torch.autograd.grad(self.pulled, self.dual, v, retain_graph=True)[0]
        for there, _ in self.steps:
            v = there(v)
        return v

    def pull(self, w: Tensor) -> Tensor:
        """Jᵀ w: gradient by the value → gradient by the raw variable."""
        if self.steps is None:
            return torch.autograd.grad(self.made, self.raw, w, retain_graph=True)[0]
        for _, back in reversed(self.steps):
            w = back(w)
        return w


def _closed(constraint: Constraint, raw: Tensor) -> Step | None:
    """A constraint's Jacobian, there and back, as it says it itself; None where it does not."""
    if defined_beside(type(constraint), "derivative", "forward"):
        both = constraint.derivative(raw)
        if both is not None:
            return both, both
    if raw.ndim == 3 and defined_beside(type(constraint), "jacobian", "forward"):
        return constraint.jacobian(raw)
    return None

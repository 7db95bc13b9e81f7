"""The Jacobian of a factor's constraints: from raw variable to value and back, for directions."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.algebra.arrays import defined_beside
from fusion.engine.batching import over_starts
from fusion.engine.variables import Slot


class ConstraintJacobian:
    """Between a raw variable and its value, where constraints are more than a bound."""

    def __init__(self, slot: Slot, flat: Tensor) -> None:
        assert slot.module is not None
        value, self.steps, self.closed = slot.of(flat).detach(), [], True
        for constraint in slot.module.chain:
            if not constraint.identity:
                step = constraint.derivative(value)
                if step is None or not defined_beside(type(constraint), "derivative", "forward"):
                    self.closed = False
                    break
                self.steps.append(step)
            value = over_starts(constraint, value)
        self.value = value
        if self.closed:
            return
        with torch.enable_grad():
            self.raw = slot.of(flat).detach().requires_grad_()
            self.made = over_starts(slot.module.constrain, self.raw)
            self.dual = torch.zeros_like(self.made).requires_grad_()
            (self.pulled,) = torch.autograd.grad(self.made, self.raw, self.dual, create_graph=True)
        self.value = self.made.detach()

    def push(self, v: Tensor) -> Tensor:
        """J v: raw direction → direction of the value."""
        if not self.closed:
            return torch.autograd.grad(self.pulled, self.dual, v, retain_graph=True)[0]
        for step in self.steps:
            v = step(v)
        return v

    def pull(self, w: Tensor) -> Tensor:
        """Jᵀ w: gradient by the value → gradient by the raw variable."""
        if not self.closed:
            return torch.autograd.grad(self.made, self.raw, w, retain_graph=True)[0]
        for step in reversed(self.steps):
            w = step(w)
        return w

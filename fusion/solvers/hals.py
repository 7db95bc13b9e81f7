"""Hierarchical alternating least squares for any model that is linear in every factor by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion.hessian import Hessian, row_blocks
from fusion.objective import Objective, Slot, States, Values
from fusion.solvers.alternating import Alternating, allowed


@dataclass(frozen=True)
class HALS(Alternating):
    """One component at a time in closed form. Review, (11), (12).

    Several sweeps a product with the data, extrapolated. For fits of least squares and penalties
    that are quadratic row by row; unit columns are kept by moving their norm into the factors that
    take it up.

    Args:
        sweeps: at most so many sweeps over the components of a factor before the next.
        inner: end the sweeps when one changes the factor by less than this share of the first.
        extrapolation: β at the start; 0 for none.
        tolerance: stop when the loss falls by less than this share over `window` steps.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.

    References:
        Gillis & Glineur, Neural Comput. 24:1085 (2012); Ang & Gillis, Neural Comput. 31:417 (2019).
    """

    wants: ClassVar[str] = "a term quadratic in each factor, row by row"
    sweeps: int = 8
    inner: float = 0.1
    extrapolation: float = 0.5
    tolerance: float = 1e-9
    window: int = 10
    max_steps: int = 1000

    def suits(self, term: Any) -> bool:
        return term.quadratic

    def update(self, objective: Objective, slot: Slot, values: Values, states: States) -> Tensor:
        """The factor after sweeps on its own quadratic, from the gradient here and row blocks."""
        assert slot.module is not None
        with torch.enable_grad():
            here = values[slot.name].detach().requires_grad_()
            point = values | {slot.name: here}
            total = objective.fits(point, states).sum() + objective.penalties(point, states).sum()
            (g,) = torch.autograd.grad(total, here)
            bend = objective.fit_curvature(point, states).sum(1)
            bend = bend + objective.penalty_curvature(point, states).sum(1)
            hessian = Hessian(bend, {slot.name: here})
        width = here.shape[-1] if here.ndim == 3 else here[0].numel()  # a core is one block
        blocks = row_blocks(hessian, slot.name, here.detach(), width)
        shape, x0 = here.shape, here.detach().reshape(len(here), -1, width)
        lower = 0.0 if slot.module.lower is not None else -torch.inf
        return allowed(
            slot,
            self.coordinate_descent(x0, g.reshape(x0.shape), blocks, lower).reshape(shape),
            here.detach(),
        )

"""The size of a start: factors times the numbers that bring the prediction nearest to the data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusion.engine.hessian import Hessian
from fusion.engine.objective import Objective
from fusion.engine.size_likeness import likeness_in_sizes
from fusion.engine.variables import Values

STEADY = 1e-4
"""Share of its distance from the data by which a start still changes where all is settled."""


def rescaled_to_data(
    objective: Objective, values: Values, names: Sequence[str], rounds: int = 40
) -> Values:
    """The values, each named factor times the number that brings M nearest to the data.

    Damped Newton steps in one number a factor, on Σ over data sets of ½‖X − M‖² / ‖X‖². A factor
    that is best at nothing shrinks only until its size no longer matters.
    """
    if not names or not objective.loss.fits:
        return values
    values = _turned_towards_data(objective, values, names)
    likeness = likeness_in_sizes(objective, values)
    scale = {name: objective.like.new_ones(values[name].shape[0]) for name in names}
    before: Tensor | None = None
    for _ in range(rounds):
        with torch.enable_grad():
            leaves = {name: s.detach().requires_grad_() for name, s in scale.items()}
            distance, curvature, half = likeness(leaves)
            size, met = _norm_and_overlap(objective, distance, half)
            gradients = torch.autograd.grad(
                distance.sum(), list(leaves.values()), retain_graph=True, allow_unused=True
            )
            hessian = Hessian(curvature, leaves)
        g = torch.stack(
            [
                torch.zeros_like(s) if x is None else x
                for x, s in zip(gradients, leaves.values(), strict=True)
            ],
            -1,
        )
        columns = [
            torch.stack(list(hessian({n: torch.ones_like(leaves[n])}).values()), -1) for n in names
        ]
        s = torch.stack([scale[n] for n in names], -1)
        # by relative change: unknowns of one size
        H = torch.stack(columns, -1) * s[:, :, None] * s[:, None, :]
        # a share of its own for each: of data sets of other units some are far from met at first
        ridge = 1e-6 * H.diagonal(dim1=-2, dim2=-1) + torch.finfo(s.dtype).tiny
        step = -torch.linalg.solve(H + torch.diag_embed(ridge), g * s)
        factor = (1 + step).clamp(0.1, 1e3)
        alike = size.clamp_min(torch.finfo(size.dtype).tiny) ** (-0.5 / len(names))
        factor = torch.where(met[:, None] > 0, factor, alike.clamp(0.1, 1e3)[:, None].to(factor))
        scale = {n: s[:, i] * factor[:, i] for i, n in enumerate(names)}
        distance = distance.detach()
        settled = (factor - 1).abs() < 0.01
        if before is not None:  # what grows may be far too small yet to be seen in the distance
            steady = (before - distance).abs() <= STEADY * distance
            settled |= steady[:, None] & (factor < 1)
        before = distance
        if bool(settled.all()):
            break
    return {
        n: (v * _per_start(scale[n], v)).detach() if n in scale else v for n, v in values.items()
    }


def _norm_and_overlap(
    objective: Objective, distance: Tensor, half: Tensor
) -> tuple[Tensor, Tensor]:
    """(⟨M, M⟩, ⟨X, M⟩) over ‖X‖², (start,), of distances and ½⟨M, M⟩; both 1 where M is zero."""
    half = half.detach()
    met = 0.5 * len(objective.loss.fits) + half - distance.detach()
    known = half > 0
    return torch.where(known, 2 * half, 1), torch.where(known, met, 1)


def _turned_towards_data(objective: Objective, values: Values, names: Sequence[str]) -> Values:
    """The values, one factor of any sign turned round where M points away from the data."""
    free = [n for n in names if all(c.signed for c in objective.model.factor(n).chain)]
    if not free:
        return values
    with torch.no_grad():
        distance, _, half = objective.likeness(values)
        met = _norm_and_overlap(objective, distance, half)[1]
    sign = torch.where(met < 0, -1.0, 1.0).to(values[free[0]])
    return values | {free[0]: values[free[0]] * _per_start(sign, values[free[0]])}


def _per_start(s: Tensor, v: Tensor) -> Tensor:
    """(start,) made to multiply (start, …)."""
    return s.reshape(-1, *(1,) * (v.ndim - 1))

"""What the inverse of a curvature says of values: variances of entries, and what is left open."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from fusion.engine.quadratic import Quadratic
from fusion.engine.variables import Values

RIDGE = 1e-12
"""Share of the diagonal that is added, so that what the data leave open inverts."""
OPEN = 1e7
"""Times its variance with all else known, above which a variance says: not determined."""


def variances_of_values(
    quadratic: Quadratic,
    free: Tensor,
    total: Tensor,
    lone: Tensor,
    border: Tensor,
    covariance: Tensor,
) -> Values:
    """Variances by factor, of values, from those of the raw variables."""
    shut = ~torch.isfinite(total) | (total < 0) | (total > OPEN * lone) | ~torch.isfinite(lone)
    total = torch.where(free & shut, torch.inf, torch.where(free, total, 0))
    variance_of: Values = {}
    for slot in quadratic.objective.slots:
        variance = total[slot.part].view(slot.shape)
        chain = quadratic.bent.get(slot.name)
        if chain is not None and slot.module is not None:
            if slot.module.entrywise and not slot.module.scale_free:
                variance = variance * chain.push(torch.ones_like(variance)[None])[0].square()
            else:
                inside = (border >= slot.part.start) & (border < slot.part.stop)
                own = covariance[: len(border), : len(border)][inside][:, inside]
                places = border[inside] - slot.part.start
                variance = _pushed_through(chain.push, own, places, slot.shape)
        variance_of[slot.name] = variance
    return variance_of


def _pushed_through(push, covariance: Tensor, places: Tensor, shape: Sequence[int]) -> Tensor:
    """diag(J Σ Jᵀ) of a constraint's derivative J, one square root of Σ at a time."""
    values, vectors = torch.linalg.eigh(covariance)
    total = push(covariance.new_zeros(1, *shape))[0].square()
    for value, vector in zip(values.clamp_min(0), vectors.T, strict=True):
        v = covariance.new_zeros(prod(shape))
        v[places] = value.sqrt() * vector
        total = total + push(v.view(1, *shape))[0].square()
    return total


def opened(made: Tensor, weights: Tensor, lone: Tensor, unseen: Tensor | None = None) -> Tensor:
    """The same with ∞ on the diagonal where a sum is not determined."""
    used = weights.square() * torch.where(weights != 0, lone, 0)
    variance = made.diagonal()
    shut = ~torch.isfinite(variance) | (variance < 0) | (variance > OPEN * used.sum(1))
    shut &= (weights != 0).any(1)
    shut = shut if unseen is None else shut | unseen
    return torch.where(torch.diag(shut), torch.inf, made)

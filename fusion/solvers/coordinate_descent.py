"""Coordinate descent on the quadratics of the rows of a factor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Bent = Callable[[Tensor, int, Tensor, Tensor], Tensor]
"""(rows, k, optimum of component k, curvature there) → what component k becomes instead."""


def coordinate_descent(
    x0: Tensor,
    g: Tensor,
    blocks: Tensor,
    lower: float,
    sweeps: int,
    inner: float,
    bent: Bent | None = None,
) -> Tensor:
    """Sweeps on gᵀδ + ½ δᵀBδ, δ = x − x0, x ≥ lower; (start, row, k).

    Args:
        x0: where the rows stand.
        g: gradient there.
        blocks: B (start, row, k, k).
        lower: bound of all entries.
        sweeps: at most so many.
        inner: a start ends when one sweep changes it by less than this share of the first.
        bent: a rule that a component follows instead of its optimum.
    """
    x, first = x0.clone(), None
    going = torch.ones(len(x), dtype=torch.bool, device=x.device)
    diagonal = blocks.diagonal(dim1=-2, dim2=-1)
    info = torch.finfo(x.dtype)
    floor = diagonal.amax((-1, -2), keepdim=True) * info.eps + info.tiny
    bends = diagonal > floor
    curvature = torch.where(bends, diagonal, torch.inf)
    for _ in range(sweeps):
        before = x.clone()
        for k in range(x.shape[-1]):  # each component sees those before it: what the method is
            slope = g[..., k] + (blocks[..., k, :] * (x - x0)).sum(-1)
            moved = x[..., k] - slope / curvature[..., k]
            if bent is not None:
                moved = bent(x, k, moved, curvature[..., k])
            # no curvature, as in a row without counts: a slope leads to the bound, or nowhere
            still = x[..., k] if lower == -torch.inf else torch.where(slope > 0, lower, x[..., k])
            x[..., k] = torch.where(bends[..., k], moved.clamp_min(lower), still)
        # a start that is done stays as it is, whatever others are beside it
        x = torch.where(going[:, None, None], x, before)
        change = torch.linalg.vector_norm((x - before).flatten(1), dim=1)
        first = change if first is None else first
        going &= change > inner * first
        if not bool(going.any()):
            break
    return x

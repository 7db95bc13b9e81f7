"""The band of a factor, and what noise alone makes of it."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.engine.quadratic import Quadratic
from fusion.uncertainty.standard_errors import FittedPoint

Array = NDArray[Any]


class Band(NamedTuple):
    """Lowest and highest value of every entry of a factor, of its shape."""

    low: Array
    high: Array


def two_sided_quantile(level: float) -> float:
    """Standard deviations to either side that hold this share of a normal distribution."""
    return NormalDist().inv_cdf((1 + level) / 2)


def entry_errors(point: FittedPoint, g: float, deviations: float) -> dict[str, Tensor]:
    """Error bars of single entries, the other factors held: from the curvature's row blocks.

    An entry at its bound that the data push against it is limited on one side: it goes as far as
    the loss, slope and curvature, rises by what noise makes of it. Of a channel without a count
    Poisson's curvature is nothing, its slope what a count there would cost.
    """
    quadratic, errors_of = point.quadratic(), {}
    slopes = _slopes_at_bounds(point)
    for slot, block in zip(point.objective.slots, quadratic.curvature.blocks(), strict=True):
        local = slot.module is not None and slot.module.entrywise
        if not local or block.rows * block.matrix.shape[-1] != int(np.prod(slot.shape)):
            continue
        full = block.expanded()[0]
        seen = full.diagonal(dim1=-2, dim2=-1) > 0
        inverse = torch.linalg.pinv(full, hermitian=True).diagonal(dim1=-2, dim2=-1)
        errors = deviations * (g * inverse.clamp_min(0)).sqrt() * seen
        assert slot.module is not None
        if slot.module.lower is not None:
            above = (slot.of(point.flat)[0] - slot.module.lower).reshape(errors.shape)
            errors = torch.minimum(errors, _reach(full, above, deviations * g**0.5))
        errors = _limited(errors, slopes[slot.part].reshape(errors.shape), deviations**2 * g)
        errors_of[slot.name] = _errors_of_values(quadratic, slot, errors.reshape(slot.shape))
    return errors_of


def _slopes_at_bounds(point: FittedPoint) -> Tensor:
    """How the loss rises with every raw number that stands at its bound, (n,); 0 of all others."""
    objective = point.objective
    values = {n: v.detach().requires_grad_() for n, v in objective.values(point.flat).items()}
    loss = objective.fits(values, point.states).sum()
    loss = loss + objective.penalties(values, point.states).sum()
    told = torch.autograd.grad(loss, list(values.values()), allow_unused=True)
    slopes = dict(zip(values, told, strict=True))
    slope = torch.zeros_like(point.flat)
    for slot in objective.slots:
        own = slopes[slot.name]
        if own is not None and own.shape[1:] == slot.shape:  # values are the raw numbers there
            slope[:, slot.part] = own.flatten(1)
    held = objective.free() & ~point.free
    return torch.where(held, slope[0].clamp_min(0), 0)


def _reach(H: Tensor, above: Tensor, deviations: float) -> Tensor:
    """How far an entry gets in its row at most, as its neighbours there go no lower than bounds.

    With blocks that have no negative entry, what an entry takes over from the others of its row is
    what they have above their bounds; beyond that its own curvature holds it. Few counts in a
    channel leave ratios of components open, which bounds close.

    Args:
        H: (row, K, K) blocks; above: (row, K) values over their bounds.
        deviations: standard deviations of the noise, in the unit of √H.
    """
    own = H.diagonal(dim1=-2, dim2=-1)
    others = H - torch.diag_embed(own)
    taken = torch.einsum("rkj,rj->rk", others, above) + deviations * own.clamp_min(0).sqrt()
    bounded = (others >= 0).all(-1) & (own > 0)
    return torch.where(bounded, taken / torch.where(own > 0, own, 1), torch.inf)


def _limited(errors: Tensor, slopes: Tensor, rise: float) -> Tensor:
    """t with b t + (rise / 2) (t / σ)² = rise / 2 where there is a slope b; else σ, what it was.

    Where there is no curvature, σ = 0 here, the slope alone tells.
    """
    curvature = torch.where(errors > 0, rise / errors.square(), 0)  # 0 of an infinite error, too
    one_sided = rise / (slopes + (slopes.square() + curvature * rise).sqrt())
    return torch.where(slopes > 0, one_sided, errors)


def _errors_of_values(quadratic: Quadratic, slot: Any, errors: Tensor) -> Tensor:
    """Errors of values from those of raw entries; known ones have none."""
    chain = quadratic.bent.get(slot.name)
    if chain is not None and not slot.module.scale_free:
        errors = errors * chain.push(torch.ones_like(errors)[None])[0].abs()
    known = slot.module.known
    return errors if known is None else torch.where(known, 0, errors)

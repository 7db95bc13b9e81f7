"""How far from their bound variables may be that are pulled there: limits of what was not found."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.rows_and_few import RowsAndFew

ONE_SIDED = 1.645
"""Standard deviations beyond which 5 % lie, on one side."""
HALF_CHI2 = 1.92
"""Rise of −log likelihood at the end of a 95 % interval."""


def reach(pull: Tensor, bend: Tensor) -> Tensor:
    """How far from its bound a variable may be, 95 %, that is pulled there in a bowl so bent.

    Never nearer than the median limit of data without any of it: what is pulled beyond its bound,
    by chance or by a model that is a little off, says no more than that.

    References:
        Cowan, Cranmer, Gross & Vitells, arXiv:1105.3166 (2011), on power-constrained limits.
    """
    none = pull.new_zeros(*pull.shape, 0)
    return reach_until(pull, bend, none, none)


def reach_until(pull: Tensor, bend: Tensor, begin: Tensor, more: Tensor) -> Tensor:
    """The same in bowls that bend more where others, which make up for it, come to their bounds.

    Args:
        pull: (…,) slopes at the bound; bend: (…,) second derivatives, all others following.
        begin: (…, other) from how far on each other is at its bound; infinite where it never is.
        more: (…, other) by how much the bowl bends more from there on.
    """
    bend, pull = bend.clamp_min(torch.finfo(bend.dtype).tiny), pull.clamp_min(0)
    ever = begin.isfinite()
    begin, order = torch.where(ever, begin, 0).sort(-1)
    more = torch.where(ever, more, 0).gather(-1, order)
    sums = tuple(
        torch.cat([bend.new_zeros(*bend.shape, 1), (more * begin**power).cumsum(-1)], -1)
        for power in range(3)
    )
    found = _where_risen(pull, bend, begin, sums, HALF_CHI2)
    median = _where_risen(torch.zeros_like(pull), bend, begin, sums, ONE_SIDED**2 / 2)
    return torch.maximum(found, median)


def _where_risen(
    pull: Tensor, bend: Tensor, begin: Tensor, sums: tuple[Tensor, ...], by: float
) -> Tensor:
    """(…,) where pull t + ½ bend t² + ½ Σ_j more_j (t − begin_j)₊² is so much.

    Args:
        sums: (…, 1 + other) of more, more begin, more begin², over those that have begun.
    """
    flat, linear, square = (each[..., 1:] for each in sums)
    risen = pull[..., None] * begin + 0.5 * (bend[..., None] + flat) * begin**2
    risen = risen - linear * begin + 0.5 * square
    begun = (risen < by).sum(-1, keepdim=True)
    flat, linear, square = (each.gather(-1, begun)[..., 0] for each in sums)
    a, b, c = bend + flat, pull - linear, by - 0.5 * square  # ½ a t² + b t = c
    root = (b.square() + 2 * a * c).clamp_min(0).sqrt()
    return torch.where(b > 0, 2 * c / (root + b), (root - b) / a)


def limits_at_bounds(
    parts: RowsAndFew,
    flat: Tensor,
    pull: Tensor,
    reduced: Tensor,
    covariance: Tensor,
    at_bound: Tensor,
    follow: Tensor,
    rows: Tensor,
) -> Tensor:
    """(few,) how far those may be that are at their bound, 95 %; 0 of all others.

    Maps and other variables follow, and make up for it, as far as their own bounds let them: a
    component may take on a share of another only until that is somewhere less than nothing.

    Args:
        parts: of the variables, (n,) `flat` as they were found.
        pull: (few,) slopes; reduced: (few, few) second derivatives, maps following.
        covariance: (few, few), 0 of those at their bound, which `at_bound` (few,) tells.
        follow: (pixel, r, few) how maps follow; rows: (pixel, r, r) their own covariance.
    """
    held = at_bound.nonzero()[:, 0]
    ways = torch.eye(len(pull)).to(covariance)[held] - reduced[held] @ covariance  # (held, few)
    bend = (ways @ reduced)[torch.arange(len(held)), held]
    lower, own = parts.objective.lower(), rows.diagonal(dim1=1, dim2=2).flatten()
    moved = torch.cat([torch.einsum("prf,hf->hpr", follow, ways).flatten(1), ways], 1)
    places = torch.cat([parts.places.flatten(), parts.few])
    variance = torch.cat([own, covariance.diagonal()])
    free = (variance > 0) & (moved < 0)
    begin = torch.where(free, (lower - flat)[places] / moved, torch.inf)
    more = torch.where(free, moved.square() / variance, 0)
    return torch.zeros_like(pull).index_put((held,), reach_until(pull[held], bend, begin, more))

"""Least squares in a few unknowns ≥ 0 for very many right sides at once, from Gram matrices."""

from __future__ import annotations

from itertools import count

import torch
from torch import Tensor

from fusion.likelihood.count_kernels import installed

FULL = 3
"""Exchanges of all infeasible unknowns without progress, before one at a time is exchanged."""
MOST = 100
"""Exchanges after which a row may be only rounding away from its answer."""
CHUNK = 2**21
"""Numbers of intermediate arrays."""
MANY = 2**21
"""Unknowns from which on compiled rows are worth loading numba: they take a fifth of the time."""
BITS = 62
"""Unknowns of a row that a machine word holds a bit of."""


def nnls(
    G: Tensor, b: Tensor, likely: Tensor | None = None, *, of: int = 0
) -> tuple[Tensor, Tensor]:
    """min over x ≥ 0 of ½ xᵀ G x − bᵀ x, for every row of b by block principal pivoting.

    Unknowns that are negative, or at zero with the gradient pointing inwards, change sides all at
    once; a row that makes no progress changes its last one alone, which always ends.

    Args:
        G: (K, K), one for all rows, or (n, K, K); positive definite.
        b: (n, K).
        likely: (n, K) bool, unknowns that are likely to be free; None: all. For speed alone.
        of: rows of all that these are a part of, where there are more. For speed alone.

    Returns:
        x (n, K), and which unknowns are free (n, K): those not held at zero.

    References:
        Portugal, Júdice & Vicente, Math. Comput. 63:625 (1994); Kim & Park, SIAM J. Sci. Comput.
        33:3261 (2011).
    """
    step = max(1, CHUNK // b.shape[1] ** 2)
    quick = _compiles(G, b, max(of, len(b)))
    if len(b) > step and not quick:
        ranges = [slice(i, i + step) for i in range(0, len(b), step)]
        parts = [
            nnls(_subset(G, part), b[part], None if likely is None else likely[part], of=of)
            for part in ranges
        ]
        x, free = zip(*parts, strict=True)
        return torch.cat(x), torch.cat(free)
    size = G.diagonal(dim1=-2, dim2=-1).sqrt()
    G, b = G / size[..., :, None] / size[..., None, :], b / size
    free = torch.ones_like(b, dtype=torch.bool) if likely is None else likely.clone()
    x, free = _pivot_compiled(G, b, free) if quick else _pivot(G, b, free)
    return x / size, free


def _compiles(G: Tensor, b: Tensor, rows: int) -> bool:
    """Whether compiled rows serve: on a CPU, in double precision, numba there."""
    place = b.device.type == "cpu" and b.dtype == G.dtype == torch.float64
    return place and b.shape[1] <= BITS and rows * b.shape[1] >= MANY and installed()


def _pivot_compiled(G: Tensor, b: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """`_pivot`, row by row."""
    from fusion.engine.compiled_nnls import pivoted

    return pivoted(G, b, free, FULL, MOST, slack_of(b.shape[1]))


def slack_of(K: int) -> float:
    """Of the largest number of a right side: what counts as zero in double precision."""
    return 8 * K * torch.finfo(torch.float64).eps


def _pivot(G: Tensor, b: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """`nnls` for a Gram matrix of unit diagonal, from a guess of what is free, which is changed."""
    n, K = b.shape
    slack = 8 * K * torch.finfo(b.dtype).eps * b.abs().amax(1, keepdim=True)
    x = solve(G, b, free)
    fewest, patience = (
        free.new_full((n,), K + 1, dtype=torch.long),
        free.new_full((n,), FULL).long(),
    )
    numbers, rows = torch.arange(K, device=b.device), torch.arange(n, device=b.device)
    for step in count():
        g, now = _subset(G, rows), free[rows]
        y = (x[rows, None] @ g)[:, 0] - b[rows]
        wrong = torch.where(now, x[rows] < -slack[rows], y < -slack[rows])
        some = wrong.any(1)
        rows, wrong = rows[some], wrong[some]
        if not len(rows):
            return torch.where(free, x, 0).clamp_min(0), free
        left = wrong.sum(1)
        better = left < fewest[rows]
        fewest[rows] = torch.where(better, left, fewest[rows])
        patience[rows] = torch.where(better, FULL, patience[rows] - 1)
        last = numbers == torch.where(wrong, numbers, -1).amax(1, keepdim=True)
        free[rows] ^= torch.where((patience[rows] >= 0)[:, None], wrong, last)
        x[rows] = solve(_subset(G, rows), b[rows], free[rows])
        if step >= MOST:
            slack[rows] *= 10  # rounding alone makes them change sides
    raise AssertionError("unreachable")


def solve(G: Tensor, b: Tensor, free: Tensor) -> Tensor:
    """x with (G x)_F = b_F and x = 0 elsewhere, F the free unknowns of every row."""
    inverse, _, which = inverses(G, free)
    inverse = inverse[which]
    x = (inverse @ torch.where(free, b, 0)[..., None])[..., 0]
    rest = torch.where(free, b - (x[:, None] @ G)[:, 0], 0)  # an inverse alone is less exact
    return x + (inverse @ rest[..., None])[..., 0]


def variances(G: Tensor, free: Tensor) -> Tensor:
    """Variances (n, K) of the unknowns, for noise of variance 1 over the weights.

    (G_FF)⁻¹ of those that are free; of one at zero the variance that it would have if it were free
    as well, 1 / (G_kk − G_kF (G_FF)⁻¹ G_Fk).
    """
    inverse, used, which = inverses(G, free)
    rest = G.diagonal(dim1=-2, dim2=-1) - (G @ inverse * G.mT).sum(-1)
    alone = 1 / rest.clamp_min(torch.finfo(G.dtype).tiny)
    return torch.where(used, inverse.diagonal(dim1=-2, dim2=-1), alone)[which]


def inverses(G: Tensor, free: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Inverses of G_FF, zero elsewhere, for every set F that occurs; the sets; which a row has.

    NaN where there is none.
    """
    rows = torch.arange(len(free), device=free.device)
    patterns, which = _patterns(free) if G.ndim == 2 else (free, rows)
    both = patterns[:, :, None] & patterns[:, None, :]
    only = torch.diag_embed((~patterns).to(G.dtype))
    made, failed = torch.linalg.inv_ex(torch.where(both, G, 0) + only)
    made = torch.where(both, made, 0)
    made[failed > 0] = torch.nan
    return made, patterns, which


def _patterns(free: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that occur, and which of them each row is."""
    if free.shape[1] > 62:
        return torch.unique(free, dim=0, return_inverse=True)
    code = (free.long() << torch.arange(free.shape[1], device=free.device)).sum(1)
    codes, which = torch.unique(code, return_inverse=True)
    bits = torch.arange(free.shape[1], device=free.device)
    return (codes[:, None] >> bits & 1).bool(), which


def _subset(G: Tensor, rows: Tensor | slice) -> Tensor:
    """The Gram matrices of some rows."""
    return G if G.ndim == 2 else G[rows]

"""Counts of one pixel at a time, for very many at once: likeliest amounts, and their deviance."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from fusion.engine.batched_nnls import nnls

WARM, STEPS, HALVINGS = 5, 100, 40
"""Multiplicative steps first; Newton steps at most; halvings of one at most."""
RIDGE = 1e-8
"""Added to the curvature, over that of all counts from one reference: where no count bends it."""
SMALL = 1e-7
"""Step over standard error below which it is the last."""
DECREASE = 1e-4
LIFT = 1e-3
"""Of the mean amount, that all begin with at least."""


Squares = tuple[Tensor, Tensor]
"""G (1 or n, K, K) and b (n, K) of ½ cᵀ G c − bᵀ c, what other data say of the same amounts."""


def maximum_likelihood(
    x: Tensor, w: Tensor, S: Tensor, beside: Squares | None = None
) -> tuple[Tensor, Tensor]:
    """c ≥ 0 that makes Σ_j w (m − x ln m), m = S c, smallest, for every row of x.

    Newton steps within the bounds, each a problem of non-negative least squares, shortened until
    the likelihood rises; after a few multiplicative ones.

    Args:
        x: counts (n, channel); w: 0 where masked, else 1 or a weight, of that shape;
            S: (channel, K) ≥ 0.
        beside: least squares of the same amounts, which are added.

    Returns:
        c (n, K), and which of them are free: not held at zero.
    """
    reach, total = w @ S, (w * x).sum(1)  # counts per amount, counts
    c = _start(x, w, S, reach, total) if beside is None else _start_of_squares(*beside)
    ridge = torch.diag_embed(RIDGE * reach.square() / (total[:, None] + 1))
    free = torch.ones_like(c, dtype=torch.bool)
    rows = torch.arange(len(x), device=x.device)
    for _ in range(STEPS):
        xr, wr, cr = x[rows], w[rows], c[rows]
        m = cr @ S.T
        ratio = _ratio(xr, m)
        slope = (wr * (1 - ratio)) @ S
        H = grams(wr * _ratio(ratio, m), S) + ridge[rows]
        more = None if beside is None else _rows_of(beside, rows)
        if more is not None:
            H, slope = H + more[0], slope + (more[0] @ cr[..., None])[..., 0] - more[1]
        aim, free[rows] = nnls(H, (H @ cr[..., None])[..., 0] - slope)
        step = aim - cr
        sigma = H.diagonal(dim1=-2, dim2=-1).rsqrt()
        last = (step.abs() <= SMALL * sigma).all(1)
        next_ = _backtracked((xr, wr, S, more), cr, step, slope)
        c[rows] = torch.where(last[:, None], aim, next_)
        rows = rows[~last & torch.isfinite(step).all(1)]
        if not len(rows):
            break
    return c, free


def _start(x: Tensor, w: Tensor, S: Tensor, reach: Tensor, total: Tensor) -> Tensor:
    """Equal counts of every reference, then a few multiplicative steps."""
    reach = reach.clamp_min(torch.finfo(x.dtype).tiny)
    c = total[:, None] / reach / S.shape[1]
    for _ in range(WARM):
        c = c * ((w * _ratio(x, c @ S.T)) @ S) / reach
    return c


def _start_of_squares(G: Tensor, b: Tensor) -> Tensor:
    """The amounts of least squares, lifted off zero, where counts would have no mean."""
    size = G.diagonal(dim1=-2, dim2=-1)
    G = G + torch.diag_embed(torch.where(size > 0, RIDGE * size, 1.0))
    c = nnls(G if len(G) > 1 else G[0], b)[0]
    return c + LIFT * torch.where(c > 0, c, 0).mean(1, keepdim=True).clamp_min(LIFT)


def _rows_of(beside: Squares, rows: Tensor) -> Squares:
    """Of some of the rows."""
    G, b = beside
    return (G if len(G) == 1 else G[rows]), b[rows]


Rows = tuple[Tensor, Tensor, Tensor, Squares | None]
"""Counts, weights, spectra, and the squares beside them."""


def _backtracked(of: Rows, c: Tensor, step: Tensor, slope: Tensor) -> Tensor:
    """c + t·step with the first t of 1, ½, ¼ … at which the likelihood rises enough."""
    before, gain = _loss(of, c), (slope * step).sum(1)
    found, rows, t = c.clone(), torch.arange(len(c), device=c.device), 1.0
    x, w, S, beside = of
    for _ in range(HALVINGS):
        trial = c[rows] + t * step[rows]
        more = None if beside is None else _rows_of(beside, rows)
        loss = _loss((x[rows], w[rows], S, more), trial)
        slack = 1e-14 * (1 + before[rows].abs())
        good = loss <= before[rows] + DECREASE * t * gain[rows] + slack
        found[rows[good]] = trial[good]
        rows, t = rows[~good], t / 2
        if not len(rows):
            break
    return found


def _loss(of: Rows, c: Tensor) -> Tensor:
    x, w, S, beside = of
    m = c @ S.T
    counts = (w * (m - torch.xlogy(x, m))).sum(1)
    if beside is None:
        return counts
    return counts + (c * (0.5 * (beside[0] @ c[..., None])[..., 0] - beside[1])).sum(1)


def _ratio(x: Tensor, m: Tensor) -> Tensor:
    """x / m, 0 where there is no count."""
    return torch.where(x > 0, x / m, 0)


def grams(w: Tensor, S: Tensor) -> Tensor:
    """Sᵀ diag(w_i) S for every row of w (n, channel): (n, K, K)."""
    K = S.shape[1]
    i, j = torch.triu_indices(K, K, device=S.device)
    pairs = w @ (S[:, i] * S[:, j])
    made = w.new_empty(len(w), K, K)
    made[:, i, j] = made[:, j, i] = pairs
    return made


def information(c: Tensor, w: Tensor, S: Tensor) -> Tensor:
    """Fisher's information Sᵀ diag(w / m) S, (n, K, K); amounts at zero taken as of one count."""
    reach = (w @ S).clamp_min(torch.finfo(c.dtype).tiny)
    m = torch.where(c > 0, c, 1 / reach) @ S.T
    return grams(w * torch.where(m > 0, 1 / m.clamp_min(torch.finfo(c.dtype).tiny), 0), S)


def deviance(x: Tensor, w: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(2 Σ w (x ln x/m − x + m), its mean, its variance) of every row, for counts of mean m.

    References:
        Kaastra, A&A 605:A51 (2017), for the moments of few counts.
    """
    terms = torch.xlogy(x, x) - torch.xlogy(x, m) - x + m
    at, mean, variance = (torch.from_numpy(a).to(m) for a in _moments())
    place = ((m.clamp_min(1e-30).log() - at[0]) / (at[1] - at[0])).clamp(0, len(at) - 1.001)
    low, part = place.long(), place.frac()
    expected, spread = (
        (w * torch.exp(v[low] * (1 - part) + v[low + 1] * part)).sum(1) for v in (mean, variance)
    )
    return 2 * (w * terms).sum(1), expected, spread


@cache
def _moments() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ln m, ln of the mean, ln of the variance) of one count's deviance, from m = 1e-8 to 1e3."""
    from scipy.stats import poisson

    at = np.linspace(np.log(1e-8), np.log(1e3), 400)
    m = np.exp(at)[:, None]
    x = np.arange(1500)[None]
    chance = poisson.pmf(x, m)
    d = 2 * (np.where(x > 0, x * np.log(np.maximum(x, 1) / m), 0.0) - x + m)
    mean = (chance * d).sum(1)
    return at, np.log(mean), np.log((chance * d**2).sum(1) - mean**2)

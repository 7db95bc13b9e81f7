"""Amounts of known spectra in every pixel: least squares, and maximum likelihood of counts.

`mlls`, `Result.transform` and `Unmixer.transform` all end here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fusion.engine.batched_nnls import inverses, nnls, solve, variances
from fusion.engine.poisson_pixels import Squares, grams, information, maximum_likelihood
from fusion.forms.contract import Form

UNKNOWN = 1e10
"""Variance over that beside no other spectrum, from which on an amount is not determined."""
RIDGE = 1e-12
"""Share added to diagonals of Gram matrices where spectra may be alike: the sum is right then."""
FLOOR = 1e-12
"""Of a spectrum, in units of its mean: counts in channels that no spectrum reaches stay finite."""


class Amounts(NamedTuple):
    """What some pixels hold of every spectrum."""

    c: Tensor  # (n, K), finite: 0 where there is nothing to tell it by
    straight: Tensor  # (n, K) as if any sign were allowed; of counts c itself
    variance: Tensor  # (n, K), for noise of the size that the weights say
    free: Tensor  # (n, K): not held at zero
    unknown: Tensor  # (n, K): not determined

    @property
    def known(self) -> Tensor:
        """c, NaN where it is not determined."""
        return torch.where(self.unknown, torch.nan, self.c)

    @property
    def known_variance(self) -> Tensor:
        """Its variance, NaN where it is not determined."""
        return torch.where(self.unknown, torch.nan, self.variance)


def least_squares(
    x: Tensor, v: Tensor, scale: Tensor, S: Tensor, *, signed: bool, ridge: float = 0.0
) -> Amounts:
    """c that makes Σ v (x − S c)² smallest, pixel by pixel.

    Args:
        x: (n, channel).
        v: weights of channels, (1, channel) where all pixels have the same, else (n, channel).
        scale: weights of pixels, (n, 1), which change variances alone.
        S: (channel, K).
        signed: whether amounts may be negative.
        ridge: share added to the diagonal of Gram matrices, against spectra that are alike.
    """
    shared = len(v) == 1
    vS = v.T * S if shared else S
    G, size = _gram(v, S, ridge)
    b = (x if shared else v * x) @ vS
    every = torch.ones_like(b, dtype=torch.bool)
    straight = solve(G, b, every)
    c, free = (straight, every) if signed else nnls(G, b)
    r = torch.addmm(x, c, S.T, alpha=-1)
    c = c + solve(G, (r if shared else v * r) @ vS, free)  # what the Gram matrix rounded off
    c = c if signed else c.clamp_min(0)
    return _with_variances(c, straight, free, G, size, scale)


def squares_at(
    c: Tensor, v: Tensor, scale: Tensor, S: Tensor, *, signed: bool, ridge: float = 0.0
) -> Amounts:
    """The same where c (n, K) is known already: its variances need no data."""
    free = torch.ones_like(c, dtype=torch.bool) if signed else c > 0
    return _with_variances(c, c, free, *_gram(v, S, ridge), scale)


def _gram(v: Tensor, S: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Sᵀ diag(v) S, one for all pixels or one each, that can be inverted, and its diagonal."""
    G = S.T @ (v.T * S) if len(v) == 1 else grams(v, S)
    size = G.diagonal(dim1=-2, dim2=-1)
    nothing = (size <= 0).to(G)
    return G + torch.diag_embed(nothing + ridge * size if ridge else nothing), size


def _with_variances(
    c: Tensor, straight: Tensor, free: Tensor, G: Tensor, size: Tensor, scale: Tensor
) -> Amounts:
    variance = variances(G, free)
    unknown = (size <= 0) | ~(variance * size < UNKNOWN) | (scale <= 0)
    return Amounts(c, straight, variance / scale, free, unknown)


def likeliest(x: Tensor, w: Tensor, S: Tensor, beside: Squares | None = None) -> Amounts:
    """c ≥ 0 that makes counts x (n, channel) likeliest, weights w of that shape, S ≥ 0.

    `beside`: least squares of the same amounts by other data.
    """
    return counts_at(*maximum_likelihood(x, w, S, beside), w, S, beside)


def counts_at(
    c: Tensor, free: Tensor, w: Tensor, S: Tensor, beside: Squares | None = None
) -> Amounts:
    """The same where c, and which of it is not held at zero, is known: variances need no data.

    w: (n, channel), or (1, channel) for all.
    """
    F = information(c, w, S) + (0.0 if beside is None else beside[0])
    size = F.diagonal(dim1=-2, dim2=-1)
    nothing = size <= 0
    variance = variances(F + torch.diag_embed(nothing.to(F)), free)
    unknown = nothing | ~(variance * size < UNKNOWN)
    return Amounts(c, c, variance, free, unknown)


def likeliest_of_any(x: Tensor, w: Tensor, S: Tensor, at: Tensor | None = None) -> Amounts:
    """`likeliest` where spectra may be empty, and counts lie where none of them is.

    `at`: c, where it is known; x is not read then.
    """
    some = S.sum(0) > 0
    rows = len(x if at is None else at)
    made = [torch.zeros(rows, S.shape[1], dtype=w.dtype, device=w.device) for _ in range(3)]
    free, unknown = (torch.zeros_like(made[0], dtype=torch.bool) for _ in range(2))
    unknown |= ~some
    if bool(some.any()):
        own = S[:, some]
        own = own + FLOOR * own.mean()
        known = None if at is None else at[:, some]
        told = likeliest(x, w, own) if known is None else counts_at(known, known > 0, w, own)
        for whole, part in zip((*made, free, unknown), told, strict=True):
            whole[:, some] = part
    return Amounts(*made, free, unknown)  # pyright: ignore[reportCallIssue]


def likeliest_beside(
    x: Tensor, w: Tensor, S: Tensor, beside: Squares, at: Tensor | None = None
) -> Amounts:
    """The same with least squares of the same amounts, which tell of spectra without counts."""
    S = S + FLOOR * S.mean()
    return likeliest(x, w, S, beside) if at is None else counts_at(at, at > 0, w, S, beside)


def channel_weights(form: Form, rows: slice, x: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weights of channels, (1, channel) where all pixels have the same, and of pixels (n, 1)."""
    one = torch.ones_like(x[:, :1])
    if not form.rank_one:
        assert w is not None
        return w.expand_as(x), one
    v, scale = form.weights.cols, form.weights.rows
    v = torch.ones_like(x[:1]) if v is None else v[None]
    return v, one if scale is None else scale[rows, None]


def variance_of_parts(G: Tensor, parts: Tensor, free: Tensor) -> Tensor:
    """What the noise of each of several data sets adds to the variances of amounts.

    c_F = G_FF⁻¹ b_F, and of an amount at zero as if it were free as well; b is a sum over data sets
    whose own covariances are the parts.

    Args:
        G: curvature, (K, K) or (n, K, K).
        parts: covariances of b, (data set, K, K) or (data set, n, K, K).
        free: (n, K).

    Returns:
        (data set, n, K).
    """
    inverse, _, which = inverses(G, free)
    inverse = inverse[which]
    rest = torch.eye(G.shape[-1], dtype=G.dtype, device=G.device) - inverse @ G  # columns at zero
    size = (G @ rest).diagonal(dim1=-2, dim2=-1)
    columns = torch.where(free[:, None, :], inverse, rest / size[:, None, :])
    parts = parts if parts.ndim == 4 else parts[:, None]
    return torch.stack([((part @ columns) * columns).sum(-2) for part in parts])

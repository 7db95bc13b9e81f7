"""Least squares of very many rows in a few unknowns, some ≥ 0 and the others free."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.engine.batched_nnls import nnls

RIDGE = 1e-12
"""Added to the diagonal, as a share of it, for spectra that are alike or empty."""


def least(
    H: Tensor, b: Tensor, bounded: Tensor, free: Tensor | None = None, *, of: int = 0
) -> Tensor:
    """min ½ z H zᵀ − b z for every row, some unknowns ≥ 0 and the others free.

    Args:
        H: (k, k), one for all rows, or (row, k, k); positive semi-definite.
        b: (row, k).
        bounded: (k,) bool.
        free: (row, k), which bounded unknowns are likely to be above 0; None: all.
        of: rows of all that these are a part of, as `nnls` takes it.
    """
    H, empty = regular(H)
    b = torch.where(empty, 0, b)
    if bool(bounded.all()):
        return nnls(H, b, free, of=of)[0]
    z = torch.zeros_like(b)
    loose = ~bounded
    inner = H[..., loose, :][..., :, loose]
    if bool(loose.all()):
        return _solve(inner, b)
    cross = H[..., bounded, :][..., :, loose]
    back = torch.linalg.solve(inner, cross.mT)  # (loose, bounded)
    outer = H[..., bounded, :][..., :, bounded] - cross @ back
    outer = 0.5 * (outer + outer.mT)
    free = None if free is None else free[:, bounded]
    right = b[:, bounded] - _times(cross, _solve(inner, b[:, loose]))
    c, _ = nnls(outer, right, free, of=of)
    z[:, bounded] = c
    z[:, loose] = _solve(inner, b[:, loose] - _times(cross.mT, c))
    return z


def regular(H: Tensor) -> tuple[Tensor, Tensor]:
    """The same with an inverse, and which unknowns nothing bends, (…, k)."""
    size = H.diagonal(dim1=-2, dim2=-1)
    empty = size <= 0
    return H + torch.diag_embed(torch.where(empty, 1.0, RIDGE * size)), empty


def _solve(H: Tensor, b: Tensor) -> Tensor:
    if H.ndim == 2:
        return torch.linalg.solve(H, b.T).T
    return torch.linalg.solve(H, b[..., None])[..., 0]


def _times(H: Tensor, z: Tensor) -> Tensor:
    return z @ H.T if H.ndim == 2 else (H @ z[..., None])[..., 0]

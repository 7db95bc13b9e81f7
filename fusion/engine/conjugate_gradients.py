"""Conjugate gradients on the free variables, many starts at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def solve(
    product: Map,
    precondition: Map,
    gradient: Tensor,
    free: Tensor,
    *,
    tolerance: float,
    max_products: int,
) -> tuple[Tensor, Tensor, int]:
    """An approximate minimiser of gᵀd + ½ dᵀH d over the free variables, for every start.

    Stops where the preconditioned residual has fallen by `tolerance`, or at negative curvature; one
    read-back from the device a product.

    Args:
        product: H, (start, n) → (start, n), positive semi-definite or nearly; its result is
            overwritten here, and may be by its next call.
        precondition: an approximate inverse, zero outside the free variables; the same.
        gradient: (start, n).
        free: which variables move, (start, n) of 0 and 1.
        tolerance: relative, in the norm of the preconditioner.
        max_products: at most so many products with H.

    Returns:
        (direction (start, n), H times it on the free variables, products made).
    """
    d, r = torch.zeros_like(gradient), -gradient * free
    z = precondition(r)
    p, rz = z.clone(), _dot(r, z)
    target = rz * tolerance**2
    active = rz > 0
    products = 0
    while products < max_products and bool(active.any()):
        Hp = product(p).mul_(free)
        products += 1
        bend = _dot(p, Hp)
        positive = active & (bend > 0)
        # a direction of negative curvature at once: go along it
        first = active & (bend <= 0) & (products == 1)
        step = torch.where(positive, rz / torch.where(positive, bend, 1), first.to(rz.dtype))[
            :, None
        ]
        d.addcmul_(step, p)
        r.addcmul_(step, Hp, value=-1)
        z = precondition(r)
        new = _dot(r, z)
        active = positive & (new > target)
        torch.addcmul(z, (new / torch.where(rz > 0, rz, 1))[:, None], p, out=p)
        rz = torch.where(active, new, 0)
    return d, -gradient * free - r, products


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products, (start,)."""
    return torch.bmm(a[:, None], b[:, :, None])[:, 0, 0]

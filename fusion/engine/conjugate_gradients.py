"""Conjugate gradients on the free variables, many starts at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
CLEARLY = 0.1
"""Share of the tolerance that is clearly enough where every part of a residual has fallen to it."""
LONG = 2**16
"""Numbers of a start from which on its products are not stored."""


def solve(
    product: Map,
    precondition: Map,
    gradient: Tensor,
    free: Tensor,
    *,
    tolerance: float,
    max_products: int,
    parts: Sequence[slice] = (),
) -> tuple[Tensor, Tensor, int]:
    """An approximate minimiser of gᵀd + ½ dᵀH d over the free variables, for every start.

    Stops where the preconditioned residual has fallen by `tolerance`, or at negative curvature; one
    read-back from the device a product, two where `parts` are told.

    Args:
        product: H, (start, n) → (start, n), positive semi-definite or nearly; its result is
            overwritten here, and may be by its next call.
        precondition: an approximate inverse, zero outside the free variables; the same.
        gradient: (start, n).
        free: which variables move, (start, n) of 0 and 1.
        tolerance: relative, in the norm of the preconditioner.
        max_products: at most so many products with H.
        parts: of the variables, each in units of its own: where each has clearly fallen by itself
            the preconditioner is asked no more.

    Returns:
        (direction (start, n), H times it on the free variables, products made).
    """
    d, r = torch.zeros_like(gradient), -gradient * free
    z = precondition(r)
    p, rz = z.clone(), inner(r, z)
    target = rz * tolerance**2
    little = _squares(r, parts) * (CLEARLY * tolerance) ** 2
    active = rz > 0
    products = 0
    while products < max_products and bool(active.any()):
        Hp = product(p).mul_(free)
        products += 1
        bend = inner(p, Hp)
        positive = active & (bend > 0)
        # a direction of negative curvature at once: go along it
        first = active & (bend <= 0) & (products == 1)
        step = torch.where(positive, rz / torch.where(positive, bend, 1), first.to(rz.dtype))[
            :, None
        ]
        d.addcmul_(step, p)
        r.addcmul_(step, Hp, value=-1)
        if parts and not bool((positive & (_squares(r, parts) > little).any(1)).any()):
            break
        z = precondition(r)
        new = inner(r, z)
        active = positive & (new > target)
        torch.addcmul(z, (new / torch.where(rz > 0, rz, 1))[:, None], p, out=p)
        rz = torch.where(active, new, 0)
    return d, -gradient * free - r, products


def _squares(r: Tensor, parts: Sequence[slice]) -> Tensor:
    """Squared norms of the parts, (start, part)."""
    norms = [torch.linalg.vector_norm(r[:, part], dim=1) for part in parts]
    return torch.stack(norms, 1).square() if norms else r[:, :0]


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner products, (start, n) → (start,); a batched matrix product takes four times as long."""
    if a.device.type != "cpu" or a.shape[1] < LONG:
        return torch.linalg.vecdot(a, b)
    return torch.stack([torch.dot(x, y) for x, y in zip(a, b, strict=True)])  # nothing is stored

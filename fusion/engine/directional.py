"""Slopes along directions, by reverse mode of plain autograd.

J v is the transpose of u ↦ Jᵀ u applied to v, and Jᵀ u is made once for all directions. The forward
mode of torch 2.13, and `torch.func.grad`, load its compiler at their first call: 2 to 4 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import grad
from torch.func import vmap

from fusion.engine.autograd import autograd


def slopes_along(
    function: Callable[..., Sequence[Tensor]], at: Sequence[Tensor], directions: Sequence[Tensor]
) -> list[Tensor]:
    """Slopes of every output along every direction, (direction, …); 0 of what does not move.

    Args:
        function: of tensors, gives tensors.
        at: where.
        directions: of every argument, (direction, …); the arguments move together.
    """
    with autograd():
        leaves = _leaves(at)
        outputs = function(*leaves)
        weights = [torch.zeros_like(output, requires_grad=True) for output in outputs]
        pulled = _slopes(outputs, weights, leaves, create_graph=True)

        def push(*along: Tensor) -> tuple[Tensor, ...]:
            return _slopes(pulled, along, weights)

        made = vmap(push)(*directions)
    return [slope.detach() for slope in made]


def gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Of a function (n,) → (), (n,)."""
    with autograd():
        (leaf,) = _leaves([at])
        value = function(leaf)
        return _slopes([value], [torch.ones_like(value)], [leaf])[0]


def curvature_product(
    function: Callable[[Tensor], Tensor], at: Tensor
) -> Callable[[Tensor], Tensor]:
    """The Hessian of a function (n,) → () times (n,): it is its own transpose."""
    with autograd():
        (leaf,) = _leaves([at])
        value = function(leaf)
        slope = _slopes([value], [torch.ones_like(value)], [leaf], create_graph=True)

    def product(v: Tensor) -> Tensor:
        with autograd():
            return _slopes(slope, [v], [leaf])[0].detach()

    return product


def curvature(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """The Hessian of a function (n,) → (), (n, n)."""
    product = curvature_product(function, at)
    return vmap(product)(torch.eye(len(at), dtype=at.dtype, device=at.device))


def jacobian(function: Callable[..., Tensor], *at: Tensor) -> tuple[Tensor, ...]:
    """Of a function of tensors, by every argument, (…, *argument)."""
    with autograd():
        leaves = _leaves(at)
        value = function(*leaves)
        n = value.numel()
        each = torch.eye(n, dtype=value.dtype, device=value.device).reshape(n, *value.shape)
        made = vmap(lambda v: _slopes([value], [v], leaves))(each)
    return tuple(x.detach().reshape(*value.shape, *x.shape[1:]) for x in made)


def _leaves(at: Sequence[Tensor]) -> list[Tensor]:
    return [x.detach().requires_grad_() for x in at]


def _slopes(
    outputs: Sequence[Tensor],
    weights: Sequence[Tensor],
    leaves: Sequence[Tensor],
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """Of Σ output · weight; 0 where it does not depend on a leaf."""
    met = [(x, w) for x, w in zip(outputs, weights, strict=True) if x.requires_grad]
    if not met:
        return tuple(torch.zeros_like(leaf) for leaf in leaves)
    some, theirs = zip(*met, strict=True)
    options = {"create_graph": create_graph, "materialize_grads": True}
    return grad(some, leaves, theirs, retain_graph=True, **options)

"""Second derivatives by double backward, and row blocks probed from them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from fusion.engine.variables import Values

FEW = 2**20
"""Up to so many numbers, directions are multiplied in rather than handed over."""


class Hessian:
    """v ↦ H v of a batch of scalars at given factor values; zero where there is no curvature."""

    def __init__(self, scalars: Tensor, values: Values) -> None:
        self.names, self.values = list(values), list(values.values())
        self.gradient: list[Tensor | None] = [None] * len(self.values)
        if scalars.requires_grad:
            made = torch.autograd.grad(
                scalars.sum(), self.values, create_graph=True, allow_unused=True
            )
            self.gradient = [g if g is not None and g.requires_grad else None for g in made]

    def __bool__(self) -> bool:
        return any(g is not None for g in self.gradient)

    def __call__(self, v: Values) -> Values:
        """H v, by value name; directions that are not given are zero."""
        made = self._products(v, self.values)
        return dict(zip(self.names, made, strict=True))

    def own(self, name: str, v: Tensor) -> Tensor:
        """The part of H v in the variable in which v lies."""
        return self._products({name: v}, [self.values[self.names.index(name)]])[0]

    def touches(self, name: str) -> bool:
        """Whether the scalars bend in this variable."""
        return self.gradient[self.names.index(name)] is not None

    def _products(self, v: Values, wanted: list[Tensor]) -> list[Tensor]:
        pairs = [
            (g, v[name])
            for g, name in zip(self.gradient, self.names, strict=True)
            if g is not None and name in v
        ]
        if not pairs:
            return [torch.zeros_like(x) for x in wanted]
        gradients, directions = zip(*pairs, strict=True)
        if sum(d.numel() for d in directions) > FEW:
            products = torch.autograd.grad(
                gradients, wanted, directions, retain_graph=True, allow_unused=True
            )
        else:  # the same; at cotangents torch loads its symbolic shapes: half a second and 60 MB
            total = torch.stack([(g * d).sum() for g, d in zip(gradients, directions, strict=True)])
            products = torch.autograd.grad(
                total.sum(), wanted, retain_graph=True, allow_unused=True
            )
        return [
            torch.zeros_like(x) if h is None else h for x, h in zip(wanted, products, strict=True)
        ]


def alternating_signs(rows: int, like: Tensor) -> Tensor:
    """±1 by turns: row blocks come out exactly where rows do not meet, bounded where they do."""
    turns = like.new_ones(rows)
    turns[1::2] = -1
    return turns


class HessianProducts(Protocol):
    """What has products with the directions of one variable."""

    def own(self, name: str, v: Tensor) -> Tensor:
        """The part of H v in the variable in which v lies."""
        ...


def row_blocks(
    hessian: HessianProducts,
    name: str,
    value: Tensor,
    width: int | None = None,
    *,
    turning: bool = True,
) -> Tensor:
    """The block of every row of a factor, (start, row, width, width): `width` products.

    Rows are what is left beside the last `width` numbers; by default all modes but the last.
    Without `turning` signs, what rows have with each other is added instead of bounded.
    """
    shape, width = value.shape, width or value.shape[-1]
    rows = shape[1:].numel() // width
    turns = (alternating_signs(rows, value) if turning else value.new_ones(rows))[None, :, None]
    columns = []
    for k in range(width):
        probe = torch.zeros_like(value).reshape(shape[0], -1, width)
        probe[..., k] = turns[..., 0]
        product = hessian.own(name, probe.reshape(shape))
        columns.append(product.reshape(shape[0], -1, width) * turns)
    block = torch.stack(columns, -1)
    return 0.5 * (block + block.transpose(-1, -2))

"""The linear system of a Gauss–Newton step: damped and preconditioned by its row blocks."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fusion.engine import conjugate_gradients as cg
from fusion.engine.coupled_preconditioner import is_raw_variable, woodbury_correction
from fusion.engine.curvature import Curvature, diagonal_scale
from fusion.engine.row_blocks import Block

UPRIGHT = 1e-2
"""Share of its largest diagonal that strong damping adds to a block: it may be nearly singular."""
MOST_PATTERNS = 16
"""Components up to which sets of free variables are told apart by a number."""
TINY = 1e-30
"""Least weight of a row that is divided by."""


class System:
    """H d = −g on the free variables, where H is the curvature and its damping.

    Unit columns move at right angles to themselves: what lies along them changes nothing.

    Args:
        curvature: at this point, with its penalties.
        gradient: (start, n) by the raw variables.
        free: which of them move, (start, n) of 0 and 1.
        damping: (start,) share of the row blocks that is added.
    """

    def __init__(
        self, curvature: Curvature, gradient: Tensor, free: Tensor, damping: Tensor
    ) -> None:
        self.curvature, self.gradient, self.free = curvature, gradient, free
        self.blocks = curvature.blocks()
        self.damped = [_damping_of(block, damping) for block in self.blocks]
        self.inverses = [
            _inverse(block, damped, free)
            for block, damped in zip(self.blocks, self.damped, strict=True)
        ]
        self.units = {
            slot.name: curvature.chains[slot.name]
            for slot in curvature.objective.slots
            if is_raw_variable(slot) and slot.module is not None and slot.module.scale_free
        }
        self.coupled = woodbury_correction(curvature, self.blocks, self.inverses)

    def solve(self, tolerance: float, max_products: int) -> tuple[Tensor, Tensor, int]:
        """The step, H times it on the free variables, and how many products were made."""
        self.bent, self.found = torch.empty_like(self.gradient), torch.empty_like(self.gradient)
        return cg.solve(
            self._product,
            self._precondition,
            self.gradient,
            self.free,
            tolerance=tolerance,
            max_products=max_products,
        )

    def _product(self, v: Tensor) -> Tensor:
        self.curvature(v, out=self.bent)
        slots = self.curvature.objective.slots
        for slot, block, damped in zip(slots, self.blocks, self.damped, strict=True):
            if slot.name not in self.units:
                block.add_times(self.bent, v, damped)
                continue
            unit, alone = self.units[slot.name], replace(block, part=slice(None))
            moved = alone.times(unit.push(slot.of(v)).flatten(1), damped)
            self.bent[:, block.part] += unit.pull(moved.unflatten(1, slot.shape)).flatten(1)
        return self.bent

    def _precondition(self, r: Tensor) -> Tensor:
        for block, inverse in zip(self.blocks, self.inverses, strict=True):
            block.solve(self.found, r, inverse)
        if self.coupled is not None:
            self.coupled.add(self.found)
        for slot in self.curvature.objective.slots:
            if slot.name in self.units:
                part = slot.of(self.found)
                part.copy_(self.units[slot.name].push(part))
        return self.found


def _damping_of(block: Block, damping: Tensor) -> Tensor:
    """The damping of a block: a share of itself and, where steps fail, of its largest diagonal.

    A share of the block alone holds nothing along directions in which components are nearly alike.
    """
    share = damping[:, None, None]
    diagonal = block.matrix.diagonal(dim1=-2, dim2=-1)
    floor = UPRIGHT * share.clamp_max(1) * diagonal_scale(block.matrix, block.own_units)
    return share[..., None] * (block.matrix + torch.diag_embed(floor.expand_as(diagonal)))


def _inverse(block: Block, damped: Tensor, free: Tensor) -> Tensor:
    """Inverse of every row's block and its damping on the free variables, zero on the others.

    Rows that share one matrix differ in which variables are free alone: one inverse a pattern.
    """
    mask, full = block.view(free), block.matrix + damped
    k = full.shape[-1]
    if full.shape[1] > 1 or block.rows == 1 or k > MOST_PATTERNS:
        both = mask[..., :, None] * mask[..., None, :]
        inverse = torch.linalg.inv(full * both + torch.diag_embed(1 - mask)) * both
    else:
        powers = 2.0 ** torch.arange(k, dtype=mask.dtype, device=mask.device)
        starts = torch.arange(len(mask), device=mask.device)[:, None]
        code = (mask @ powers).long() + starts * 2**k
        codes, which = torch.unique(code, return_inverse=True)
        mask = (codes[:, None] // powers.long() % 2).to(mask.dtype)
        both = mask[:, :, None] * mask[:, None, :]
        few = torch.linalg.inv(full[codes // 2**k, 0] * both + torch.diag_embed(1 - mask)) * both
        inverse = few[which]
    return (
        inverse if block.weight is None else inverse / block.weight[:, None, None].clamp_min(TINY)
    )

"""The linear system of a Gauss–Newton step: damped and preconditioned by its row blocks."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fusion.engine import conjugate_gradients as cg
from fusion.engine.bordered import Border
from fusion.engine.curvature import FULL, Curvature, diagonal_scale
from fusion.engine.factor_coupling import woodbury_correction
from fusion.engine.mixing_directions import mixing_corrections
from fusion.engine.row_blocks import Block, JointBlock
from fusion.engine.row_groups import is_raw_variable, row_groups
from fusion.engine.row_inverses import LEAST, WORTH, ByPattern, EachRow, RowInverses

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
        self.groups = row_groups(curvature, self.blocks, self.damped)
        self.inverses = [_inverse(group.block, None, free) for group in self.groups]
        self.units = {
            slot.name: curvature.chains[slot.name]
            for slot in curvature.objective.slots
            if is_raw_variable(slot) and slot.module is not None and slot.module.scale_free
        }
        self.coupled = woodbury_correction(curvature, self.blocks, self.groups, self.inverses)
        self.mixing = mixing_corrections(curvature, self.blocks, self.damped, free)
        self.found = torch.empty_like(gradient)
        self.border = self._border()

    def solve(
        self, tolerance: float, max_products: int, gradient: Tensor | None = None
    ) -> tuple[Tensor, Tensor, int]:
        """The step, H times it on the free variables, and how many products were made.

        Args:
            tolerance, max_products: as `conjugate_gradients.solve` has them.
            gradient: another than that of the step.
        """
        gradient = self.gradient if gradient is None else gradient
        slots = self.curvature.objective.slots
        parts = [slot.part for slot in slots] if gradient.device.type == "cpu" else []
        self.bent = torch.empty_like(gradient)
        return cg.solve(
            self._product,
            self._precondition,
            gradient,
            self.free,
            tolerance=tolerance,
            max_products=max_products,
            parts=parts,
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
        self._by_rows(r)
        if self.border is not None:
            self.border.add(self.found, r)
        return self.found

    def _by_rows(self, r: Tensor) -> Tensor:
        """Rows by themselves, how they meet in least squares, and mixtures where counts are."""
        for group, inverse in zip(self.groups, self.inverses, strict=True):
            group.block.solve(self.found, r, inverse)
        if self.coupled is not None:
            self.coupled.add(self.found)
        for mixing in self.mixing:
            mixing.add(self.found, r)
        for slot in self.curvature.objective.slots:
            if slot.name in self.units:
                part = slot.of(self.found)
                part.copy_(self.units[slot.name].push(part))
        return self.found

    def _border(self) -> Border | None:
        """The variables of which the whole curvature is known, beside all others."""
        slots, held = self.curvature.objective.slots, self.curvature.objective.held
        few = [
            (slot.part, self.curvature.columns[slot.name], (block.matrix + damped)[:, 0])
            for slot, block, damped in zip(slots, self.blocks, self.damped, strict=True)
            if slot.name in self.curvature.columns and slot.name not in held
        ]
        total = sum(part.stop - part.start for part, *_ in few)
        if not few or total > FULL or total == self.gradient.shape[1]:
            return None
        whole, at = torch.cat([columns for _, columns, _ in few]), 0
        for part, columns, corner in few:
            whole[at : at + len(columns), :, part] = corner.movedim(-1, 0)
            at += len(columns)
        device = self.gradient.device
        places = torch.cat([torch.arange(p.start, p.stop, device=device) for p, *_ in few])
        return Border(places, whole, self._by_rows, self.free)


def _damping_of(block: Block, damping: Tensor) -> Tensor:
    """The damping of a block: a share of itself and, where steps fail, of its largest diagonal.

    A share of the block alone holds nothing along directions in which components are nearly alike.
    """
    share = damping[:, None, None]
    diagonal = block.matrix.diagonal(dim1=-2, dim2=-1)
    floor = UPRIGHT * share.clamp_max(1) * diagonal_scale(block.matrix, block.own_units)
    return share[..., None] * (block.matrix + torch.diag_embed(floor.expand_as(diagonal)))


def _inverse(block: Block | JointBlock, damped: Tensor | None, free: Tensor) -> RowInverses:
    """Inverse of every row's block and its damping on the free variables, zero on the others.

    Rows that share one matrix differ in which variables are free alone: one inverse a pattern.
    """
    mask, full = block.view(free), block.matrix if damped is None else block.matrix + damped
    k = full.shape[-1]
    weight = None if block.weight is None else block.weight.clamp_min(TINY)
    if full.shape[1] > 1 or block.rows == 1 or k > MOST_PATTERNS:
        both = mask[..., :, None] * mask[..., None, :]
        inverse = torch.linalg.inv(full * both + torch.diag_embed(1 - mask)) * both
        return EachRow(inverse if weight is None else inverse / weight[:, None, None])
    powers = 2.0 ** torch.arange(k, dtype=mask.dtype, device=mask.device)
    starts = torch.arange(len(mask), device=mask.device)[:, None]
    code = (mask @ powers).long() + starts * 2**k
    codes, which = torch.unique(code, return_inverse=True)
    mask = (codes[:, None] // powers.long() % 2).to(mask.dtype)
    both, owner = mask[:, :, None] * mask[:, None, :], codes // 2**k
    few = torch.linalg.inv(full[owner, 0] * both + torch.diag_embed(1 - mask)) * both
    if which.numel() >= max(LEAST, WORTH * len(few)):
        return ByPattern(few, which, owner, weight)
    return EachRow(few[which] if weight is None else few[which] / weight[:, None, None])

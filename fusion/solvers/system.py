"""The linear system of a Gauss–Newton step: damped by its row blocks, one factor eliminated."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fusion.blocks import Block
from fusion.curvature import Curvature
from fusion.objective import Slot, Values
from fusion.solvers import cg

UPRIGHT = 1e-2
"""Share of its largest diagonal that strong damping adds to a block: it may be nearly singular."""
MOST_PATTERNS = 16
"""Components up to which sets of free variables are told apart by a number."""
TINY = 1e-30
"""Least weight of a row that is divided by."""


class System:
    """H d = −g on the free variables, where H is the curvature and its damping.

    Where the rows of a factor C over many pixels meet in nothing, H_CC is inverted as it stands
    and C eliminated: (H_SS − H_SC H_CC⁻¹ H_CS) d_S = −g_S + H_SC H_CC⁻¹ g_C has few unknowns and a
    better condition than the whole.

    Args:
        curvature: at this point, with its penalties.
        gradient: (start, n) by the raw variables.
        free: which of them move, (start, n) of 0 and 1.
        damping: (start,) share of the row blocks that is added.
    """

    def __init__(
        self, curvature: Curvature, gradient: Tensor, free: Tensor, damping: Tensor
    ) -> None:
        self.curvature, self.gradient, self.free = curvature, gradient * free, free
        self.gone = curvature.apart()
        self.kept: list[tuple[Slot, Block, Tensor, Tensor]] = []
        at = 0
        for slot, block in zip(curvature.objective.slots, curvature.blocks(), strict=True):
            extra = _damped(block, damping)
            inverse = _inverse(block, extra, free)
            if slot is self.gone:
                self.out = block, inverse
                continue
            part = slice(at, at := at + block.part.stop - block.part.start)
            self.kept.append((slot, replace(block, part=part), extra, inverse))
        self.names = [slot.name for slot, *_ in self.kept]

    def solve(self, tolerance: float, max_products: int) -> tuple[Tensor, Tensor, int]:
        """The step, H times it on the free variables, and how many products were made."""
        right = self._few(self.gradient)
        if self.gone is not None:
            right = right - self._back(self._solved(self.gradient[:, self.gone.part]))
        free = self._few(self.free)
        self.bent, self.found = torch.empty_like(free), torch.empty_like(free)
        d, Hd, made = cg.solve(
            self._product,
            self._precondition,
            right,
            free,
            tolerance=tolerance,
            max_products=max_products,
        )
        if self.gone is None:
            return d, Hd, made
        residual = -right * free - Hd
        C = self.gone
        met = self.curvature.some(self._named(d), [C.name])[C.name].flatten(1)
        rest = self._solved(-self.gradient[:, C.part] - met * self.free[:, C.part])
        whole, bent = torch.empty_like(self.gradient), -self.gradient
        whole[:, C.part] = rest
        for slot, block, *_ in self.kept:
            whole[:, slot.part] = d[:, block.part]
            bent[:, slot.part] -= residual[:, block.part]
        return whole, bent, made + 2

    def _few(self, flat: Tensor) -> Tensor:
        """The variables that are kept."""
        if self.gone is None:
            return flat
        return torch.cat([flat[:, slot.part] for slot, *_ in self.kept], 1)

    def _named(self, few: Tensor) -> Values:
        return {slot.name: few[:, b.part].unflatten(1, slot.shape) for slot, b, *_ in self.kept}

    def _solved(self, right: Tensor) -> Tensor:
        """H_CC⁻¹ on the free variables of C, (start, n of C)."""
        block, inverse = self.out
        into = torch.empty_like(right)
        replace(block, part=slice(None)).solve(into, right, inverse)
        return into

    def _back(self, c: Tensor) -> Tensor:
        """H_SC times a direction of C."""
        assert self.gone is not None
        direction = {self.gone.name: c.unflatten(1, self.gone.shape)}
        made = self.curvature.some(direction, self.names)
        return torch.cat([made[name].flatten(1) for name in self.names], 1)

    def _product(self, v: Tensor) -> Tensor:
        if self.gone is None:
            self.curvature(v, out=self.bent)
        else:
            C = self.gone
            made = self.curvature.some(self._named(v))
            torch.cat([made[name].flatten(1) for name in self.names], 1, out=self.bent)
            self.bent -= self._back(self._solved(made[C.name].flatten(1)))
        for _, block, extra, _ in self.kept:
            block.add_times(self.bent, v, extra)
        return self.bent

    def _precondition(self, r: Tensor) -> Tensor:
        for _, block, _, inverse in self.kept:
            block.solve(self.found, r, inverse)
        return self.found


def _damped(block: Block, damping: Tensor) -> Tensor:
    """The damping of a block: a share of itself and, where steps fail, of its largest diagonal.

    A share of the block alone holds nothing along directions in which components are nearly alike.
    """
    share = damping[:, None, None]
    diagonal = block.matrix.diagonal(dim1=-2, dim2=-1)
    floor = UPRIGHT * share.clamp_max(1) * diagonal.amax((-1, -2), keepdim=True)
    return share[..., None] * (block.matrix + torch.diag_embed(floor.expand_as(diagonal)))


def _inverse(block: Block, damped: Tensor, free: Tensor) -> Tensor:
    """Inverse of every row's block and its damping on the free variables, zero on the others.

    Rows that share one matrix differ in which variables are free alone: one inverse a pattern.
    """
    mask, full = block.view(free), block.matrix + damped
    k = full.shape[-1]
    if full.shape[1] > 1 or block.rows == 1 or k > MOST_PATTERNS:
        both = mask[..., :, None] * mask[..., None, :]
        made = torch.linalg.inv(full * both + torch.diag_embed(1 - mask)) * both
    else:
        powers = 2.0 ** torch.arange(k, dtype=mask.dtype, device=mask.device)
        starts = torch.arange(len(mask), device=mask.device)[:, None]
        code = (mask @ powers).long() + starts * 2**k
        codes, which = torch.unique(code, return_inverse=True)
        mask = (codes[:, None] // powers.long() % 2).to(mask.dtype)
        both = mask[:, :, None] * mask[:, None, :]
        few = torch.linalg.inv(full[codes // 2**k, 0] * both + torch.diag_embed(1 - mask)) * both
        made = few[which]
    return made if block.weight is None else made / block.weight[:, None, None].clamp_min(TINY)

"""The inverse of a curvature by blocks of rows that meet only through the variables beside them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.algebra.threads import library_threads, threads
from fusion.engine.inverse_values import RIDGE, opened, variances_of_values
from fusion.engine.quadratic import Quadratic
from fusion.engine.row_meetings import (
    CountMeeting,
    DenseMeeting,
    count_meeting,
    independent_blocks,
    rows_are_independent,
)
from fusion.engine.variables import Slot, Values

LARGE = 1000
"""Rows of a matrix from which on several threads invert it sooner."""


@dataclass(frozen=True, eq=False)
class Bordered:
    """By blocks of rows and the Schur complement of all else.

    [A B; Bᵀ R] with A block by block, and in R the free variables beside, and the multipliers that
    hold unit columns at right angles to themselves.

    Attributes:
        quadratic, free: the curvature, and what varies.
        index: (row, k) places of the rows; border: (r,) those beside.
        units: (n, columns) directions along unit columns.
        unseen: (row, k) what no data see of the rows; inverse: (row, k, k) of their blocks.
        lone: (n,) variances with all else known.
        meeting: how rows and border meet.
        covariance: inverse of the Schur complement, (r + columns, r + columns).
    """

    quadratic: Quadratic
    free: Tensor
    index: Tensor
    border: Tensor
    units: Tensor
    unseen: Tensor
    inverse: Tensor
    lone: Tensor
    meeting: DenseMeeting | CountMeeting
    covariance: Tensor

    @classmethod
    def of(cls, quadratic: Quadratic, free: Tensor, rows: list[Slot]) -> Bordered | None:
        """None where rows meet each other."""
        numbers = torch.arange(quadratic.objective.size, device=free.device)
        index = torch.cat([numbers[s.part].view(s.shape) for s in rows], 1) if rows else None
        index = numbers[:0].view(0, 1) if index is None else index
        blocks = independent_blocks(quadratic, index, free)
        if not rows_are_independent(quadratic, index, blocks, free):
            return None
        beside = free.clone()
        beside[index] = False
        border = beside.nonzero()[:, 0]
        units = quadratic.units(free)
        meeting = count_meeting(quadratic, rows, border, units)
        if meeting is None:
            meeting = DenseMeeting(quadratic, index, border, units)
        schur, own = _corner(meeting.corner, units[border])
        vary, diagonal = free[index], blocks.diagonal(dim1=-2, dim2=-1)
        unseen = vary & (diagonal <= 0)  # by any data
        inside = (vary & ~unseen).to(blocks.dtype)
        inverse = torch.linalg.inv(blocks + torch.diag_embed(RIDGE * diagonal + (1 - inside)))
        inverse = inverse * inside[:, :, None] * inside[:, None, :]
        meeting.take_out(schur, inverse)
        covariance = _inverse(schur, len(border))
        lone = torch.zeros_like(quadratic.flat[0])
        lone[border] = 1 / own
        lone[index] = torch.where(vary, 1 / diagonal.clamp_min(0), 0)
        return cls(
            quadratic, free, index, border, units, unseen, inverse, lone, meeting, covariance
        )

    def variances(self) -> Values:
        """Of every entry of every factor."""
        border, index = self.border, self.index
        total = torch.zeros_like(self.quadratic.flat[0])
        total[border] = self.covariance.diagonal()[: len(border)]
        own = self.inverse.diagonal(dim1=-2, dim2=-1)
        total[index] = own + self.meeting.bring_back(self.covariance)
        total[index] = torch.where(self.unseen, torch.inf, total[index])
        return variances_of_values(
            self.quadratic, self.free, total, self.lone, border, self.covariance
        )

    def of_sums(self, weights: Tensor) -> Tensor:
        """Covariance of sums of raw variables, weights (sum, n): aᵀ A⁻¹ a + bᵀ Σ b.

        b = w − Bᵀ A⁻¹ a is what they weigh of the border when the rows follow.
        """
        index, border = self.index, self.border
        a = weights[:, index]  # (sum, row, k)
        rows = torch.einsum("rkl,srl->srk", self.inverse, a)
        beside = torch.cat([weights[:, border], weights.new_zeros(len(a), self.units.shape[1])], 1)
        if bool(a.any()):
            met = -torch.einsum("srk,rku->su", rows, self.units[index])
            beside[:, len(border) :] += met
            for i, row in enumerate(rows):
                moved = torch.zeros_like(weights[0])
                moved[index] = row
                beside[i, : len(border)] -= self.quadratic(moved)[border]
        made = torch.einsum("srk,trk->st", rows, a) + beside @ self.covariance @ beside.T
        unseen = (a * self.unseen).flatten(1).any(1)
        return opened(made, weights, self.lone, unseen)


def _corner(corner: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """The curvature beside the rows, bordered by unit columns; and its diagonal."""
    r, q = units.shape
    own = corner.diagonal().clamp_min(0)
    made = corner.new_zeros(r + q, r + q)
    made[:r, :r] = 0.5 * (corner + corner.T) + torch.diag(RIDGE * own)
    made[:r, r:], made[r:, :r] = units, units.T
    return made, own


def _inverse(full: Tensor, r: int) -> Tensor:
    """Inverse of a symmetric matrix, rows and columns in units of their own."""
    size = full.diagonal().abs().sqrt()
    size[r:] = torch.where(size[r:] > 0, size[r:], 1)
    size[:r] = torch.where(size[:r] > 0, size[:r], 1)
    along = (full[r:, :r] / size[:r]).norm(dim=1)
    size[r:] = torch.maximum(size[r:], along)
    scaled = full / size[:, None] / size
    empty = scaled.diagonal()[:r] == 0
    scaled[:r, :r] += torch.diag(empty.to(scaled.dtype))
    with library_threads(threads() if len(full) > LARGE else 1):
        made = torch.linalg.inv(scaled)
    return made / size[:, None] / size

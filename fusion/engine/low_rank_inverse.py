"""The inverse of a curvature by Woodbury's identity: factors meet through K × K matrices only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.coupled_preconditioner import LowRankTerm
from fusion.engine.inverse_values import RIDGE, opened, variances_of_values
from fusion.engine.linear_system import System
from fusion.engine.quadratic import Quadratic
from fusion.engine.row_inverses import CHUNK
from fusion.engine.variables import Values


@dataclass(frozen=True, eq=False)
class LowRank:
    """By Woodbury's identity, where that is the whole inverse.

    Attributes:
        quadratic, free: the curvature, and what varies.
        units: (n, columns) directions along unit columns.
        system: blocks, and what couples them.
    """

    quadratic: Quadratic
    free: Tensor
    units: Tensor
    system: System

    @classmethod
    def of(cls, quadratic: Quadratic, free: Tensor) -> LowRank | None:
        """None where it is not the whole inverse."""
        objective, flat = quadratic.objective, quadratic.flat
        if quadratic.bent or any(slot.module is None for slot in objective.slots):
            return None
        damping = flat.new_full((1,), RIDGE)
        system = System(
            quadratic.curvature, torch.zeros_like(flat), free[None].to(flat.dtype), damping
        )
        if system.coupled is None:
            return None
        made = cls(quadratic, free, quadratic.units(free), system)
        return made if made.holds() else None

    def variances(self) -> Values:
        """Of every entry of every factor."""
        total = torch.zeros_like(self.quadratic.flat)
        coupled = self.system.coupled
        assert coupled is not None
        for group, inverse in zip(self.system.groups, self.system.inverses, strict=True):
            A = inverse.whole()[0].expand(group.block.rows, -1, -1)
            shared = _shared(coupled.ways.get(group.names, ()), coupled.small[0], A)
            group.block.write(total, (A.diagonal(dim1=-2, dim2=-1) - shared)[None])
        none = self.free.nonzero()[:0, 0]
        return variances_of_values(
            self.quadratic, self.free, total[0], self._lone(), none, total.new_zeros(0, 0)
        )

    def of_sums(self, weights: Tensor) -> Tensor:
        """Covariance of sums of raw variables, weights (sum, n)."""
        along = torch.stack([self._tangent(w) for w in weights])
        moved = torch.stack([self._tangent(self._solved(w) * self.free) for w in along])
        made = along @ moved.T
        return opened(0.5 * (made + made.T), weights, self._lone())

    def holds(self) -> bool:
        """Whether blocks and low rank are the whole curvature: H (inverse) H v = H v."""
        generator, like = torch.Generator().manual_seed(0), self.quadratic.flat
        v = torch.randn(len(self.free), generator=generator, dtype=torch.float64).to(like)
        wanted = self._curved(self._tangent(v * self.free))
        image = self._curved(self._tangent(self._solved(wanted)))
        return float((image - wanted).norm()) <= 1e-3 * float(wanted.norm())

    def _tangent(self, v: Tensor) -> Tensor:
        """At right angles to unit columns."""
        size = self.units.square().sum(0).clamp_min(1e-300)
        return v - self.units @ ((self.units.T @ v) / size)

    def _curved(self, v: Tensor) -> Tensor:
        """H v, of what varies."""
        return self._tangent(self.quadratic(v) * self.free)

    def _solved(self, wanted: Tensor) -> Tensor:
        """Blocks and low rank inverted, times a vector (n,)."""
        solution = torch.empty_like(wanted)[None]
        for group, inverse in zip(self.system.groups, self.system.inverses, strict=True):
            group.block.solve(solution, wanted[None], inverse)
        assert self.system.coupled is not None
        self.system.coupled.add(solution)
        return solution[0]

    def _lone(self) -> Tensor:
        """(n,) variances with all else known."""
        lone = torch.zeros_like(self.quadratic.flat)
        for block in self.system.blocks:
            lone[:, block.part] = 1 / block.expanded().diagonal(dim1=-2, dim2=-1).flatten(1)
        return lone[0]


def _shared(ways: Sequence[LowRankTerm], small: Tensor, A: Tensor) -> Tensor:
    """Diagonal of D⁻¹ U S Uᵀ D⁻¹ in the factors of one group, (row, w)."""
    if not ways:
        return torch.zeros_like(A[..., 0])
    at = torch.cat([torch.arange(w.part.start, w.part.stop, device=A.device) for w in ways])
    S = small[at[:, None], at]
    made, step = torch.empty_like(A[..., 0]), max(1, CHUNK // (len(at) * A.shape[-1]))
    for first in range(0, len(A), step):
        part = slice(first, first + step)
        # (row, w, size): the direction, and what of U it meets
        Z = torch.cat([_met_by_rows(way, A, part) for way in ways], 1).mT.to(S)
        made[part] = ((Z @ S) * Z).sum(-1).to(made)
    return made


def _met_by_rows(way: LowRankTerm, A: Tensor, rows: slice) -> Tensor:
    """Uᵀ D⁻¹ of some rows, (row, size, w)."""
    moved = A[rows] if way.select is None else way.select.mT @ A[rows]
    if way.base is None:
        return moved
    return (way.base[0, rows, :, None, None] * moved[:, None]).flatten(1, 2)

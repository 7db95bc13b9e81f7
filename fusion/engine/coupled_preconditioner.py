"""How factors meet: what a step is preconditioned with beside the row blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.curvature import Curvature
from fusion.engine.row_blocks import Block
from fusion.engine.variables import Slot
from fusion.likelihood.metric import Coupling

MOST = 800
"""Largest size of the small matrix: what is inverted at every step."""
WIDEST = 16
"""Components up to which it is made: its cost grows with their fourth power."""
STIFF = 1e4
"""What holds the norms of unit columns, a multiple of the columns' own curvature."""
CHUNK = 2**20
"""Numbers of intermediate arrays."""


@dataclass(frozen=True)
class LowRankTerm:
    """One way in which a factor meets others: U = base ⊗ 1, or 1 for a core."""

    block: Block
    inverse: Tensor  # (start, row, k, k) of the damped block on the free variables
    base: Tensor | None  # (start, row, r)
    part: slice  # of the small vector

    def down(self, z: Tensor) -> Tensor:
        """Uᵀ z, (start, size)."""
        rows = self.block.view(z)
        return (rows if self.base is None else self.base.mT @ rows).flatten(1)

    def up(self, y: Tensor) -> Tensor:
        """U y, (start, row, k)."""
        k = self.block.matrix.shape[-1]
        y = y[:, self.part].unflatten(1, (-1, k))
        return y if self.base is None else self.base @ y

    def met(self, other: LowRankTerm) -> Tensor:
        """Uᵀ D⁻¹ U' of two ways of one factor, (start, size, size)."""
        if self.base is None or other.base is None:
            return self.inverse[:, 0]
        (starts, rows, r), k = self.base.shape, self.inverse.shape[-1]
        total = self.base.new_zeros(starts, r * r, k * k, dtype=torch.float64)
        step = max(1, CHUNK // (starts * max(r, k) ** 2))
        for at in range(0, rows, step):
            part = slice(at, at + step)
            pairs = self.base[:, part, :, None] * other.base[:, part, None, :]
            total += pairs.flatten(2).mT @ self.inverse[:, part].flatten(2)
        return total.reshape(starts, r, r, k, k).transpose(2, 3).reshape(starts, r * k, r * k)


class WoodburyCorrection:
    """r ↦ (D + U M Uᵀ)⁻¹ r on the free variables, D the damped row blocks.

    By Woodbury's identity: D⁻¹ r − D⁻¹ U (1 + M W)⁻¹ M Uᵀ D⁻¹ r with the small W = Uᵀ D⁻¹ U. The
    whole inverse where every factor enters the predictions as it is and nothing else couples rows;
    elsewhere what is left is for conjugate gradients. Columns of norm 1 move at right angles to
    themselves: U holds the columns, too, so that M can keep them from growing.
    """

    def __init__(self, ways: dict[str, list[LowRankTerm]], small: Tensor) -> None:
        self.ways = ways
        every = (way for same in ways.values() for way in same)
        self.inner = sorted(every, key=lambda way: way.part.start)
        meets = torch.zeros_like(small)
        for same in ways.values():
            for i, a in enumerate(same):
                for b in same[i:]:
                    meets[:, a.part, b.part] = met = a.met(b)
                    meets[:, b.part, a.part] = met.mT
        # factors in units of their own, so that rounding sees none
        size = meets.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
        size = torch.where(size > 0, size, 1)
        small = small * size[:, :, None] * size[:, None]
        meets = meets / (size[:, :, None] * size[:, None])
        unit = torch.eye(small.shape[1], dtype=small.dtype, device=small.device)
        small_inverse, info = torch.linalg.solve_ex(unit + small @ meets, small)
        small_inverse = small_inverse / (size[:, :, None] * size[:, None])
        sound = (info == 0) & torch.isfinite(small_inverse).all((1, 2))
        self.small = torch.where(sound[:, None, None], 0.5 * (small_inverse + small_inverse.mT), 0)

    def add(self, z: Tensor) -> None:
        """Correct z = D⁻¹ r, in place."""
        met = torch.cat([way.down(z) for way in self.inner], 1)
        y = (self.small @ met.to(self.small)[..., None])[..., 0].to(z)
        for same in self.ways.values():
            first, *others = same
            u = first.up(y)
            for way in others:
                u = u + way.up(y)
            first.block.view(z).sub_((first.inverse @ u[..., None])[..., 0])


def woodbury_correction(
    curvature: Curvature, blocks: list[Block], inverses: list[Tensor]
) -> WoodburyCorrection | None:
    """From the fits that are of low rank beside their row blocks; None where none is, or too wide.

    Args:
        curvature: at this point, with its penalties.
        blocks: of every variable.
        inverses: of their damped blocks on the free variables.
    """
    space = _SmallSpace(curvature, blocks, inverses)
    for names, coupling in curvature.fits.couplings():
        space.add(names, coupling)
    if not space.parts or space.size > MOST:
        return None
    space.hold_unit_columns()
    return WoodburyCorrection(space.terms, space.matrix())


class _SmallSpace:
    """The low-rank terms of all factors side by side in one small vector, and M between them."""

    def __init__(self, curvature: Curvature, blocks: list[Block], inverses: list[Tensor]) -> None:
        self.curvature, self.blocks, self.inverses = curvature, blocks, inverses
        objective = curvature.objective
        self.known = {
            slot.name: i
            for i, slot in enumerate(objective.slots)
            if is_raw_variable(slot) and slot.name not in objective.held
        }
        self.terms: dict[str, list[LowRankTerm]] = {}
        self.parts: list[tuple[Tensor, Tensor, Tensor]] = []
        """(places here, places in a matrix, that matrix)."""
        self.size = 0
        self._places: dict[tuple[str, int | None], Tensor] = {}

    def add(self, names: Sequence[str | None], coupling: Coupling) -> None:
        """The coupling of one prediction, as far as its tensors are factors as they are."""
        readable, at = [], 0
        for name, (base, weight), width in zip(names, coupling.bases, coupling.sizes, strict=True):
            if name in self.known and _block_of_rows(self.blocks[self.known[name]], base, width):
                readable.append((name, base, weight, width, at))
            at += width
        if len(readable) > 1:
            here = torch.cat([self._place(*term) for *term, _ in readable])
            there = torch.cat([self._range(at, at + width) for *_, width, at in readable])
            self.parts.append((here, there, coupling.matrix))

    def hold_unit_columns(self) -> None:
        """Keep columns of norm 1 from growing along themselves."""
        flat = self.curvature.flat
        for slot in self.curvature.objective.slots:
            if slot.name in self.terms and slot.module is not None and slot.module.scale_free:
                unit, block = slot.of(flat), self.blocks[self.known[slot.name]]
                k = unit.shape[-1]
                bend = (unit * block.times(flat, block.matrix).reshape(unit.shape)).sum(1)
                here = self._place(slot.name, unit, None, k * k)[:: k + 1]
                self.parts.append((here, self._range(0, k), STIFF * torch.diag_embed(bend)))

    def matrix(self) -> Tensor:
        """M, (start, size, size), float64."""
        flat = self.curvature.flat
        small = flat.new_zeros(len(flat), self.size, self.size, dtype=torch.float64)
        for here, there, matrix in self.parts:
            small[:, here[:, None], here] += matrix[:, there[:, None], there]
        return small

    def _place(self, name: str, base: Tensor | None, weight: Tensor | None, width: int) -> Tensor:
        """Where a term lies in the small vector."""
        key = name, None if weight is None else id(weight)
        if key not in self._places:
            part = slice(self.size, self.size + width)
            self.size += width
            base = base if base is None or weight is None else base * weight[:, None]
            i = self.known[name]
            term = LowRankTerm(self.blocks[i], self.inverses[i], base, part)
            self.terms.setdefault(name, []).append(term)
            self._places[key] = self._range(part.start, part.stop)
        return self._places[key]

    def _range(self, start: int, stop: int) -> Tensor:
        return torch.arange(start, stop, device=self.curvature.flat.device)


def is_raw_variable(slot: Slot) -> bool:
    """Whether a factor is its raw variable, but for a bound or the norm of its columns."""
    if slot.module is None:
        return False
    return all(c.identity or c.unit_norm == 2 for c in slot.module.chain)


def _block_of_rows(block: Block, base: Tensor | None, wide: int) -> bool:
    """Whether the blocks are those of a factor's rows, or the one of a whole core."""
    k = block.matrix.shape[-1]
    if base is None:
        return block.rows == 1 and k == wide
    return block.rows == base.shape[1] and k == base.shape[2] <= WIDEST

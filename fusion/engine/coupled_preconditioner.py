"""How factors meet: what a step is preconditioned with beside the row blocks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.curvature import Curvature
from fusion.engine.objective import Slot
from fusion.engine.row_blocks import Block

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
    objective = curvature.objective
    known = {
        slot.name: i
        for i, slot in enumerate(objective.slots)
        if is_raw_variable(slot) and slot.name not in objective.held
    }
    device = curvature.flat.device
    ways: dict[str, list[LowRankTerm]] = {}
    places: dict[tuple[str, int | None], Tensor] = {}
    coupling_parts: list[tuple[Tensor, Tensor, Tensor]] = []
    size = 0

    def place(name: str, base: Tensor | None, weight: Tensor | None, wide: int) -> Tensor:
        """Where a way lies in the small vector."""
        nonlocal size
        key = name, None if weight is None else id(weight)
        if key not in places:
            part = slice(size, size := size + wide)
            base = base if base is None or weight is None else base * weight[:, None]
            i = known[name]
            ways.setdefault(name, []).append(LowRankTerm(blocks[i], inverses[i], base, part))
            places[key] = torch.arange(part.start, part.stop, device=device)
        return places[key]

    for names, coupling in curvature.fits.couplings():
        readable, at = [], 0
        for name, (base, weight), wide in zip(names, coupling.bases, coupling.sizes, strict=True):
            if name in known and _block_of_rows(blocks[known[name]], base, wide):
                readable.append((name, base, weight, wide, at))
            at += wide
        if len(readable) > 1:
            places_in_small = torch.cat([place(*way) for *way, _ in readable])
            places_in_coupling = torch.cat(
                [torch.arange(at, at + n, device=device) for *_, n, at in readable]
            )
            coupling_parts.append((places_in_small, places_in_coupling, coupling.matrix))
    if not coupling_parts or size > MOST:
        return None
    for slot in objective.slots:
        if slot.name in ways and slot.module is not None and slot.module.scale_free:
            unit, block = slot.of(curvature.flat), blocks[known[slot.name]]
            k = unit.shape[-1]
            held = (unit * block.times(curvature.flat, block.matrix).reshape(unit.shape)).sum(1)
            places_in_small = place(slot.name, unit, None, k * k)[:: k + 1]
            places_in_coupling = torch.arange(k, device=device)
            coupling_parts.append(
                (places_in_small, places_in_coupling, STIFF * torch.diag_embed(held))
            )
    small = curvature.flat.new_zeros(len(curvature.flat), size, size, dtype=torch.float64)
    for places_in_small, places_in_coupling, matrix in coupling_parts:
        small[:, places_in_small[:, None], places_in_small] += matrix[
            :, places_in_coupling[:, None], places_in_coupling
        ]
    return WoodburyCorrection(ways, small)


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

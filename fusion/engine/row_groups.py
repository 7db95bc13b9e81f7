"""Factors whose rows meet in a prediction, as C and N in C + N: one block a row for them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fusion.engine.curvature import Curvature
from fusion.engine.row_blocks import Block, JointBlock
from fusion.engine.variables import Slot

WIDEST = 16
"""Components up to which rows of several factors are inverted as one, and how these meet others is
read: the cost grows with their fourth power."""


@dataclass(frozen=True)
class RowGroup:
    """Factors, and the damped block of their rows."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    block: Block | JointBlock

    def columns(self, maps: Mapping[str, Tensor | None], width: int) -> Tensor | None:
        """(w, width) from rows of the group to rows of a tensor; None = they are the same.

        Args:
            maps: of some of its factors, (k, width) each, or None for a factor as it is.
            width: columns of the tensor.
        """
        if len(self.names) == 1 and maps[self.names[0]] is None:
            return None
        like, made = self.block.matrix, []
        for name, k in zip(self.names, self.sizes, strict=True):
            B = maps.get(name, like.new_zeros(k, width))
            made.append(torch.eye(k, dtype=like.dtype, device=like.device) if B is None else B)
        return torch.cat(made)


def row_groups(
    curvature: Curvature, blocks: Sequence[Block], damped: Sequence[Tensor]
) -> list[RowGroup]:
    """Every variable in one group, those whose rows meet together.

    Args:
        curvature: at this point.
        blocks: of every variable.
        damped: what damping adds to each.
    """
    slots = curvature.objective.slots
    whole = {
        slot.name: replace(block, matrix=block.matrix + more)
        for slot, block, more in zip(slots, blocks, damped, strict=True)
    }
    groups = []
    for names in _meeting(curvature, whole):
        sizes = tuple(whole[name].matrix.shape[-1] for name in names)
        joint = whole[names[0]] if len(names) == 1 else _joint(curvature, names, whole)
        groups.append(RowGroup(names, sizes, joint))
    return groups


def _meeting(curvature: Curvature, whole: Mapping[str, Block]) -> list[tuple[str, ...]]:
    """Names of the variables of every group, in the order of the variables."""
    slots = {slot.name: slot for slot in curvature.objective.slots}
    able = {name for name, slot in slots.items() if has_rows_of_its_own(slot, whole[name])}
    group = {name: [name] for name in slots}
    for factors in curvature.fits.entering:
        first, *others = [name for name in factors or {} if name in able] or [None]
        for name in others:
            both = [group[first], group[name]]
            wide = sum(whole[n].matrix.shape[-1] for part in both for n in part)
            if both[0] is not both[1] and wide <= WIDEST:
                merged = both[0] + both[1]
                group.update(dict.fromkeys(merged, merged))
    order = list(slots)
    parts = {id(part): tuple(sorted(part, key=order.index)) for part in group.values()}
    return list(parts.values())


def _joint(curvature: Curvature, names: tuple[str, ...], whole: Mapping[str, Block]) -> JointBlock:
    """The blocks of the factors, and what the fits say of every two of them."""
    blocks = tuple(whole[name] for name in names)
    parts = {(i, i): [block] for i, block in enumerate(blocks)}
    for i, name in enumerate(names):
        for j in range(i):
            met = curvature.fits.between(name, names[j])
            parts[i, j] = [Block(slice(0), blocks[i].rows, *one) for one in met]
    every = [one for part in parts.values() for one in part]
    alike = all(one.weight is None and one.matrix.shape[1] == 1 for one in every)
    ends = torch.tensor([block.matrix.shape[-1] for block in blocks]).cumsum(0).tolist()
    at = [slice(end - b.matrix.shape[-1], end) for b, end in zip(blocks, ends, strict=True)]
    starts, rows = len(blocks[0].matrix), 1 if alike else blocks[0].rows
    made = blocks[0].matrix.new_zeros(starts, rows, ends[-1], ends[-1])
    for (i, j), part in parts.items():
        for one in part:
            made[:, :, at[i], at[j]] += one.matrix if alike else one.expanded()
        if i != j:
            made[:, :, at[j], at[i]] = made[:, :, at[i], at[j]].mT
    return JointBlock(blocks, made)


def is_raw_variable(slot: Slot) -> bool:
    """Whether a factor is its raw variable, but for a bound or the norm of its columns."""
    if slot.module is None:
        return False
    return all(c.identity or c.unit_norm == 2 for c in slot.module.chain)


def has_rows_of_its_own(slot: Slot, block: Block) -> bool:
    """Whether the block is one for every row of a factor that is its raw variable."""
    rows = len(slot.shape) == 2 and block.rows == slot.shape[0]
    return rows and block.matrix.shape[-1] == slot.shape[1] and is_raw_variable(slot)

"""Row blocks: what damps and preconditions a step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.row_inverses import EachRow, RowInverses


@dataclass(frozen=True)
class Block:
    """Part of the preconditioner: row i of a raw variable has the block weight[i] · matrix[i or 0].

    One matrix for all rows is kept as one: a map of many pixels has no more.
    """

    part: slice
    rows: int
    matrix: Tensor  # (start, row or 1, k, k)
    weight: Tensor | None = None  # (row,)
    own_units: bool = False  # every entry has its own, as amplitudes and exponents have

    def view(self, flat: Tensor) -> Tensor:
        """(start, row, k) view of this part of a flat vector."""
        return flat[:, self.part].view(len(flat), self.rows, self.matrix.shape[-1])

    def times(self, flat: Tensor, matrix: Tensor) -> Tensor:
        """Symmetric matrices in place of its own times this part of a flat vector, (start, n)."""
        made = EachRow(matrix).times(self.view(flat))
        return (made if self.weight is None else made * self.weight[:, None]).flatten(1)

    def solve(self, into: Tensor, flat: Tensor, inverse: RowInverses) -> None:
        """The inverses of all rows, weights and all, times this part, written into another."""
        into[:, self.part] = inverse.times(self.view(flat)).flatten(1)

    def write(self, into: Tensor, rows: Tensor) -> None:
        """Write (start, row, k) into this part of a flat vector."""
        self.view(into).copy_(rows)

    def subtract(self, into: Tensor, rows: Tensor) -> None:
        """Take (start, row, k) from this part of a flat vector."""
        self.view(into).sub_(rows)

    def add_times(self, into: Tensor, flat: Tensor, matrix: Tensor) -> None:
        """The same, added to this part of another flat vector."""
        if self.weight is None and matrix.shape[1] == 1:
            part = self.view(into)  # a view: starts lie apart, rows are whole
            part.baddbmm_(self.view(flat), matrix[:, 0])
        else:
            into[:, self.part] += self.times(flat, matrix)

    def expanded(self) -> Tensor:
        """The block of every row, (start, row, k, k)."""
        full = self.matrix.expand(-1, self.rows, -1, -1)
        return full if self.weight is None else full * self.weight[:, None, None]

    def __add__(self, other: Block) -> Block:
        if self.weight is other.weight:
            return Block(self.part, self.rows, self.matrix + other.matrix, self.weight)
        return Block(self.part, self.rows, self.expanded() + other.expanded())


@dataclass(frozen=True)
class JointBlock:
    """Factors whose rows meet: row i of them all, side by side, has the block matrix[i or 0]."""

    members: tuple[Block, ...]
    matrix: Tensor  # (start, row or 1, w, w), w = Σ k
    weight: None = None

    @property
    def rows(self) -> int:
        """The same in all of them."""
        return self.members[0].rows

    @property
    def _sizes(self) -> list[int]:
        return [block.matrix.shape[-1] for block in self.members]

    def view(self, flat: Tensor) -> Tensor:
        """(start, row, w) of their parts of a flat vector."""
        return torch.cat([block.view(flat) for block in self.members], -1)

    def solve(self, into: Tensor, flat: Tensor, inverse: RowInverses) -> None:
        """The inverses of all rows times their parts, written into another."""
        self.write(into, inverse.times(self.view(flat)))

    def write(self, into: Tensor, rows: Tensor) -> None:
        """Write (start, row, w) into their parts of a flat vector."""
        for block, x in zip(self.members, torch.split(rows, self._sizes, -1), strict=True):
            block.write(into, x)

    def subtract(self, into: Tensor, rows: Tensor) -> None:
        """Take (start, row, w) from their parts of a flat vector."""
        for block, x in zip(self.members, torch.split(rows, self._sizes, -1), strict=True):
            block.subtract(into, x)

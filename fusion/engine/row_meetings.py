"""How independent rows meet the variables beside them: column by column, or count by count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fusion.engine.hessian import alternating_signs
from fusion.engine.quadratic import Quadratic
from fusion.engine.row_groups import is_raw_variable
from fusion.engine.variables import Slot
from fusion.likelihood.count_complement import brought_back, take_out
from fusion.likelihood.count_rows import Array, Side
from fusion.likelihood.metric import Entrywise

if TYPE_CHECKING:
    from fusion.likelihood.compiled_passes import CompiledPasses

WIDEST = 8000
"""Numbers of the factor beside the rows up to which counts fill a matrix of them."""


class DenseMeeting:
    """All products with the variables beside the rows.

    Attributes:
        corner: the curvature between these variables, (r, r).
    """

    def __init__(self, quadratic: Quadratic, index: Tensor, border: Tensor, units: Tensor) -> None:
        probe = torch.zeros_like(quadratic.flat[0])
        H = probe.new_empty(len(probe), len(border))
        for column, j in enumerate(border.tolist()):
            probe[j] = 1
            H[:, column] = quadratic(probe)
            probe[j] = 0
        self.corner = H[border]
        self.meets = torch.cat([H, units], 1)[index]  # (row, k, border)

    def take_out(self, schur: Tensor, inverse: Tensor) -> None:
        """The rows taken out of the curvature beside them, in place."""
        self.solved = inverse @ self.meets
        schur -= self.meets.flatten(0, 1).T @ self.solved.flatten(0, 1)

    def bring_back(self, covariance: Tensor) -> Tensor:
        """What the variables beside add to the variances of the rows, (row, k)."""
        return ((self.solved @ covariance) * self.solved).sum(-1)


@dataclass
class CountMeeting:
    """Counts of one data set alone: rows meet what their counts meet.

    Attributes:
        passes: over the counts; j: which side the rows are.
        mine, other: factors of the rows and beside them, (n, K) and (m, K).
        scale: of the curvature.
        blocks: of the other factor's rows, (m, K, K).
        places: of the border among the numbers of the other factor, (r,).
    """

    passes: CompiledPasses
    j: int
    mine: Tensor
    other: Tensor
    scale: float
    blocks: Tensor
    places: Tensor

    @property
    def corner(self) -> Tensor:
        """The curvature between the variables beside the rows, (r, r)."""
        return torch.block_diag(*self.blocks)[self.places][:, self.places]

    def take_out(self, schur: Tensor, inverse: Tensor) -> None:
        """The rows taken out of the curvature beside them, in place."""
        r, size = len(self.places), self.other.numel()
        taken, self.inverse = np.zeros((size, size)), inverse.contiguous().numpy()
        take_out(*self._counts(), self.inverse, taken)
        schur[:r, :r] += torch.from_numpy(taken)[self.places][:, self.places]

    def bring_back(self, covariance: Tensor) -> Tensor:
        """What the variables beside add to the variances of the rows, (row, k)."""
        r, size = len(self.places), self.other.numel()
        whole = covariance.new_zeros(size, size)
        whole[self.places[:, None], self.places] = covariance[:r, :r]
        return torch.from_numpy(brought_back(*self._counts(), self.inverse, whole.numpy()))

    def _counts(self) -> tuple[Side, Array, Array, float]:
        mine, other = (x.contiguous().numpy() for x in (self.mine, self.other))
        return self.passes.rows.sides[self.j], mine, other, self.scale


def count_meeting(
    quadratic: Quadratic, rows: list[Slot], border: Tensor, units: Tensor
) -> CountMeeting | None:
    """How the rows of a factor meet another one through counts alone; None where it is not so.

    Args:
        quadratic: the curvature.
        rows: the factor whose rows are independent.
        border: places of the variables beside them, (r,).
        units: directions along unit columns, (n, columns).
    """
    fits, slots = quadratic.curvature.fits, quadratic.objective.slots
    if len(rows) != 1 or len(slots) != 2 or len(fits.metrics) != 1 or fits.rest or fits.loose:
        return None
    metric, _ = fits.metrics[0]
    other = next(slot for slot in slots if slot.name != rows[0].name)
    names, plain = fits.names, all(map(is_raw_variable, slots))
    if (
        quadratic.curvature.penalties is not None
        or not plain
        or set(names) != {slot.name for slot in slots}
    ):
        return None
    if not isinstance(metric, Entrywise):
        return None
    from fusion.likelihood.compiled_passes import CompiledPasses  # brings in scipy

    if not isinstance(metric.reads, CompiledPasses):
        return None
    size = other.part.stop - other.part.start
    if size > WIDEST or bool(units[rows[0].part].any()):
        return None
    j = names.index(rows[0].name)
    factors, block = (metric.L[0], metric.R[0]), quadratic.curvature.fits.blocks(other.name)[0][0]
    return CountMeeting(
        metric.reads, j, factors[j], factors[1 - j], float(metric.scale[0]), block,
        border - other.part.start,
    )  # fmt: skip


def independent_blocks(quadratic: Quadratic, index: Tensor, free: Tensor) -> Tensor:
    """Blocks of the rows that `index` (row, k) lists, (row, k, k), probed by k products."""
    turns, columns = alternating_signs(len(index), quadratic.flat), []
    for k in range(index.shape[1]):
        probe = torch.zeros_like(quadratic.flat[0])
        probe[index[:, k]] = turns
        columns.append(quadratic(probe)[index] * turns[:, None])
    made = torch.stack(columns, -1)
    inside = free[index].to(made.dtype)
    return 0.5 * (made + made.mT) * inside[:, :, None] * inside[:, None, :]


def rows_are_independent(quadratic: Quadratic, index: Tensor, blocks: Tensor, free: Tensor) -> bool:
    """Whether rows do not meet each other."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(index.shape, generator=generator, dtype=torch.float64).to(blocks)
    v = v * free[index]
    probe = torch.zeros_like(quadratic.flat[0])
    probe[index] = v
    made = quadratic(probe)[index] * free[index]
    wanted = (blocks @ v[..., None])[..., 0]
    return float((made - wanted).norm()) <= 1e-6 * float(wanted.norm())

"""How factors meet: what a step is preconditioned with beside the row blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion.engine.row_groups import RowGroup
from fusion.engine.row_inverses import RowInverses


@dataclass(frozen=True)
class LowRankTerm:
    """One way in which factors meet others: U = base ⊗ select, or 1 for a core."""

    group: RowGroup
    inverse: RowInverses  # of the damped block on the free variables
    base: Tensor | None  # (start, row, r)
    select: Tensor | None  # (w, k) from the factors' rows to the tensor's; None: the same
    part: slice  # of the small vector

    def down(self, z: Tensor) -> Tensor:
        """Uᵀ z, (start, size)."""
        rows = self.group.block.view(z)
        met = rows if self.base is None else self.base.mT @ rows
        return (met if self.select is None else met @ self.select).flatten(1)

    def up(self, y: Tensor) -> Tensor:
        """U y, (start, row, w)."""
        k = self.inverse.width if self.select is None else self.select.shape[1]
        y = y[:, self.part].unflatten(1, (-1, k))
        y = y if self.select is None else y @ self.select.mT
        return y if self.base is None else self.base @ y

    def met(self, other: LowRankTerm) -> Tensor:
        """Uᵀ D⁻¹ U' of two ways of one group, (start, size, size)."""
        if self.base is None or other.base is None:
            return self.inverse.whole()[:, 0]
        r, q = self.base.shape[-1], other.base.shape[-1]
        total = self.inverse.summed(self.base, other.base)
        if self.select is not None:
            total = self.select.to(total).mT @ total
        if other.select is not None:
            total = total @ other.select.to(total)
        k, m = total.shape[-2:]
        return total.transpose(2, 3).reshape(len(total), r * k, q * m)


class WoodburyCorrection:
    """r ↦ (D + U M Uᵀ)⁻¹ r on the free variables, D the damped row blocks.

    By Woodbury's identity: D⁻¹ r − D⁻¹ U (1 + M W)⁻¹ M Uᵀ D⁻¹ r with the small W = Uᵀ D⁻¹ U. The
    whole inverse where every factor enters the predictions as it is and nothing else couples rows;
    elsewhere what is left is for conjugate gradients. Columns of norm 1 move at right angles to
    themselves: U holds the columns, too, so that M can keep them from growing.
    """

    def __init__(
        self,
        ways: Mapping[tuple[str, ...], list[LowRankTerm]],
        small: Tensor,
        alone: Sequence[int] = (),
    ) -> None:
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
        made = _without_group(small, meets, alone) if alone else _inverse(small, meets)
        made = made / (size[:, :, None] * size[:, None])
        sound = torch.isfinite(made).all((1, 2))[:, None, None]
        self.small = torch.where(sound, 0.5 * (made + made.mT), 0)

    def add(self, z: Tensor) -> None:
        """Correct z = D⁻¹ r, in place."""
        met = torch.cat([way.down(z) for way in self.inner], 1)
        y = (self.small @ met.to(self.small)[..., None])[..., 0].to(z)
        for same in self.ways.values():
            first, *others = same
            u = first.up(y)
            for way in others:
                u = u + way.up(y)
            first.group.block.subtract(z, first.inverse.times(u))


def _inverse(small: Tensor, meets: Tensor) -> Tensor:
    """(1 + M W)⁻¹ M; not finite where there is none."""
    unit = torch.eye(small.shape[1], dtype=small.dtype, device=small.device)
    made, info = torch.linalg.solve_ex(unit + small @ meets, small)
    return torch.where((info == 0)[:, None, None], made, torch.nan)


def _without_group(small: Tensor, meets: Tensor, alone: Sequence[int]) -> Tensor:
    """The same with the places `alone` eliminated: M is zero between them, W beside the others.

    With N = (1 + K W_r)⁻¹ K of the others, K = M_rr − M_ra W_a M_ar, and Z = 1 − W_r N.
    """
    a = torch.as_tensor(alone, device=small.device)
    others = torch.ones(small.shape[1], dtype=torch.bool, device=small.device)
    others[a] = False
    r = others.nonzero()[:, 0]
    across, W_a, W_r = small[:, a[:, None], r], meets[:, a[:, None], a], meets[:, r[:, None], r]
    N = _inverse(small[:, r[:, None], r] - across.mT @ (W_a @ across), W_r)
    made, unit = torch.empty_like(small), torch.eye(len(r), dtype=N.dtype, device=N.device)
    cross = across @ (unit - W_r @ N)
    made[:, r[:, None], r], made[:, a[:, None], r] = N, cross
    made[:, r[:, None], a] = cross.mT
    made[:, a[:, None], a] = -(cross @ W_r @ across.mT)
    return made

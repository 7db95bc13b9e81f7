"""Mixtures of components: what counts hardly bend along, and a step should know beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fusion.engine.curvature import Curvature
from fusion.engine.fit_curvature import FitCurvature
from fusion.engine.row_blocks import Block
from fusion.engine.row_groups import WIDEST, has_rows_of_its_own
from fusion.engine.variables import Slot

SMALL = 2**12
"""Numbers of all starts together below which a few more products cost less than to know them."""
LEAST = 1e-10
"""Share of the diagonal that is added to the curvature along mixtures: some may be the same."""


class MixingCorrection:
    """z ↦ z + V (Vᵀ H V)⁻¹ Vᵀ r, where V are the K² directions C E, −S Eᵀ on the free variables.

    They change no prediction C Sᵀ: the Gauss–Newton curvature of its fits, weights as they may be,
    is zero along them. What H has there comes from penalties and damping, and from the entries that
    are held at a bound and would have to move, too. These are few: their row blocks stand for what
    the fits say of them, and no product is made. Row blocks alone leave the most stubborn part of
    a step to conjugate gradients: along V how factors meet cancels all curvature in them.

    Args:
        curvature: at this point.
        sides: of factors that mix by E (True) and by −Eᵀ (False).
        blocks: of these factors, with what damping adds to each, by name.
        free: which variables move, (start, n) of 0 and 1.
    """

    def __init__(
        self,
        curvature: Curvature,
        sides: Mapping[str, bool],
        blocks: Mapping[str, tuple[Block, Tensor]],
        free: Tensor,
    ) -> None:
        self.sides, self.blocks = sides, {name: block for name, (block, _) in blocks.items()}
        self.values = {name: curvature.values[name].detach() for name in sides}
        self.free = {name: block.view(free) for name, block in self.blocks.items()}
        bend = free.new_zeros((), dtype=torch.float64)
        for name, along in sides.items():
            one = _bend_of_mixtures(self.values[name], self._bends(curvature, name, *blocks[name]))
            bend = bend + (one if along else _turned(_turned(one).mT))
        units = [s.name for s in curvature.objective.slots if s.name in sides and _is_unit(s)]
        if not units:
            self.small = _inverse(bend)
            return
        keeps = _keeping_norms(self.values[units[0]])
        self.small = keeps @ _inverse(keeps.mT @ bend @ keeps) @ keeps.mT

    def _bends(self, curvature: Curvature, name: str, block: Block, damped: Tensor) -> Tensor:
        """Blocks of the fits where variables are held, of all else where they move."""
        moves = self.free[name]
        fits = Block(block.part, block.rows, *curvature.fits.blocks(name)).expanded()
        more = Block(block.part, block.rows, damped, block.weight).expanded()
        if curvature.penalties is not None and curvature.penalties.touches(name):
            more = more + block.expanded() - fits
        return _between(fits, 1 - moves) + _between(more, moves)

    def add(self, z: Tensor, r: Tensor) -> None:
        """Correct z, in place.

        Args:
            z: another approximate inverse times r.
            r: zero on variables that do not move, (start, n).
        """
        met = r.new_zeros(())
        for name, along in self.sides.items():
            inner = self.values[name].mT @ self.blocks[name].view(r)
            met = met + (inner if along else -inner.mT)
        E = (self.small @ met.flatten(1)[..., None].to(self.small)).view(met.shape).to(z)
        for name, along in self.sides.items():
            moved = self.values[name] @ (E if along else -E.mT)
            self.blocks[name].view(z).add_(moved * self.free[name])


def mixing_corrections(
    curvature: Curvature, blocks: Sequence[Block], damped: Sequence[Tensor], free: Tensor
) -> list[MixingCorrection]:
    """One for all factors that meet each other in products of two, some of them by counts.

    None of small problems, and where all is least squares: how factors meet is known there.

    Args:
        curvature: at this point, with its penalties.
        blocks: of every variable.
        damped: what damping adds to each.
        free: which variables move, (start, n) of 0 and 1.
    """
    if free.numel() < SMALL or all(coupling is not None for coupling in curvature.fits.coupling_of):
        return []
    slots, held = curvature.objective.slots, curvature.objective.held
    able = {
        slot.name: (slot, block, more)
        for slot, block, more in zip(slots, blocks, damped, strict=True)
        if slot.name not in held and has_rows_of_its_own(slot, block) and slot.shape[1] <= WIDEST
    }
    made = []
    for sides in mixing_sides(curvature.fits):
        if not able.keys() >= sides.keys():
            continue
        units = [name for name in sides if _is_unit(able[name][0])]
        if len(units) > 1:  # no mixture keeps the norms of both
            continue
        if units and not sides[units[0]]:
            sides = {name: not along for name, along in sides.items()}
        own = {name: able[name][1:] for name in sides}
        made.append(MixingCorrection(curvature, sides, own, free))
    return made


def mixing_sides(fits: FitCurvature) -> list[dict[str, bool]]:
    """Factors that mix together, and which way, where counts are among the fits.

    Left out are those with a part in anything but products of two factors as they are.
    """
    pairs, other = [], set(fits.pulled)
    for (_, part), coupling in zip(fits.metrics, fits.coupling_of, strict=True):
        tensors = [dict(factors or {}) for factors in fits.entering[part]]
        names = [name for factors in tensors for name in factors]
        plain = all(len(f) == 1 and None in f.values() for f in tensors) and len(set(names)) == 2
        if plain and len(tensors) == 2:
            pairs.append((names[0], names[1], coupling is None))
        else:
            other.update(names)
    other.update(n for n in fits.values if fits.rest and fits.rest.touches(n))
    return [sides for sides in map(_sides, _connected(pairs)) if sides and not sides.keys() & other]


def _connected(pairs: Sequence[tuple[str, str, bool]]) -> list[list[tuple[str, str, bool]]]:
    """Pairs that have factors in common, together."""
    parts: list[list[tuple[str, str, bool]]] = []
    for pair in pairs:
        met = [part for part in parts if any({*pair[:2]} & {*other[:2]} for other in part)]
        joined = [other for part in met for other in part]
        parts = [*(part for part in parts if part not in met), [*joined, pair]]
    return parts


def _sides(pairs: Sequence[tuple[str, str, bool]]) -> dict[str, bool]:
    """The two sides of all pairs; nothing where there are none, or no counts."""
    if not any(by_counts for *_, by_counts in pairs):
        return {}
    sides = {pairs[0][0]: True}
    for _ in pairs:
        for one, two, _ in pairs:
            for this, partner in ((one, two), (two, one)):
                if this in sides and sides.setdefault(partner, not sides[this]) == sides[this]:
                    return {}
    return sides


def _is_unit(slot: Slot) -> bool:
    return slot.module is not None and slot.module.scale_free


def _between(matrix: Tensor, mask: Tensor) -> Tensor:
    return matrix * mask[..., :, None] * mask[..., None, :]


def _bend_of_mixtures(x: Tensor, blocks: Tensor) -> Tensor:
    """Σ_i x_ia x_ic B_i,bd of the directions x E, (start, K², K²) by (a, b) and (c, d)."""
    starts, rows, K = x.shape
    pairs = (x[..., :, None] * x[..., None, :]).flatten(2)
    made = (pairs.mT @ blocks.expand(-1, rows, -1, -1).flatten(2)).double()
    return made.view(starts, K, K, K, K).transpose(2, 3).reshape(starts, K * K, K * K)


def _turned(matrix: Tensor) -> Tensor:
    """Rows (a, b) of a matrix as rows (b, a)."""
    starts, size = matrix.shape[:2]
    K = round(size**0.5)
    return matrix.view(starts, K, K, size).transpose(1, 2).reshape(starts, size, size)


def _keeping_norms(x: Tensor) -> Tensor:
    """Mixtures x E along which columns keep their norm: of each the part that does not, taken off.

    Component a into b at right angles to b, so that there are none of a component into itself.
    """
    starts, _, K = x.shape
    gram = (x.mT @ x).double()
    share = gram / gram.diagonal(dim1=1, dim2=2).clamp_min(torch.finfo(gram.dtype).tiny)[:, None]
    made = torch.eye(K * K).to(gram).repeat(starts, 1, 1).view(starts, K, K, K, K)
    k = torch.arange(K, device=x.device)
    made[:, k, k, :, k] -= share.mT.transpose(0, 1)
    return made.view(starts, K * K, K * K)


def _inverse(bend: Tensor) -> Tensor:
    """Inverse in units of the diagonal; zero where there is none."""
    diagonal = bend.diagonal(dim1=1, dim2=2)
    size = torch.where(diagonal > 0, diagonal, 1).sqrt()
    scaled = bend / size[:, :, None] / size[:, None]
    scaled = 0.5 * (scaled + scaled.mT) + torch.diag_embed(torch.where(diagonal > 0, LEAST, 1.0))
    root, info = torch.linalg.cholesky_ex(scaled)
    sound = (info == 0) & torch.isfinite(root).all((1, 2))
    unit = torch.eye(bend.shape[1]).to(bend)
    made = torch.cholesky_inverse(torch.where(sound[:, None, None], root, unit))
    return torch.where(sound[:, None, None], made / size[:, :, None] / size[:, None], 0)

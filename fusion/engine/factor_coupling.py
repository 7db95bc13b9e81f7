"""How factors meet in the fits, as low-rank terms beside the row blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusion.engine.column_maps import Entering
from fusion.engine.coupled_preconditioner import LowRankTerm, WoodburyCorrection
from fusion.engine.curvature import Curvature
from fusion.engine.row_blocks import Block
from fusion.engine.row_groups import WIDEST, RowGroup, is_raw_variable
from fusion.engine.row_inverses import RowInverses
from fusion.likelihood.metric import Coupling

MOST = 800
"""Largest size of the small matrix: what is inverted at every step."""
STIFF = 1e4
"""What holds the norms of unit columns, a multiple of the columns' own curvature."""


def woodbury_correction(
    curvature: Curvature,
    blocks: Sequence[Block],
    groups: Sequence[RowGroup],
    inverses: Sequence[RowInverses],
) -> WoodburyCorrection | None:
    """From the fits that are of low rank beside their row blocks; None where none is, or too wide.

    Args:
        curvature: at this point, with its penalties.
        blocks: of every variable.
        groups: of the variables, each with its damped block.
        inverses: of the groups' blocks on the free variables.
    """
    space = _SmallSpace(curvature, groups, inverses)
    for entering, coupling in curvature.fits.couplings():
        space.add(entering, coupling)
    if not space.parts or space.size > MOST:
        return None
    space.hold_unit_columns(blocks)
    return WoodburyCorrection(space.terms, space.matrix(), space.alone())


class _SmallSpace:
    """The low-rank terms of all factors side by side in one small vector, and M between them."""

    def __init__(
        self, curvature: Curvature, groups: Sequence[RowGroup], inverses: Sequence[RowInverses]
    ) -> None:
        self.curvature = curvature
        self.held = curvature.objective.held
        self.slots = {slot.name: slot for slot in curvature.objective.slots}
        pairs = zip(groups, inverses, strict=True)
        self.of = {name: (group, inverse) for group, inverse in pairs for name in group.names}
        self.terms: dict[tuple[str, ...], list[LowRankTerm]] = {}
        self.parts: list[tuple[Tensor, Tensor, Tensor]] = []
        """(places here, places in a matrix, that matrix)."""
        self.size = 0
        self.met_itself: set[tuple[str, ...]] = set()
        """Groups between whose own terms M is not zero."""
        self._places: dict[object, Tensor] = {}

    def add(self, entering: Sequence[Entering | None], coupling: Coupling) -> None:
        """The coupling of one prediction, as far as its tensors are made of raw variables."""
        readable, at = [], 0
        for factors, (base, weight), width in zip(
            entering, coupling.bases, coupling.sizes, strict=True
        ):
            maps = self._readable(factors or {}, base, width)
            if maps:
                readable.append(((factors, maps), base, weight, width, at))
            at += width
        if len(readable) > 1:
            here = torch.cat([self._place(*term) for *term, _ in readable])
            there = torch.cat([self._range(at, at + width) for *_, width, at in readable])
            self.parts.append((here, there, coupling.matrix))
            groups = [self.of[next(iter(maps))][0].names for (_, maps), *_ in readable]
            self.met_itself.update(names for names in groups if groups.count(names) > 1)

    def _readable(self, factors: Entering, base: Tensor | None, width: int) -> Entering:
        """The factors in a tensor that are raw variables, if they are of one group."""
        able = {
            name: B
            for name, B in factors.items()
            if name not in self.held and is_raw_variable(self.slots[name])
        }
        groups = {self.of[name][0].names for name in able}
        if len(groups) != 1:
            return {}
        group = self.of[next(iter(able))][0]
        if base is None:
            whole = group.block.rows == 1 and group.block.matrix.shape[-1] == width
            return able if whole else {}
        rows = group.block.rows == base.shape[1] and max(*base.shape[2:], *group.sizes) <= WIDEST
        shaped = all(
            self.slots[n].shape[-1] == k for n, k in zip(group.names, group.sizes, strict=True)
        )
        return able if rows and shaped else {}

    def hold_unit_columns(self, blocks: Sequence[Block]) -> None:
        """Keep columns of norm 1 from growing along themselves."""
        flat = self.curvature.flat
        for slot, block in zip(self.curvature.objective.slots, blocks, strict=True):
            group, _ = self.of[slot.name]
            if group.names in self.terms and slot.module is not None and slot.module.scale_free:
                unit, k = slot.of(flat), slot.shape[-1]
                bend = (unit * block.times(flat, block.matrix).reshape(unit.shape)).sum(1)
                here = self._place(({slot.name: None}, {slot.name: None}), unit, None, k * k)[
                    :: k + 1
                ]
                self.parts.append((here, self._range(0, k), STIFF * torch.diag_embed(bend)))
                self.met_itself.add(group.names)

    def alone(self) -> list[int]:
        """Places of the largest group of factors that meets others only; none: an empty list."""
        places = {
            names: [at for term in terms for at in range(term.part.start, term.part.stop)]
            for names, terms in self.terms.items()
            if names not in self.met_itself
        }
        return max(places.values(), key=len, default=[])

    def matrix(self) -> Tensor:
        """M, (start, size, size), float64."""
        flat = self.curvature.flat
        small = flat.new_zeros(len(flat), self.size, self.size, dtype=torch.float64)
        for here, there, matrix in self.parts:
            small[:, here[:, None], here] += matrix[:, there[:, None], there]
        return small

    def _place(
        self,
        factors: tuple[Entering | None, Entering],
        base: Tensor | None,
        weight: Tensor | None,
        width: int,
    ) -> Tensor:
        """Where a term lies in the small vector: the factors in a tensor, and those that move."""
        tensor, maps = factors
        same = frozenset((n, None if B is None else id(B)) for n, B in (tensor or {}).items())
        key = same, None if weight is None else id(weight)
        if key not in self._places:
            part = slice(self.size, self.size + width)
            self.size += width
            self._places[key] = self._range(part.start, part.stop)
            group, inverse = self.of[next(iter(maps))]
            select = None if base is None else group.columns(maps, base.shape[-1])
            base = base if base is None or weight is None else base * weight[:, None]
            term = LowRankTerm(group, inverse, base, select, part)
            self.terms.setdefault(group.names, []).append(term)
        return self._places[key]

    def _range(self, start: int, stop: int) -> Tensor:
        return torch.arange(start, stop, device=self.curvature.flat.device)

"""Slopes of the two sides of predictions ⟦L, R⟧ along variables, in ranges of pixels on threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fusion.algebra.threads import shared_workers
from fusion.engine.autograd import autograd
from fusion.engine.directional import slopes_along
from fusion.engine.objective import Objective
from fusion.engine.variables import Slot, Values
from fusion.language.model import Model
from fusion.language.remembered import remembering

AT_ONCE = 2**18
"""Slopes of a range of pixels, about: its own cache then serves a core."""
LEAST = 32
"""Pixels of a range, at least."""
Sides = list[Tensor]
"""Left and right of every fit's prediction, in turns."""


class Moved(NamedTuple):
    """Slopes of a side along the directions that move it.

    Attributes:
        which: (some,) of the directions; slopes: (some, *side).
    """

    which: Tensor
    slopes: Tensor


class Group(NamedTuple):
    """Variables that move the same sides, and which their directions are in the order of all."""

    moving: tuple[bool, ...]
    slots: list[Slot]
    which: list[Tensor]


class SideSlopes:
    """What moves the sides, and how.

    Args:
        objective: its predictions are matrices (pixel, channel) of two factors.
        maps: variables that are matrices over the pixels, moved or held.
        rows: those of them that are followed, a direction for every column, as pixels do not meet.
        few: others that are followed, a direction for every entry.
    """

    def __init__(
        self,
        objective: Objective,
        maps: Sequence[Slot],
        rows: Sequence[Slot],
        few: Sequence[Slot],
    ) -> None:
        self.objective, self.maps, self.rows, self.few = objective, maps, rows, few
        self.row_names = {slot.name for slot in rows}
        self.spare: list[Model] = [objective.model]
        """One for every thread, as a model holds what it is asked with."""
        self.forms: list[Any] = []
        """Data of the fits, as they meet the predictions."""
        self.groups: list[Group] | None = None
        self.alone = False
        """Whether the model gives the sides of some pixels as it does those of all."""
        self.step = LEAST
        self.ranges: list[slice] = []
        self.some: Tensor | None = None
        """Which pixels; None: all."""

    def among(self, some: Tensor) -> SideSlopes:
        """Of some pixels, where they can be taken alone: `alone` says so, after a first look."""
        other = copy(self)
        other.some = some if self.some is None else self.some[some]
        other.forms = [form.rows(some) for form in self.forms]
        other.ranges = other._ranges(len(some))
        return other

    def of(self, flat: Tensor) -> tuple[Sides, list[Moved], list[Moved]]:
        """(sides, their slopes along the rows' variables, along the few) at one start, (n,).

        Variables that move the same sides are followed together, all others being numbers.
        """
        raws = {slot.name: slot.of(flat[None])[0] for slot in self.objective.slots}
        values = self._values(raws)
        if self.groups is None:
            self._prepare(raws, values)
        assert self.groups is not None
        if self.some is not None:
            raws, values = self._on(raws, self.some), self._on(values, self.some)
        turning = [group for group in self.groups if not any(group.moving[1::2])]
        bending = [group for group in self.groups if any(group.moving[1::2])]
        workers, sides = shared_workers(), [[] for _ in self.ranges]
        while len(self.spare) < min(workers.count, len(bending) + len(self.ranges)):
            self.spare.append(deepcopy(self.objective.model))
        bent: list[Sides] = [[] for _ in bending]
        turned: list[list[Sides]] = [[] for _ in self.ranges]

        def task(place: int) -> None:
            with self._model() as model:
                if place < len(bent):
                    bent[place] = self._pushed(model, raws, values, bending[place].slots)
                    return
                part = place - len(bent)
                some = self.ranges[part]
                own_raws, own_values = self._on(raws, some), self._on(values, some)
                with torch.no_grad(), remembering():
                    sides[part] = _predicted(model, self._names, own_values)
                turned[part] = [
                    self._pushed(model, own_raws, own_values, group.slots, left_alone=True)
                    for group in turning
                ]

        workers.share(task, len(bent) + len(self.ranges))
        whole = [
            torch.cat([part[i] for part in sides]) if i % 2 == 0 else sides[0][i]
            for i in range(len(sides[0]))
        ]
        made: list[list[Moved]] = [[] for _ in whole]
        for n, group in enumerate(turning):
            for i in range(0, len(whole), 2):
                parts = [turned[part][n][i // 2] for part in range(len(self.ranges))]
                self._note(made[i], group, i, torch.cat(parts, 1) if len(parts) > 1 else parts[0])
        for group, pushed in zip(bending, bent, strict=True):
            for i, slopes in enumerate(pushed):
                self._note(made[i], group, i, slopes)
        width = sum(slot.shape[1] for slot in self.rows)
        apart = [_split(_joined(parts, s), width) for parts, s in zip(made, whole, strict=True)]
        return whole, [rows for rows, _ in apart], [few for _, few in apart]

    @staticmethod
    def _note(into: list[Moved], group: Group, side: int, slopes: Tensor) -> None:
        if group.moving[side]:
            into.append(Moved(torch.cat(group.which).to(slopes.device), slopes))

    def apart(self, flat: Tensor) -> bool:
        """Whether maps move the left sides alone, each pixel its own row."""
        raws = {slot.name: slot.of(flat[None])[0] for slot in self.objective.slots}
        values = self._values(raws)
        for slot in self.rows:
            direction = torch.zeros_like(raws[slot.name])
            direction[::2] = 1
            pushed = self._pushed(
                self.objective.model, raws, values, [slot], directions=[direction[None]]
            )
            if any(bool(side.any()) for side in pushed[1::2]):
                return False
            if any(bool(side[0, 1::2].any()) for side in pushed[::2]):
                return False
        return True

    # ---- what is known of the model --------------------------------------------------------------

    @property
    def _names(self) -> list[str]:
        """Data sets of the fits."""
        return [term.dataset.name for _, _, term in self.objective.loss.fits]

    def _prepare(self, raws: Values, values: Values) -> None:
        """Which sides every variable moves, and the ranges of pixels that can be taken alone."""
        model, followed = self.objective.model, [*self.rows, *self.few]
        with autograd():
            leaves = {slot.name: raws[slot.name].detach().requires_grad_() for slot in followed}
            with model.once(values | self._values(leaves)):
                pairs = [term.pair(model) for _, _, term in self.objective.loss.fits]
            self.forms = [form for form, _ in pairs]
            sides = [side for _, prediction in pairs for side in prediction.two_way()]
            met = [
                torch.autograd.grad(
                    side.sum(), list(leaves.values()), retain_graph=True, allow_unused=True
                )
                if side.requires_grad
                else [None] * len(leaves)
                for side in sides
            ]
        groups: dict[tuple[bool, ...], Group] = {}
        at = 0
        for place, slot in enumerate(followed):
            moving = tuple(slopes[place] is not None for slopes in met)
            group = groups.setdefault(moving, Group(moving, [], []))
            count = (
                slot.shape[1] if slot.name in self.row_names else slot.part.stop - slot.part.start
            )
            group.slots.append(slot)
            group.which.append(torch.arange(at, at + count))
            at += count
        self.groups = [group for group in groups.values() if any(group.moving)]
        columns = max((side.shape[1] for side in sides), default=1)
        self.step = max(LEAST, AT_ONCE // max(at * columns, 1))
        self.alone = self._stand_alone([side.detach() for side in sides], values)
        pixels = len(sides[0]) if sides else 0
        self.ranges = self._ranges(pixels) if self.alone else [slice(0, pixels)]

    def _stand_alone(self, sides: Sides, values: Values) -> bool:
        """Whether pixels at either end of the map have the sides that they have among all."""
        pixels = len(sides[0]) if sides else 0
        if pixels < 2 * LEAST or any(len(values[slot.name]) != pixels for slot in self.maps):
            return False
        for some in (slice(0, LEAST), slice(pixels - LEAST, pixels)):
            try:
                with torch.no_grad():
                    found = _predicted(self.objective.model, self._names, self._on(values, some))
            except (RuntimeError, ValueError, IndexError):
                return False  # a model that counts its pixels
            same = [side[some] if i % 2 == 0 else side for i, side in enumerate(sides)]
            if not all(map(_alike, found, same)):
                return False
        return True

    def _ranges(self, pixels: int) -> list[slice]:
        """As long as a core's cache has them side by side; one on a GPU."""
        on_cpu = self.objective.like.device.type == "cpu"
        number = max(1, pixels // self.step) if on_cpu else 1
        ends = [pixels * i // number for i in range(number + 1)]
        return [slice(a, b) for a, b in pairwise(ends)]

    def _on(self, values: Values, some: slice | Tensor) -> Values:
        """Values, or raw variables, of some pixels."""
        return dict(values) | {slot.name: values[slot.name][some] for slot in self.maps}

    @contextmanager
    def _model(self) -> Iterator[Model]:
        """A model that no other thread uses now."""
        model = self.spare.pop()
        try:
            yield model
        finally:
            self.spare.append(model)

    # ---- slopes ----------------------------------------------------------------------------------

    def _values(self, raws: Values) -> Values:
        """Values of raw variables of one start, by name, of all or of some."""
        return {
            slot.name: raws[slot.name]
            if slot.module is None
            else slot.module.constrain(raws[slot.name])
            for slot in self.objective.slots
            if slot.name in raws
        }

    def _pushed(
        self,
        model: Model,
        raws: Values,
        values: Values,
        slots: Sequence[Slot],
        directions: Sequence[Tensor] | None = None,
        left_alone: bool = False,
    ) -> Sides:
        """Slopes of all sides, or of the left ones alone, along the directions of some slots."""
        at = tuple(raws[slot.name] for slot in slots)
        if directions is None:
            directions = [
                _columns(raw) if slot.name in self.row_names else _entries(raw)
                for slot, raw in zip(slots, at, strict=True)
            ]
        total, start, tangents = sum(map(len, directions)), 0, []
        for own in directions:
            whole = own.new_zeros(total, *own.shape[1:])
            whole[start : start + len(own)] = own
            tangents.append(whole)
            start += len(own)

        def sides(*some: Tensor) -> tuple[Tensor, ...]:
            names = [slot.name for slot in slots]
            moved = self._values(dict(zip(names, some, strict=True)))
            found = _predicted(model, self._names, values | moved)
            return tuple(found[::2] if left_alone else found)

        return slopes_along(sides, at, tangents)


def _predicted(model: Model, names: Sequence[str], values: Values) -> Sides:
    """Sides of the predictions at these values."""
    with model.once(values):
        predictions = model.predict()
        return [side for name in names for side in predictions[name].two_way()]


def _alike(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-9, atol=0)


def _columns(raw: Tensor) -> Tensor:
    """A direction for every column, of all rows at once, (column, row, column)."""
    unit = torch.eye(raw.shape[1], dtype=raw.dtype, device=raw.device)
    return unit[:, None].expand(-1, len(raw), -1).contiguous()


def _entries(raw: Tensor) -> Tensor:
    """A direction for every entry."""
    return torch.eye(raw.numel(), dtype=raw.dtype, device=raw.device).reshape(-1, *raw.shape)


def _split(made: Moved, first: int) -> tuple[Moved, Moved]:
    """Those along the first so many directions, and the others, counted anew."""
    n = int((made.which < first).sum())
    if not bool((made.which[:n] < first).all()):
        order = (made.which >= first).to(torch.uint8).argsort(stable=True)
        made = Moved(made.which[order], made.slopes[order])
    which, slopes = made
    return Moved(which[:n], slopes[:n]), Moved(which[n:] - first, slopes[n:])


def _joined(parts: list[Moved], side: Tensor) -> Moved:
    """Slopes of a side that were followed apart."""
    if not parts:
        nothing = torch.zeros(0, dtype=torch.long, device=side.device)
        return Moved(nothing, side.new_zeros(0, *side.shape))
    if len(parts) == 1:
        return parts[0]
    return Moved(torch.cat([p.which for p in parts]), torch.cat([p.slopes for p in parts]))

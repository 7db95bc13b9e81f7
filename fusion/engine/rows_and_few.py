"""Gauss–Newton equations of pixels that meet in nothing but a few other variables.

Where a fit's prediction is ⟦L, R⟧ (`two_way`), the few variables may enter both, and a pixel's own
variables its row of L alone. With J = (J_rows | J_few) the curvature Jᵀ D J is an arrow: a small
block for every pixel, a border, and a corner. D is the expected curvature of the loss, ℓ''(m, m).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.axis import length
from fusion.engine.arrow_sums import FitSums, Moved, Order
from fusion.engine.directional import curvature, curvature_product, gradient, slopes_along
from fusion.engine.objective import Objective
from fusion.engine.variables import Slot, States, Values
from fusion.language.prior import as_surrogate
from fusion.language.remembered import remembering

SPARSE = 0.02
"""Share of entries that are not zero below which they are read alone."""
Sides = list[Tensor]
"""Left and right of every fit's prediction, in turns."""


@dataclass
class Arrow:
    """Gradient and curvature of one start.

    Attributes:
        rows: (pixel, r, r) blocks; border: (pixel, r, few); corner: (few, few).
        row_gradient: (pixel, r); few_gradient: (few,).
    """

    rows: Tensor
    border: Tensor
    corner: Tensor
    row_gradient: Tensor
    few_gradient: Tensor

    def times(self, rows: Tensor, few: Tensor) -> tuple[Tensor, Tensor]:
        """The curvature times (pixel, r) and (few,)."""
        along = torch.einsum("prs,ps->pr", self.rows, rows) + self.border @ few
        across = self.border.flatten(0, 1).T @ rows.flatten() + self.corner @ few
        return along, across


class RowsAndFew:
    """The variables of an objective as rows of maps and the few others.

    Args:
        objective: whose maps are `row_slots`, raw variables that are values (clamped at a bound).
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.row_slots = [s for s in objective.slots if over_pixels(objective, s)]
        known = {slot.name for slot in self.row_slots}
        self.few_slots = [s for s in objective.slots if s.name not in known | objective.held]
        self.row_slots = [s for s in self.row_slots if s.name not in objective.held]
        self.pixels = self.row_slots[0].shape[0] if self.row_slots else 0
        self.width = sum(slot.shape[1] for slot in self.row_slots)
        self.moving: dict[str, tuple[bool, ...]] = {}
        self.forms: list[Any] = []
        """Data of the fits, as they meet the predictions whose `sides` were made last."""
        names = {slot.name for slot in self.row_slots}
        penalties = [term for _, _, term in objective.loss.penalties]
        self.tied = any(about_rows(objective, term, names) for term in penalties)
        """Whether penalties are about rows: then these do not stand each by itself."""

    @cached_property
    def few(self) -> Tensor:
        """Places of the few in a flat vector, (few,)."""
        return self.places_of(self.few_slots)

    @cached_property
    def places(self) -> Tensor:
        """Places of the rows in a flat vector, (pixel, r)."""
        device = self.objective.like.device
        parts = [
            torch.arange(s.part.start, s.part.stop, device=device).reshape(s.shape)
            for s in self.row_slots
        ]
        return torch.cat(parts, 1)

    def joined(self, rows: Tensor, few: Tensor, like: Tensor) -> Tensor:
        """(n,) of what belongs to rows (pixel, r) and to the few; 0 elsewhere."""
        made = torch.zeros_like(like)
        made[self.places], made[self.few] = rows.to(made), few.to(made)
        return made

    def places_of(self, slots: Sequence[Slot]) -> Tensor:
        """Places of variables in a flat vector."""
        device = self.objective.like.device
        parts = [torch.arange(s.part.start, s.part.stop, device=device) for s in slots]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.long, device=device)

    def sides(self, values: Values) -> Sides:
        """Left and right of every fit's prediction at the values of one start."""
        model = self.objective.model
        with model.once(values):
            pairs = [term.pair(model) for _, _, term in self.objective.loss.fits]
        self.forms = [form for form, _ in pairs]
        return [side for _, prediction in pairs for side in prediction.two_way()]

    def penalty_gradient(self, flat: Tensor, states: States) -> Tensor:
        """Of all penalties, (n,)."""
        return gradient(lambda x: self._penalties("penalties", x, states), flat)

    def penalty_product(self, flat: Tensor, states: States) -> Callable[[Tensor], Tensor]:
        """The curvature of all penalties times (n,)."""
        return curvature_product(lambda x: self._penalties("penalty_curvature", x, states), flat)

    def _penalties(self, which: str, flat: Tensor, states: States) -> Tensor:
        values = self.objective.values(flat[None])
        return getattr(self.objective, which)(values, states).sum()

    def slopes(self, flat: Tensor) -> tuple[Sides, list[Moved], list[Moved]]:
        """(sides, their slopes along the rows' variables, along the few).

        Variables that move the same sides are followed together, all others being numbers.
        """
        raws = {slot.name: slot.of(flat[None])[0] for slot in self.objective.slots}
        values = self._values(raws)
        with remembering():
            sides = [side.detach() for side in self.sides(values)]
        asked = [(slot, _columns(raws[slot.name])) for slot in self.row_slots]
        asked += [(slot, _entries(raws[slot.name])) for slot in self.few_slots]
        apart = [_split(made, self.width) for made in self._along(raws, values, sides, asked)]
        return sides, [rows for rows, _ in apart], [few for _, few in apart]

    def _values(self, raws: Values) -> Values:
        """Values of raw variables of one start, by name, of all or of some."""
        return {
            slot.name: raws[slot.name]
            if slot.module is None
            else slot.module.constrain(raws[slot.name])
            for slot in self.objective.slots
            if slot.name in raws
        }

    def _along(
        self, raws: Values, values: Values, sides: Sides, asked: list[tuple[Slot, Tensor]]
    ) -> list[Moved]:
        """Slopes of the sides along directions of some variables, counted in their order."""
        made: list[list[Moved]] = [[] for _ in sides]
        alike: dict[tuple[bool, ...], list[tuple[Slot, Tensor, int]]] = {}
        at = 0
        for slot, directions in asked:
            alike.setdefault(self._moves(slot, raws, values), []).append((slot, directions, at))
            at += len(directions)
        for moving, group in alike.items():
            pushed = self._pushed(raws, values, [(slot, d) for slot, d, _ in group])
            which = torch.cat([torch.arange(start, start + len(d)) for _, d, start in group])
            for into, slope, moves in zip(made, pushed, moving, strict=True):
                if moves:
                    into.append(Moved(which.to(slope.device), slope))
        return [_all_of(parts, side) for parts, side in zip(made, sides, strict=True)]

    def _pushed(self, raws: Values, values: Values, asked: list[tuple[Slot, Tensor]]) -> Sides:
        """The same of variables that are followed together."""
        names = [slot.name for slot, _ in asked]
        at = tuple(raws[name] for name in names)
        tangents, total = [], sum(len(d) for _, d in asked)
        start = 0
        for _, directions in asked:
            whole = directions.new_zeros(total, *directions.shape[1:])
            whole[start : start + len(directions)] = directions
            tangents.append(whole)
            start += len(directions)

        def sides(*some: Tensor) -> tuple[Tensor, ...]:
            moved = self._values(dict(zip(names, some, strict=True)))
            return tuple(self.sides(values | moved))

        return slopes_along(sides, at, tangents)

    def _moves(self, slot: Slot, raws: Values, values: Values) -> tuple[bool, ...]:
        """Which sides a variable moves, found once."""
        if slot.name not in self.moving:
            generator = torch.Generator().manual_seed(0)
            raw = raws[slot.name]
            direction = torch.rand(raw.shape, generator=generator, dtype=torch.float64).to(raw)
            pushed = self._pushed(raws, values, [(slot, direction[None])])
            self.moving[slot.name] = tuple(bool(slope.any()) for slope in pushed)
        return self.moving[slot.name]

    def apart(self) -> bool:
        """Whether maps move the left sides alone, each pixel its own row."""
        flat = self.objective.current()
        raws = {slot.name: slot.of(flat)[0] for slot in self.objective.slots}
        values = self._values(raws)
        for slot in self.row_slots:
            direction = torch.zeros_like(raws[slot.name])
            direction[::2] = 1
            pushed = self._pushed(raws, values, [(slot, direction[None])])
            if any(bool(side.any()) for side in pushed[1::2]):
                return False
            if any(bool(side[0, 1::2].any()) for side in pushed[::2]):
                return False
        return True

    def arrow(self, flat: Tensor, states: States, observed: bool = False) -> Arrow:
        """Gradient and curvature of all fits, and of beliefs about the few, at one start (n,).

        Args:
            states: lagged pieces, of this start alone, (1, …).
            observed: the curvature of the data as they are, which is right near a minimum. Else the
                expected one, which leads there from afar.
        """
        sides, by_rows, by_few = self.slopes(flat)
        r, few = self.width, len(self.few)
        made = Arrow(
            flat.new_zeros(self.pixels, r, r),
            flat.new_zeros(self.pixels, r, few),
            flat.new_zeros(few, few),
            flat.new_zeros(self.pixels, r),
            flat.new_zeros(few),
        )
        for fit, (i, weight, term) in enumerate(self.objective.loss.fits):
            lagged = {name: value[0] for name, value in states[i].items()}
            scale = float(weight) * float(torch.as_tensor(term.scale(lagged)))
            left, right = sides[2 * fit : 2 * fit + 2]
            slopes = by_rows[2 * fit], by_few[2 * fit], by_few[2 * fit + 1]
            form, loss = self.forms[fit], term.entrywise
            self._add_fit(made, form, loss, scale, left, right, *slopes, observed=observed)
        if not self.tied:
            self._add_penalties(made, flat, states)
        return made

    def _add_penalties(self, made: Arrow, flat: Tensor, states: States) -> None:
        """Those about the few."""
        few = self.few
        if not self.objective.loss.penalties or not len(few):
            return

        def of(which: str) -> Callable[[Tensor], Tensor]:
            return lambda x: self._penalties(which, flat.index_put((few,), x), states)

        made.few_gradient += gradient(of("penalties"), flat[few])
        made.corner += curvature(of("penalty_curvature"), flat[few])

    def _add_fit(
        self,
        made: Arrow,
        form: Any,
        loss: Any,
        scale: float,
        left: Tensor,
        right: Tensor,
        row_left: Moved,
        few_left: Moved,
        few_right: Moved,
        observed: bool,
    ) -> None:
        unbent = not len(few_left.which) and not len(few_right.which)
        if observed and unbent and _sparse(form, loss):
            self._add_counts(made, form, loss, scale, left, right, row_left)
            return
        order = Order.of(row_left, few_left, few_right)
        sums = FitSums(loss, scale, left, right, order, observed)
        total = sums.nothing(len(left))
        for rows, x in form.blocks(left.dtype):
            sums.add(total, 0, rows, x, form.weights.chunk(rows, form.shape))
        rows, few, r = order.row_which, order.few_which, order.rows
        made.row_gradient[:, rows] += torch.einsum("rpl,pl->pr", row_left.slopes, total.left)
        for slopes, pulled in ((few_left, total.left), (few_right, total.right)):
            if len(slopes.which):
                made.few_gradient[slopes.which] += slopes.slopes.flatten(1) @ pulled.flatten()
        made.rows[:, rows[:, None], rows] += total.rows[:, :, :r]
        made.border[:, rows[:, None], few] += total.rows[:, :, r:]
        made.corner[few[:, None], few] += total.corner

    def _add_counts(
        self,
        made: Arrow,
        form: Any,
        loss: Any,
        scale: float,
        left: Tensor,
        right: Tensor,
        row_left: Moved,
    ) -> None:
        """The same of rows alone, from the counts that are not zero."""
        rows = row_left.which
        entries, weights = form.entries(), form.weights
        m = entries.sample(left, right)
        own = torch.stack([entries.sample(slope, right) for slope in row_left.slopes], 1)
        weight = torch.full_like(m, scale)
        for w, index in ((weights.rows, entries.i), (weights.cols, entries.j)):
            weight = weight if w is None else weight * w.index_select(0, index)
        slope, bend = loss.bends(entries.x, m)
        total = right.sum(0) if weights.cols is None else weights.cols @ right
        mean = scale * loss.linear * (row_left.slopes @ total).T
        mean = mean if weights.rows is None else mean * weights.rows[:, None]
        pulled = mean.index_add(0, entries.i, own * (weight * slope)[:, None])
        bent = (own * (weight * bend)[:, None])[:, :, None] * own[:, None]
        blocks = bent.new_zeros(self.pixels, *bent.shape[1:]).index_add_(0, entries.i, bent)
        made.row_gradient[:, rows] += pulled
        made.rows[:, rows[:, None], rows] += blocks


def _sparse(form: Any, loss: Any) -> bool:
    """Whether the entries that are not zero are few, and all that a loss asks for."""
    return bool(loss.vanishes_at_zero and form.rank_one and form.density < SPARSE)


def about_rows(objective: Objective, term: Any, names: set[str]) -> bool:
    """Whether a penalty depends on factors of these names."""
    factor = getattr(term, "factor", None)
    if factor is not None or not names:
        return factor in names
    own = set(getattr(term, "names", ()))
    if own:
        return bool(own & names)
    values = {
        n: v.detach()[0].requires_grad_() for n, v in objective.values(objective.current()).items()
    }
    with torch.enable_grad(), objective.model.once(values):
        surrogate = as_surrogate(term)
        loss = surrogate.value(objective.model, surrogate.refresh(objective.model, {}, {}))
    found = torch.autograd.grad(loss, [values[n] for n in names], allow_unused=True)
    return any(g is not None for g in found)


def over_pixels(objective: Objective, slot: Slot) -> bool:
    """Whether a variable is a matrix over the pixels of a fit's data, one row for each."""
    axes = None if slot.module is None else slot.module.axes[0]
    if axes is None or len(slot.shape) != 2:
        return False
    pixels = prod(length(axis) for axis in axes)
    return any(
        axes != term.dataset.channels and pixels == _rows_of(term)
        for _, _, term in objective.loss.fits
    )


def _rows_of(term: Any) -> int:
    """Pixels of what a fit reads."""
    return (term.dataset.matrix_shape if term.instead is None else term.instead.shape)[0]


def _columns(raw: Tensor) -> Tensor:
    """A direction for every column, of all rows at once, (column, row, column)."""
    unit = torch.eye(raw.shape[1], dtype=raw.dtype, device=raw.device)
    return unit[:, None].expand(-1, len(raw), -1).contiguous()


def _entries(raw: Tensor) -> Tensor:
    """A direction for every entry."""
    return torch.eye(raw.numel(), dtype=raw.dtype, device=raw.device).reshape(-1, *raw.shape)


def _split(made: Moved, first: int) -> tuple[Moved, Moved]:
    """Those along the first so many directions, and the others, counted anew."""
    early = made.which < first
    n = int(early.sum())
    if bool(early[:n].all()):  # as they are where they stand in order
        parts = Moved(made.which[:n], made.slopes[:n]), Moved(made.which[n:], made.slopes[n:])
    else:
        parts = (
            Moved(made.which[early], made.slopes[early]),
            Moved(made.which[~early], made.slopes[~early]),
        )
    return parts[0], Moved(parts[1].which - first, parts[1].slopes)


def _all_of(parts: list[Moved], side: Tensor) -> Moved:
    """Slopes of a side that were followed apart."""
    if not parts:
        nothing = torch.zeros(0, dtype=torch.long, device=side.device)
        return Moved(nothing, side.new_zeros(0, *side.shape))
    if len(parts) == 1:
        return parts[0]
    return Moved(torch.cat([p.which for p in parts]), torch.cat([p.slopes for p in parts]))

"""Gauss–Newton equations of pixels that meet in nothing but a few other variables.

Where a fit's prediction is ⟦L, R⟧ (`two_way`), the few variables may enter both, and a pixel's own
variables its row of L alone. With J = (J_rows | J_few) the curvature Jᵀ D J is an arrow: a small
block for every pixel, a border, and a corner. D is the expected curvature of the loss, ℓ''(m, m).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
from torch import Tensor

from fusion.algebra.axis import length
from fusion.engine.arrow_sums import FitSums, Order
from fusion.engine.directional import curvature, curvature_product, gradient
from fusion.engine.objective import Objective
from fusion.engine.side_slopes import Moved, SideSlopes
from fusion.engine.variables import Slot, States
from fusion.language.prior import as_surrogate

Penalty = tuple[int, float, Any]
"""Place in the loss, weight, and the term."""

SPARSE = 0.02
"""Share of entries that are not zero below which they are read alone."""


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
        maps = [s for s in objective.slots if over_pixels(objective, s)]
        known = {slot.name for slot in maps}
        self.few_slots = [s for s in objective.slots if s.name not in known | objective.held]
        self.row_slots = [s for s in maps if s.name not in objective.held]
        self.pixels = self.row_slots[0].shape[0] if self.row_slots else 0
        self.width = sum(slot.shape[1] for slot in self.row_slots)
        self.sides = SideSlopes(objective, maps, self.row_slots, self.few_slots)
        penalties = objective.loss.penalties
        self.tying = self._about(penalties, self.row_slots)
        """Penalties about rows: with them these do not stand each by itself."""
        tying = {place for place, _, _ in self.tying}
        others = [each for each in penalties if each[0] not in tying]
        self.believed = self._about(others, self.few_slots)
        """Those about the few alone."""

    def _about(self, penalties: Sequence[Penalty], slots: Sequence[Slot]) -> list[Penalty]:
        names = {slot.name for slot in slots}
        return [each for each in penalties if about_rows(self.objective, each[2], names)]

    @property
    def tied(self) -> bool:
        """Whether penalties tie rows together."""
        return bool(self.tying)

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

    def tying_product(self, flat: Tensor, states: States) -> Callable[[Tensor], Tensor]:
        """The curvature of the penalties that tie rows together times (n,)."""
        return curvature_product(lambda x: self._sum(self.tying, "curvature", x, states), flat)

    def _sum(
        self, penalties: Sequence[Penalty], which: str, flat: Tensor, states: States
    ) -> Tensor:
        """Of some penalties, "value" or "curvature"."""
        parts = [(i, weight, getattr(term, which)) for i, weight, term in penalties]
        return self.objective.each(parts, self.objective.values(flat[None]), states).sum()

    def among(self, some: Tensor) -> RowsAndFew:
        """Rows of some pixels, the others being numbers; all, where they cannot be taken alone.

        Known once an arrow was made. Nothing but fits that do not meet in a few variables.
        """
        if not self.sides.alone:
            return self
        other = copy(self)
        other.sides, other.places = self.sides.among(some), self.places[some]
        other.pixels = len(some)
        return other

    def apart(self) -> bool:
        """Whether maps move the left sides alone, each pixel its own row."""
        return self.sides.apart(self.objective.current()[0])

    def arrow(self, flat: Tensor, states: States, observed: bool = False) -> Arrow:
        """Gradient and curvature of all fits, and of beliefs about the few, at one start (n,).

        Of penalties that tie rows the gradient is in it; for their curvature see `tying_product`.

        Args:
            states: lagged pieces, of this start alone, (1, …).
            observed: the curvature of the data as they are, which is right near a minimum. Else the
                expected one, which leads there from afar.
        """
        sides, by_rows, by_few = self.sides.of(flat)
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
            form, loss = self.sides.forms[fit], term.entrywise
            self._add_fit(made, form, loss, scale, left, right, *slopes, observed=observed)
        if self.believed:
            self._add_beliefs(made, flat, states)
        if self.tied:
            pull = gradient(lambda x: self._sum(self.tying, "value", x, states), flat)
            made.row_gradient += pull[self.places]
            made.few_gradient += pull[self.few]
        return made

    def _add_beliefs(self, made: Arrow, flat: Tensor, states: States) -> None:
        """Those about the few alone."""
        few = self.few

        def of(which: str) -> Callable[[Tensor], Tensor]:
            return lambda x: self._sum(self.believed, which, flat.index_put((few,), x), states)

        made.few_gradient += gradient(of("value"), flat[few])
        made.corner += curvature(of("curvature"), flat[few])

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
        total = FitSums(loss, scale, left, right, order, observed).of(form)
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

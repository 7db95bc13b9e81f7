"""Alternating projected Newton steps, row by row: for counts, most of which are zero."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.engine.objective import Objective
from fusion.engine.variables import Slot, States, Values
from fusion.likelihood.compiled_passes import compiles
from fusion.likelihood.data_passes import EntryPasses
from fusion.likelihood.metric import Entrywise
from fusion.likelihood.passes import passes
from fusion.solvers.alternating import Alternating, allowed
from fusion.solvers.base import SCOUTED
from fusion.solvers.compiled_descent import CompiledDescent
from fusion.solvers.coordinate_descent import coordinate_descent
from fusion.solvers.count_sweeps import CountSweeps
from fusion.solvers.gauss_newton import GaussNewton
from fusion.solvers.least_squares import known_held
from fusion.solvers.track import Track

FEWEST = 10
"""Non-zero counts for every unknown from which on passes of torch are worth it."""
INSIDE = 0.1
"""Share of an entry that an extrapolation leaves at least: a likelihood ends at zero."""


@checked_class
@dataclass(frozen=True)
class RowNewton(Alternating):
    """Every factor by turns: a Newton step within the bounds for each of its rows.

    Given the others, the rows of a factor are problems of their own, K numbers each. Under one step
    length for all, a single row whose prediction nears zero holds up everything. For `Poisson`, and
    models in which factors enter predictions as they are.

    Compiled passes (numba, extra `fast`) read each count once a turn, and a step of theirs never
    raises the loss of its row; beside the fits they take terms that are quadratic row by row
    (`L1`, `SquaredNorm`). Where factors by turns come forward slowly, all move at once, by
    `GaussNewton`. Passes of torch, which serve without numba, on a GPU and in single precision, are
    for counts that are mostly zeros.

    With one count for every unknown, or fewer, its worst starts end higher than those of
    `GaussNewton`, which sees all factors at once and takes four to twelve times as long; half of
    them end lower, and from some two counts on both end alike.

    Args:
        sweeps: over the K numbers of a row, to solve its Newton step within the bounds.
        inner: end them when one changes the factor by less than this share of the first.
        extrapolation: β at the start; 0 for none.
        tolerance: stop when the loss falls by less than this share over `window` steps.
        window: steps over which the change is taken.
        max_steps: unless `fit` says otherwise.

    References:
        Hansen, Plantenga & Kolda, Optim. Methods Softw. 30:1002 (2015), of the same kind.
    """

    approached: ClassVar[bool] = False
    wants: ClassVar[str] = "a fit with `entrywise`"
    sweeps: int = 6
    inner: float = 0.1
    extrapolation: float = 0.5
    tolerance: float = 1e-9
    window: int = 5
    max_steps: int = 1000

    def check(self, objective: Objective) -> None:
        super().check(objective)
        values = {k: v.detach() for k, v in objective.values(objective.current()).items()}
        with torch.no_grad():
            _, closed_forms = objective.closed(values)
        if len(closed_forms) < len(objective.loss.fits) or any(
            None in names for *_, names in closed_forms
        ):
            raise ValueError(
                "`RowNewton`: a prediction is no product of factors as they are: "
                "use `GaussNewton()`."
            )
        for i, form, kind, _ in closed_forms:
            loss = objective.loss.surrogates[i][1].entrywise  # pyright: ignore[reportAttributeAccessIssue]
            if kind is not Entrywise or isinstance(passes(form, loss, objective.like), EntryPasses):
                raise ValueError("`RowNewton`: for counts, mostly zeros: use `GaussNewton()`.")
        if objective.loss.penalties and CountSweeps.of(objective, self.order(objective)) is None:
            told = ", ".join(f"`{term}`" for _, _, term in objective.loss.penalties)
            raise ValueError(
                f"`RowNewton`: beside fits terms that are quadratic row by row, of factors without "
                f"unit columns, and numba installed; here {told}: use `GaussNewton()`."
            )

    @classmethod
    def suited(cls, objective: Objective) -> bool:
        """Whether it is the method of choice: counts alone, most of them zero or compiled."""
        entries, compiled = 0, True
        with torch.no_grad(), objective.model.once():
            for _, _, term in objective.loss.fits:
                closed_form = term.closed(objective.model)
                loss = term.entrywise
                if closed_form is None or closed_form[1] is not Entrywise or loss is None:
                    return False
                form = closed_form[0]
                entries += round(form.density * prod(form.shape))
                compiled &= compiles(form, loss, objective.like)
        if entries < FEWEST * objective.size and not compiled:
            return False
        try:
            cls().check(objective)
        except ValueError:
            return False
        return True

    def suits(self, term: Any) -> bool:
        return getattr(term, "entrywise", None) is not None or term.quadratic

    def scouting(self) -> RowNewton:
        return replace(self, window=2, tolerance=max(self.tolerance, SCOUTED))

    def looking(self) -> GaussNewton:
        """On few rows all factors at once: the valleys that are slow by turns are behind then."""
        return GaussNewton(tolerance=self.tolerance, window=self.window).scouting()

    def filling(self) -> RowNewton:
        return replace(self, tolerance=0.0, extrapolation=0.0, max_steps=2)

    def order(self, objective: Objective) -> list[Slot]:
        """Spectra before maps: the amounts, which are in the maps, fit what was found last."""
        return sorted(super().order(objective), key=lambda slot: slot.part.stop - slot.part.start)

    def extrapolated(self, slot: Slot, new: Tensor, old: Tensor, beta: Tensor) -> Tensor:
        further = new + beta.reshape(-1, *(1,) * (new.ndim - 1)) * (new - old)
        return allowed(slot, torch.maximum(further, INSIDE * new), old)

    @torch.no_grad()
    def descend(
        self, objective: Objective, flat: Tensor, states: States, track: Track, max_steps: int
    ) -> None:
        sweeps = CountSweeps.of(objective, self.order(objective))
        if sweeps is None:
            super().descend(objective, flat, states, track, max_steps)
        else:
            CompiledDescent(self, sweeps, flat, track).run(states, max_steps)

    @torch.no_grad()
    def update(self, objective: Objective, slot: Slot, values: Values, states: States) -> Tensor:
        assert slot.module is not None
        value = values[slot.name]
        tensors, closed_forms = objective.closed(values)
        updated = []
        for s in range(len(value)):
            sides, at = [], 0
            for i, form, _, names in closed_forms:
                parts = [x[s] for x in tensors[at : at + len(names)]]
                at += len(names)
                weight, term = objective.loss.surrogates[i]
                scale = float(weight) * torch.as_tensor(
                    term.scale({k: v[s] for k, v in states[i].items()})  # pyright: ignore[reportAttributeAccessIssue]
                )
                loss = term.entrywise  # pyright: ignore[reportAttributeAccessIssue]
                sides += [
                    _RowQuadratic(form, loss, parts, j, scale)
                    for j, name in enumerate(names)
                    if name == slot.name
                ]
            updated.append(self._step(value[s], sides, slot.module.known))
        return allowed(slot, torch.stack(updated), value)

    def _step(self, x: Tensor, sides: list[_RowQuadratic], known: Tensor | None) -> Tensor:
        """A Newton step for every row of x (row, K); where its loss would rise, one of EM.

        Expectation maximisation, x · (what the counts ask for) / (what is there), never rises.
        """
        gradient = _total([side.gradient for side in sides])
        blocks = _total([side.blocks for side in sides])
        if known is not None:
            gradient, blocks = known_held(known, gradient, blocks)
        quadratic = (x[None], gradient[None], blocks[None])
        target = coordinate_descent(*quadratic, 0.0, self.sweeps, self.inner)[0]
        d = target - x
        for side in sides:
            side.towards(d)
        rises = ~(_total([side.change() for side in sides]) <= 0)
        if not bool(rises.any()):
            return target
        mean = _total([side.mean for side in sides])
        safe = x * (mean - gradient) / torch.where(mean > 0, mean, 1)
        safe = safe if known is None else torch.where(known, x, safe)
        return torch.where(rises[:, None], safe, target)


def _total(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]


class _RowQuadratic:
    """What one fit says of the rows of one factor, the others held.

    Σ w (linear m + ℓ(x, m)), ℓ on the non-zero entries alone, sorted by the rows in question.
    It has `mean` (row, K), the part of the gradient that Σ m has; `gradient` (row, K); `blocks`
    (row, K, K).
    """

    def __init__(self, form: Any, loss: Any, parts: list[Tensor], j: int, scale: Tensor) -> None:
        self.loss, self.other, self.scale = loss, parts[1 - j], scale.to(parts[0])
        entries, weights = form.entries(), (form.weights.rows, form.weights.cols)
        self.entries = entries.turned if j else entries
        mine, theirs = weights[::-1] if j else weights
        self.weight = None
        for w, index in ((mine, self.entries.i), (theirs, self.entries.j)):
            if w is not None:
                part = w.index_select(0, index)
                self.weight = part if self.weight is None else self.weight * part
        total = self.other.sum(0) if theirs is None else theirs @ self.other
        linear = loss.linear * (total if mine is None else mine[:, None] * total)
        self.mean = (self.scale * linear).expand_as(parts[j])
        self.m = self.entries.sample(parts[j], self.other)
        a, b = torch.triu_indices(*[self.other.shape[1]] * 2, device=self.other.device)
        pairs = self.other[:, a] * self.other[:, b]
        slope, bend = (self._weighted(h) for h in loss.bends(self.entries.x, self.m))
        self.gradient = self.mean + self.scale * (self.entries.matrix(slope) @ self.other)
        half = self.scale * (self.entries.matrix(bend) @ pairs)
        self.blocks = half.new_empty(len(half), *[self.other.shape[1]] * 2)
        self.blocks[:, a, b] = self.blocks[:, b, a] = half

    def _weighted(self, h: Tensor) -> Tensor:
        return h if self.weight is None else h * self.weight

    def towards(self, d: Tensor) -> None:
        """Note the direction of all rows."""
        self.moved = self.entries.sample(d, self.other).add_(self.m)
        self.drift = (d * self.mean).sum(1)

    def change(self) -> Tensor:
        """By how much the fit rises row by row, (row,)."""
        gain = self._weighted(self.loss.rise(self.entries.x, self.m, self.moved))
        # +∞ times nothing is no number: what is impossible is merely very bad
        gain = gain.nan_to_num_(nan=torch.inf).clamp_max_(torch.finfo(gain.dtype).max ** 0.5)
        ones = gain.new_ones(self.entries.shape[1], 1)
        return self.drift + self.scale * (self.entries.matrix(gain) @ ones)[:, 0]

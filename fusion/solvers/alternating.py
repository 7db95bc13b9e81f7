"""What all solvers share that take every factor by turns: extrapolation, rises undone, gauges."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.variables import Slot, States, Values
from fusion.solvers.base import Solver
from fusion.solvers.gauge import gauges, rescaled, set_by_known
from fusion.solvers.track import Track, states_of

SHRINK, GROW, GROW_LIMIT = 1.5, 1.01, 1.005
"""How the extrapolation answers to a rise and a fall of the loss: η, γ, γ̄ of Ang & Gillis."""


class Alternating(Solver):
    """One factor after the other, each with what is newest of the others.

    Unit columns are kept by moving their norm into the factors that take it up.

    References:
        Gillis & Glineur, Neural Comput. 24:1085 (2012); Ang & Gillis, Neural Comput. 31:417 (2019).
    """

    wants: ClassVar[str]
    """What a term must be."""
    extrapolation: float = 0.0
    initial: int | None = None

    @property
    def descends(self) -> bool:
        """Whether steps that are not extrapolated never raise the loss.

        Else none is extrapolated or undone, and it is the factors that have to come to rest.
        """
        return True

    @property
    def ruled(self) -> bool:
        """Whether the steps follow a rule beside the loss: the last point counts, not the best."""
        return False

    def scouting(self) -> Solver:
        """I_init steps, where they are given. Review, on starts."""
        few = self.initial
        return self if few is None else replace(self, max_steps=few, initial=None)  # pyright: ignore[reportArgumentType, reportCallIssue, reportReturnType]

    @abstractmethod
    def suits(self, term: Any) -> bool:
        """Whether the method can follow this term."""

    @abstractmethod
    def update(self, objective: Objective, slot: Slot, values: Values, states: States) -> Tensor:
        """A better value of one factor, the others held."""

    def order(self, objective: Objective) -> list[Slot]:
        """The factors in the order of their turns, without those that are held."""
        return [slot for slot in objective.slots if slot.name not in objective.held]

    def extrapolated(self, slot: Slot, new: Tensor, old: Tensor, beta: Tensor) -> Tensor:
        """A little beyond the new value, within the constraints."""
        further = new + beta.reshape(-1, *(1,) * (new.ndim - 1)) * (new - old)
        return allowed(slot, further, old)

    def check(self, objective: Objective) -> None:
        if self.initial is not None and not self.initial >= 1:
            raise ValueError(
                f"`{type(self).__name__}(initial={self.initial})`: give 1 step or more, or None."
            )
        for _, term in objective.loss.surrogates:
            if not self.suits(term):
                raise ValueError(
                    f"`{type(self).__name__}`: {self.wants}, which `{term}` is not: "
                    "use `GaussNewton()`."
                )
        for slot in objective.slots:
            chain = [] if slot.module is None else slot.module.chain
            bad = [c for c in chain if not c.linear]
            if slot.module is None or bad or len(slot.shape) < 2:
                what = ", ".join(map(str, bad)) or "a plain parameter"
                raise ValueError(
                    f"`{type(self).__name__}`: {slot.name!r} ({what}) is not linear in its "
                    "unknowns: use `GaussNewton()`."
                )
        for unit in gauges(objective):
            known = objective.model.factor(unit).known
            if known is not None and bool((set_by_known(objective, unit) & ~known).any()):
                raise ValueError(
                    f"`{type(self).__name__}`: {unit!r} has unit columns that are known in part, "
                    "with values that are not zero: their scale is not free: use `GaussNewton()`."
                )

    def descend(
        self, objective: Objective, flat: Tensor, states: States, track: Track, max_steps: int
    ) -> None:
        track.by_change |= self.ruled or not self.descends
        track.rule |= self.ruled
        gauge = gauges(objective)
        kept = {unit: set_by_known(objective, unit) for unit in gauge}
        beta = flat.new_full((len(flat),), self.extrapolation if self.descends else 0.0)
        limit, before, plain = torch.ones_like(beta), beta.clone(), torch.zeros_like(beta).bool()
        values = {k: v.detach() for k, v in objective.values(flat).items()}
        last, loss, kept_terms = values, None, flat
        for step in range(max_steps + 1):
            terms, states = _refreshed_terms(objective, values, states)
            new = terms.sum(1)
            if loss is not None:
                rises = new > loss + 4 * torch.finfo(loss.dtype).eps * loss.abs()
                rises &= ~plain & (beta > 0)  # a step that was not extrapolated stands
                values = {k: _where_start(rises, last[k], v) for k, v in values.items()}
                terms, new = (
                    torch.where(rises[:, None], kept_terms, terms),
                    torch.where(rises, loss, new),
                )
                limit, beta, before = (
                    torch.where(rises, before, (GROW_LIMIT * limit).clamp_max(1)),
                    torch.where(
                        rises,
                        beta / SHRINK,
                        torch.minimum(limit, GROW * beta),
                    ),
                    beta,
                )
                plain = rises  # the step after a rise is not extrapolated, so it goes down
            ended = track.record(objective.raws(values), terms, states)
            if bool(ended.all()) or step == max_steps:
                return
            if bool(ended.any()):
                rows = (~ended).nonzero()[:, 0]
                values, states = {k: v[rows] for k, v in values.items()}, states_of(states, rows)
                beta, limit, before, plain, new, terms = (
                    beta[rows],
                    limit[rows],
                    before[rows],
                    plain[rows],
                    new[rows],
                    terms[rows],
                )
            last, loss, kept_terms = values, new, terms
            values = self.sweep(objective, values, states, torch.where(plain, 0, beta))
            values = rescaled(values, gauge, kept)

    def sweep(self, objective: Objective, values: Values, states: States, beta: Tensor) -> Values:
        """Every factor once, from the newest of the others, a little beyond its own minimum."""
        values = dict(values)
        for slot in self.order(objective):
            old = values[slot.name]
            new = self.update(objective, slot, values, states)
            values[slot.name] = self.extrapolated(slot, new, old, beta)
        return values


def allowed(slot: Slot, new: Tensor, old: Tensor) -> Tensor:
    """On the allowed side of the bound, known entries as they were."""
    assert slot.module is not None
    new = new if slot.module.lower is None else new.clamp_min(slot.module.lower)
    return new if slot.module.known is None else torch.where(slot.module.known, old, new)


def _refreshed_terms(objective: Objective, values: Values, states: States) -> tuple[Tensor, States]:
    """Terms (start, term) with the lagged pieces taken anew."""
    with torch.no_grad():
        states = objective.refresh_penalties(values, objective.refresh_fits(values, states), {})
        return torch.cat(
            [objective.fits(values, states), objective.penalties(values, states)], 1
        ), states


def _where_start(rows: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(rows.reshape(-1, *(1,) * (yes.ndim - 1)), yes, no)

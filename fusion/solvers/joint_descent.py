"""Gauss–Newton steps of a batch of starts: where each stands, its damping, and what is accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.curvature import Curvature
from fusion.engine.fit_squares import FitSquares, squares_at
from fusion.engine.linear_system import System
from fusion.engine.objective import Objective
from fusion.engine.variables import States, Values
from fusion.solvers.track import Track, states_of

if TYPE_CHECKING:
    from fusion.solvers.gauss_newton import GaussNewton

SUFFICIENT = 1e-4
"""Share of the promised decrease that a step must bring."""
SHRINK = 0.25
"""Next step length where one brought too little."""
TRIALS = 6
"""Step lengths tried before the damping is raised instead."""
LEFT, AGAIN = 0.1, 1e3
"""Share of the tolerance below which what a step promises does not count any more, and how many
times as much the step before may have promised."""
TRUSTED = 1e-5
"""Damping up to which a step promises all that the loss can fall, not what damping leaves of it."""
DAMPING = (1e-8, 1e8)
"""Range of the Levenberg damping; above it no step helps any more."""


class Tracked:
    """Terms at a batch of points; their gradient by the values where it is asked for."""

    def __init__(self, function, values: Values, states: States) -> None:
        self.values = {name: v.detach() for name, v in values.items()}
        with torch.enable_grad():
            self._leaves = {n: v.detach().requires_grad_() for n, v in values.items()}
            self._total = function(self._leaves, states)
        self.terms = self._total.detach()  # (start, term)
        self._gradient: Values | None = None

    @property
    def gradient(self) -> Values:
        """Of the sum of the terms."""
        if self._gradient is None:
            made = [None] * len(self._leaves)
            if self._total.requires_grad:
                made = torch.autograd.grad(
                    self._total.sum(), list(self._leaves.values()), allow_unused=True
                )
            self._gradient = {
                name: torch.zeros_like(x) if g is None else g
                for (name, x), g in zip(self._leaves.items(), made, strict=True)
            }
            self._total = self.terms  # the graph may go
        return self._gradient

    def rows(self, rows: Tensor) -> None:
        """Keep some of the points."""
        self._gradient = {name: g[rows] for name, g in self.gradient.items()}
        self.values = {name: v[rows] for name, v in self.values.items()}
        self.terms = self.terms[rows]

    def put(self, rows: Tensor, part: Tracked) -> None:
        """Write other points over some of them."""
        for name, g in self.gradient.items():
            g[rows] = part.gradient[name]
            self.values[name][rows] = part.values[name]
        self.terms[rows] = part.terms


@dataclass
class Trial:
    """Where a step length leads: a batch of points under fixed lagged pieces."""

    flat: Tensor  # (start, n)
    loss: Tensor  # (start,)
    fits: Tracked | FitSquares


class Descent:
    """One batch on its way down: all arrays hold the starts that have not ended."""

    def __init__(
        self, options: GaussNewton, objective: Objective, flat: Tensor, states: States, track: Track
    ) -> None:
        self.options, self.objective, self.track = options, objective, track
        self.lower, self.movable = objective.lower(), objective.free()
        self.flat = objective.retract(torch.maximum(flat, self.lower))
        self.states = states
        self.damping = self.flat.new_full((flat.shape[0],), options.damping)
        # the fits here, where nothing of them was refreshed since they were evaluated
        self.fits: Tracked | FitSquares | None = None
        self.curvature: Curvature | None = None
        self.promised: Tensor | None = None
        """What the last step should bring, (start,)."""
        self.lagged_fits = any(t.lagged for _, _, t in objective.loss.fits)

    def run(self, max_steps: int, between: Callable[[Tensor], Tensor] | None = None) -> None:
        """Steps until every start has ended.

        Args:
            max_steps: at most.
            between: (start, n) → (start, n), lower still: what else is done after every step.
        """
        for step in range(max_steps + 1):
            terms = self._look()
            self._note_damping()
            ended = self.track.record(self.flat, terms, self.states)
            if step == max_steps or bool(ended.all()):
                return
            if bool(ended.any()):
                rows = (~ended).nonzero()[:, 0]
                self._keep(rows)
                terms = terms[rows]
            self._step(terms.sum(1))
            if between is not None and not bool(self.track.down.all()):
                self.flat, self.fits = between(self.flat), None

    def _note_damping(self) -> None:
        outcome = self.track.outcome
        if outcome.damping is None:
            outcome.damping = self.flat.new_empty(len(outcome.flat))
        outcome.damping[self.track.rows] = self.damping

    def _look(self) -> Tensor:
        """Lagged pieces and terms at the present point, (start, term)."""
        objective = self.objective
        values = objective.values(self.flat) if self.fits is None else self.fits.values
        if isinstance(self.fits, FitSquares):
            self.states = self.fits.refresh(self.states) if self.lagged_fits else self.states
        elif self.lagged_fits:
            self.states, self.fits = objective.refresh_fits(values, self.states), None
        if self.fits is None:
            self.fits = self._fits(values, self.states)
        self.curvature, told = None, {}
        if objective.wanted:
            self.curvature = self._curvature()
            told = self.curvature.information(self.fits.gradient)
        self.states = objective.refresh_penalties(values, self.states, told)
        self.penalties = Tracked(objective.penalties, values, self.states)
        return torch.cat([self.fits.terms, self.penalties.terms], 1)

    def _curvature(self) -> Curvature:
        return Curvature(self.objective, self.flat, self.states, self.options.whole)

    def _keep(self, rows: Tensor) -> None:
        """Go on with some of the starts."""
        self.flat, self.damping, self.states = (
            self.flat[rows],
            self.damping[rows],
            states_of(self.states, rows),
        )
        assert self.fits is not None
        self.fits.rows(rows)
        self.penalties.rows(rows)
        self.curvature = None
        self.promised = None if self.promised is None else self.promised[rows]

    def _step(self, loss: Tensor) -> None:
        curvature = self.curvature or self._curvature()
        curvature.add_penalties(self.states)
        assert self.fits is not None
        more = self.penalties.gradient
        pull = {name: g + more[name] for name, g in self.fits.gradient.items()}
        gradient = curvature.pull(pull)
        free = self.movable & ~((self.flat <= self.lower) & (gradient > 0))
        free = free & self.objective.pulled(pull)
        system = System(curvature, gradient, free.to(self.flat.dtype), self.damping)
        direction, Hd, made = system.solve(self.options.forcing, self.options.max_products)
        self.track.outcome.products += made
        self.solved = made < self.options.max_products
        promised = -((gradient * direction).sum(1) + 0.5 * (direction * Hd).sum(1))
        self._advance(loss, gradient, direction, promised)

    def _advance(self, loss: Tensor, gradient: Tensor, direction: Tensor, promised: Tensor) -> None:
        """Backtrack along the projected path until every start has gone down; adapt the damping."""
        start, length = self.flat, torch.ones_like(self.damping)
        accepted = self._evaluate(torch.maximum(start + direction, self.lower))
        slope = (gradient * (accepted.flat - start)).sum(1)
        good = _descends(accepted.loss, loss, slope)
        first = good.clone()
        for _ in range(TRIALS - 1):
            if bool(good.all()):
                break
            rows = (~good).nonzero()[:, 0]
            length[rows] *= SHRINK
            point = torch.maximum(start[rows] + length[rows, None] * direction[rows], self.lower)
            trial = self._evaluate(point, rows)
            slope = (gradient[rows] * (trial.flat - start[rows])).sum(1)
            good[rows] = _descends(trial.loss, loss[rows], slope)
            accepted = self._with_rows(accepted, rows, trial)
        gain = torch.where(
            first, (loss - accepted.loss) / promised.clamp_min(torch.finfo(loss.dtype).tiny), 0
        )
        trusted = first & (gain > 0.5) & (self.damping <= TRUSTED) & self.solved
        factor = torch.where(gain > 0.75, 0.25, torch.where(gain < 0.25, 4.0, 1.0))
        factor = torch.where(good, torch.where(first, factor, 4.0), 16.0).to(self.damping)
        self.damping = (self.damping * factor).clamp(*DAMPING)
        kept = good[:, None]
        self.track.down = trusted & self._promises_nothing(promised, accepted.loss)
        self.track.stuck = ~good & (self.damping >= DAMPING[1])
        if bool(good.all()):
            self.fits, self.flat = accepted.fits, self.objective.retract(accepted.flat)
            return
        self.fits = None
        self.flat = self.objective.retract(torch.where(kept, accepted.flat, start))

    def _promises_nothing(self, promised: Tensor, loss: Tensor) -> Tensor:
        """Whether the last two steps promised next to nothing, (start,): one alone may be short."""
        before, self.promised = self.promised, promised.abs()
        least = LEFT * self.options.tolerance * loss.abs()
        near = torch.zeros_like(least) if before is None else before
        return (self.promised <= least) & (near <= AGAIN * least) & (before is not None)

    def _fits(self, values: Values, states: States) -> Tracked | FitSquares:
        """From Gram matrices where all fits are functions of their squares, else by autograd."""
        made = squares_at(self.objective, values, states)
        return Tracked(self.objective.fits, values, states) if made is None else made

    def _evaluate(self, flat: Tensor, rows: Tensor | None = None) -> Trial:
        """Loss and fit gradient at trial points under the present lagged pieces."""
        states = self.states if rows is None else states_of(self.states, rows)
        with torch.no_grad():
            values = self.objective.values(flat)
            penalty = self.objective.penalties(values, states)
        fits = self._fits(values, states)
        return Trial(flat, fits.terms.sum(1) + penalty.sum(1), fits)

    def _with_rows(self, into: Trial, rows: Tensor, part: Trial) -> Trial:
        """The trial of all starts with that of some."""
        if len(rows) == len(into.flat):
            return part
        if isinstance(into.fits, Tracked) and isinstance(part.fits, Tracked):
            into.fits.put(rows, part.fits)  # first: its graph reads the point
        elif isinstance(into.fits, FitSquares) and isinstance(part.fits, FitSquares):
            into.fits.put(rows, part.fits)
        else:  # Gram matrices serve at some of the points alone
            flat = into.flat.clone()
            flat[rows] = part.flat
            return self._evaluate(flat)
        into.flat[rows], into.loss[rows] = part.flat, part.loss
        return into


def _descends(new: Tensor, old: Tensor, slope: Tensor) -> Tensor:
    """Whether a step brought a fair share of what its slope promised (rounding forgiven)."""
    rounding = 4 * torch.finfo(old.dtype).eps * old.abs()
    return torch.isfinite(new) & (slope <= 0) & (new <= old + SUFFICIENT * slope + rounding)

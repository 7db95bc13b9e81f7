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
from fusion.solvers.step_path import StepPath
from fusion.solvers.terms_at_points import TermsAtPoints
from fusion.solvers.track import Track, states_of

if TYPE_CHECKING:
    from fusion.solvers.gauss_newton import GaussNewton

SUFFICIENT = 1e-4
"""Share of the promised decrease that a step must bring."""
SHRINK, HALF = 0.25, 0.5
"""What is left of a step length that brought too little; under weak damping, where valleys bend."""
TRIALS = 6
"""Points tried before the damping is raised instead."""
BENDS = 2
"""Which of them, counted from 0, is on a bent path: most need none, and bending costs products."""
WEAK = 1e-4
"""Damping up to which paths are bent: stronger damping keeps to where they are straight."""
LEFT, AGAIN = 0.1, 1e3
"""Share of the tolerance below which what a step promises does not count any more, and how many
times as much the step before may have promised."""
TRUSTED = 1e-5
"""Damping up to which a step promises all that the loss can fall, not what damping leaves of it."""
DAMPING = (1e-8, 1e8)
"""Range of the Levenberg damping; above it no step helps any more."""
ROUNDED = 4
"""Differences of the loss that say nothing, in units of its rounding."""


@dataclass
class Trial:
    """Where a step length leads: a batch of points under fixed lagged pieces."""

    flat: Tensor  # (start, n)
    loss: Tensor  # (start,)
    size: Tensor  # (start,) of the numbers that add up to it
    fits: TermsAtPoints | FitSquares


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
        self.fits: TermsAtPoints | FitSquares | None = None
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
            assert self.fits is not None
            ended = self.track.record(self.flat, terms, self.states, self.fits.values)
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
        self.penalties = TermsAtPoints(objective.penalties, values, self.states)
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
        path = StepPath(self.objective, self.states, system, self.flat, self.lower)
        made = path.solve(self.options.forcing, self.options.max_products)
        self.track.outcome.products += made
        self.solved = made < self.options.max_products
        self._advance(loss, path)
        self.track.outcome.products += path.products

    def _advance(self, loss: Tensor, path: StepPath) -> None:
        """Shorten the step until every start has gone down; adapt the damping."""
        length = torch.ones_like(self.damping)
        accepted = self._evaluate(path.point(length))
        good = self._descends(accepted, loss, path.slope(accepted.flat))
        first, promised = good.clone(), path.promised
        for trial in range(1, TRIALS):
            if bool(good.all()):
                break
            rows = (~good).nonzero()[:, 0]
            weak = self.damping[rows] <= WEAK
            bends = weak & (trial == BENDS)
            if trial == BENDS and bool(bends.any()):
                path.bend(rows[bends])
            length[rows] *= torch.where(bends, 1.0, torch.where(weak, HALF, SHRINK))
            tried = self._evaluate(path.point(length, rows), rows)
            good[rows] = self._descends(tried, loss[rows], path.slope(tried.flat, rows))
            accepted = self._with_rows(accepted, rows, tried)
        told = promised > self._rounding(accepted)  # else the loss cannot say how good a step was
        gain = torch.where(told, (loss - accepted.loss) / promised.where(told, 1), 1)
        gain = torch.where(first, gain, 0)
        trusted = first & (gain > 0.5) & (self.damping <= TRUSTED) & self.solved
        self.track.trusted = trusted
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
        self.flat = self.objective.retract(torch.where(kept, accepted.flat, path.start))

    def _promises_nothing(self, promised: Tensor, loss: Tensor) -> Tensor:
        """Whether the last two steps promised next to nothing, (start,): one alone may be short."""
        before, self.promised = self.promised, promised.abs()
        least = LEFT * self.options.tolerance * loss.abs()
        near = torch.zeros_like(least) if before is None else before
        return (self.promised <= least) & (near <= AGAIN * least) & (before is not None)

    def _fits(self, values: Values, states: States) -> TermsAtPoints | FitSquares:
        """From Gram matrices where all fits are functions of their squares, else by autograd."""
        made = squares_at(self.objective, values, states)
        return TermsAtPoints(self.objective.fits, values, states) if made is None else made

    def _evaluate(self, flat: Tensor, rows: Tensor | None = None) -> Trial:
        """Loss and fit gradient at trial points under the present lagged pieces."""
        states = self.states if rows is None else states_of(self.states, rows)
        with torch.no_grad():
            values = self.objective.values(flat)
            penalty = self.objective.penalties(values, states)
        fits = self._fits(values, states)
        size = fits.size + penalty.abs().sum(1)
        return Trial(flat, fits.terms.sum(1) + penalty.sum(1), size, fits)

    def _descends(self, new: Trial, old: Tensor, slope: Tensor) -> Tensor:
        """Whether a step brought a fair share of what its slope promised (rounding forgiven)."""
        enough = old + SUFFICIENT * slope + self._rounding(new)
        return torch.isfinite(new.loss) & (slope <= 0) & (new.loss <= enough)

    def _rounding(self, at: Trial) -> Tensor:
        """Differences of the loss that say nothing, (start,)."""
        return ROUNDED * torch.finfo(at.loss.dtype).eps * at.size

    def _with_rows(self, into: Trial, rows: Tensor, part: Trial) -> Trial:
        """The trial of all starts with that of some."""
        if len(rows) == len(into.flat):
            return part
        if isinstance(into.fits, TermsAtPoints) and isinstance(part.fits, TermsAtPoints):
            into.fits.put(rows, part.fits)  # first: its graph reads the point
        elif isinstance(into.fits, FitSquares) and isinstance(part.fits, FitSquares):
            into.fits.put(rows, part.fits)
        else:  # Gram matrices serve at some of the points alone
            flat = into.flat.clone()
            flat[rows] = part.flat
            return self._evaluate(flat)
        into.flat[rows], into.loss[rows], into.size[rows] = part.flat, part.loss, part.size
        return into

"""Descents by compiled sweeps over counts, extrapolated; at their end all factors at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.threads import Workers, shared_workers
from fusion.engine.variables import States, Values
from fusion.likelihood.count_rows import Array
from fusion.solvers import joint_descent
from fusion.solvers.count_sweeps import CountSweeps, Factors, Row
from fusion.solvers.gauss_newton import GaussNewton
from fusion.solvers.track import Track, states_of

if TYPE_CHECKING:
    from fusion.solvers.row_newton import RowNewton

GROW, SHRINK = 1.1, 0.5
"""How the extrapolation answers to a fall and a rise of the loss."""
INSIDE = 0.1
"""Share of an entry that an extrapolation leaves at least: a likelihood ends at zero."""
TOGETHER = 1e-7
"""Fall of the loss over the window, a share of it, from which on all factors may move at once."""
FAR = 30
"""Sweeps that must be ahead for that, as the loss falls: a joint step costs as much as many."""
NEAR = 1e-6
"""Damping of these steps at first: they begin near a minimum."""
FORCING = 0.03
"""How far each system is solved: passes beside the products cost as much as a few of them."""


@dataclass
class Descent:
    """One start on its way."""

    factors: Factors  # where the loss is looked at: extrapolated
    last: Factors  # what the Newton steps gave, which is extrapolated from
    beta: float
    loss: float = np.inf
    terms: Array = field(default_factory=lambda: np.zeros(0))
    kept: Factors = field(default_factory=dict)  # the lowest point so far
    rows: dict[str, Row] = field(default_factory=dict)
    plain: bool = False  # the next sweep is not extrapolated, so it goes down


class CompiledDescent:
    """A batch of starts, each by its own sweeps."""

    def __init__(self, options: RowNewton, sweeps: CountSweeps, flat: Tensor, track: Track) -> None:
        self.options, self.sweeps, self.track = options, sweeps, track
        self.objective = sweeps.objective
        values = {k: v.detach() for k, v in self.objective.values(flat).items()}
        self.starts = [
            Descent(factors, dict(factors), options.extrapolation)
            for factors in self._factors(values, len(flat))
        ]

    def _factors(self, values: Values, starts: int) -> list[Factors]:
        return [self.sweeps.factors(values, s) for s in range(starts)]

    def _each(self, task: Callable[[Descent], None]) -> None:
        """What is done to every start: several at once, or each by all threads.

        Penalties read the model itself, one start at a time.
        """
        workers = shared_workers()
        several = len(self.starts) > 1 and workers.count > 1 and not self.sweeps.penalties.count
        self.sweeps.workers = Workers(1) if several else workers
        (workers if several else Workers(1)).share(lambda s: task(self.starts[s]), len(self.starts))

    def run(self, states: States, max_steps: int) -> None:
        window, losses = self.options.window, []
        for step in range(max_steps + 1):
            self._each(self._look)
            terms = torch.from_numpy(np.stack([start.terms for start in self.starts]))
            flat = self.objective.raws(self.sweeps.values([s.factors for s in self.starts]))
            ended = self.track.record(flat, terms, states)
            if bool(ended.all()) or step == max_steps:
                return
            rows = (~ended).nonzero()[:, 0].tolist()
            if len(rows) < len(self.starts):
                self.starts = [self.starts[row] for row in rows]
                states = states_of(states, rows)
                losses = [loss[rows] for loss in losses]
            losses.append(np.array([start.loss for start in self.starts]))
            losses = losses[-2 * window - 1 :]
            if all(self._slow(line) for line in np.transpose(losses)):
                self._together(flat[rows], states, max_steps - step)
                return
            self._each(self._sweep)

    def _slow(self, losses: Array) -> bool:
        """Whether a start has far to go by turns, in small steps; of its losses, 2 windows."""
        window, size = self.options.window, abs(losses[-1])
        if len(losses) <= 2 * window:
            return False
        before, now = losses[0] - losses[window], losses[window] - losses[-1]
        least = self.options.tolerance * size
        if not least < now <= TOGETHER * size:
            return False
        return now >= before or window * np.log(least / now) / np.log(now / before) > FAR

    def _look(self, start: Descent) -> None:
        """The loss where a start stands; back to where it was lowest, if it rose."""
        terms = self.sweeps.look(start.factors, start.rows)
        loss = float(terms.sum())
        rounding = 4 * np.finfo(float).eps * abs(start.loss)
        if not loss <= start.loss + rounding and start.beta > 0 and not start.plain and start.kept:
            start.factors, start.last = dict(start.kept), dict(start.kept)
            start.beta, start.plain = start.beta * SHRINK, True
            start.terms = self.sweeps.look(start.factors, start.rows)
            return
        if not start.plain:
            start.beta = min(1.0, start.beta * GROW)
        start.loss, start.terms, start.plain = loss, terms, False
        start.kept = dict(start.factors)

    def _sweep(self, start: Descent) -> None:
        """Every factor once, from the newest of the others, a little beyond its Newton step."""
        beta = 0.0 if start.plain else start.beta
        inner = self.options.sweeps, self.options.inner
        for slot in self.sweeps.order:
            new = self.sweeps.step(slot, start.factors, start.rows, *inner)
            further = new
            if beta > 0 and start.last[slot.name] is not new:
                further = np.maximum(new + beta * (new - start.last[slot.name]), INSIDE * new)
            start.last[slot.name], start.factors[slot.name] = new, further
        self.sweeps.rescale(start.factors, start.last)

    def _together(self, flat: Tensor, states: States, max_steps: int) -> None:
        """All factors at once, where by turns they come forward slowly."""
        options = self.options
        joint = GaussNewton(
            options.tolerance, options.window, forcing=FORCING, damping=NEAR, whole=True
        )
        with torch.enable_grad():
            descent = joint_descent.Descent(joint, self.objective, flat, states, self.track)
            descent.run(max_steps, self._swept)

    @torch.no_grad()
    def _swept(self, flat: Tensor) -> Tensor:
        """Every factor once from here: rows find what is zero sooner than joint steps do."""
        values = {k: v.detach() for k, v in self.objective.values(flat).items()}
        self.starts = [Descent(f, dict(f), 0.0) for f in self._factors(values, len(flat))]
        self._each(self._sweep)
        return self.objective.raws(self.sweeps.values([s.factors for s in self.starts]))

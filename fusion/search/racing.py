"""Starts and points that go downhill beside each other, fewer and fewer, until one has won."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.variables import States
from fusion.solvers.base import Judge, states_of

if TYPE_CHECKING:
    from fusion.solvers.base import Outcome, Solver, Watch

ROUND = 2
"""Steps after which the first starts are dropped; then after twice as many, and so on."""

SLOWING = 0.8
"""A fall is taken to be at most this share of the one before it."""
SETTLING = 3
"""Steps after a jump before it is judged."""
LAP = 12
"""Steps made before points are compared."""
LAPS = 10
"""Most laps; what falls too slowly to win within them is left before."""
GAIN = 1e-9
"""A point is lower than the first if it is by more than this share."""


class Halving(Judge):
    """Successive halving: after 2, 4, 8 … steps the better half of the starts goes on.

    They are compared by the terms that are one fixed objective, on all that the objective reads,
    and by where each would end if it went on to slow down as it does.

    References:
        Karnin et al., ICML (2013); Jamieson & Talwalkar, AISTATS (2016).
    """

    def __init__(self, starts: int) -> None:
        self.starts, self.left = starts, list(range(starts))
        self.steps = 0
        """Made in descents before this one."""

    def on(self, objective: Objective) -> Halving:
        """The same race, gone on with in another descent of all starts."""
        self.fixed, self.steps = objective.fixed, self.steps + self.made
        self.made = 0
        return self

    made = 0
    fixed: Sequence[bool] = ()

    def dropped(self, outcome: Outcome, running: Sequence[int]) -> set[int]:
        self.made = len(outcome.history) - 1
        count = self._places()
        if self.made and count < len(self.left):
            ends = expected_ends(outcome, self.fixed)
            self.left = sorted(self.left, key=lambda row: ends[row])[:count]
        return set(running) - set(self.left)

    def _places(self) -> int:
        """How many go on from here."""
        steps, count = self.steps + self.made, self.starts
        while steps >= ROUND and count > 1:
            steps, count = steps // 2, ceil(count / 2)
        return count


def expected_ends(outcome: Outcome, fixed: Sequence[bool]) -> list[float]:
    """The loss at which each start would end, by the last third of its way and the one before it.

    Falls that shrink by one factor each time add up as a geometric series (Aitken); +∞ where the
    loss is not finite. What has ended stays where it is.
    """
    chosen = torch.tensor(list(fixed), device=outcome.terms.device)
    now = outcome.terms[:, chosen].sum(1)
    span = (len(outcome.history) - 1) // 3
    if span:
        late, early = (outcome.history[-1 - n][:, chosen].sum(1) for n in (span, 2 * span))
        fall = (late - now).clamp_min(0)
        share = (fall / (early - late).clamp_min(torch.finfo(now.dtype).tiny)).clamp(0, SLOWING)
        rest = fall * share / (1 - share)
        now = now - torch.where(torch.isfinite(outcome.history[-1]).all(1), rest, 0)
    return now.nan_to_num(nan=torch.inf).tolist()


class Race(Judge):
    """Points that go downhill as a batch of starts, until one lies below the first.

    They are compared by the terms that are one fixed objective.

    Args:
        objective: what is minimised.
        solver: makes the steps.
        watch: the clock.
        flat: the points, (point, n) raw variables.
        states: their lagged pieces.
    """

    def __init__(
        self, objective: Objective, solver: Solver, watch: Watch, flat: Tensor, states: States
    ) -> None:
        self.objective, self.solver, self.watch = objective, solver, watch
        self.fixed = torch.tensor(objective.fixed, device=flat.device)
        self.begun = flat, states
        self.laps: list[tuple[Outcome, list[int]]] = []
        self.running = list(range(len(flat)))
        self.simpler: Tensor | None = None
        self.last = False
        self.loss = torch.full((len(flat),), torch.inf, dtype=torch.float64, device=flat.device)

    def winner(self, simpler: list[bool], laps: int) -> int:
        """The point that is clearly lower than the first, after as few laps as possible; else 0.

        Those that are simpler win where they are not clearly higher.
        """
        self.simpler = torch.tensor(simpler)
        for left in reversed(range(laps)):
            self.last = left == 0
            falls = self.lap(LAP)
            if ahead := self._ahead_of_first():
                return ahead
            behind = {row: float(self._judged()[row] - self.loss[0]) for row in falls}
            self.running = [row for row in falls if row == 0 or behind[row] < left * falls[row]]
            if self.running in ([], [0]) or self.watch.late or self.watch.stopped:
                break
        return 0

    def dropped(self, outcome: Outcome, running: Sequence[int]) -> set[int]:
        """All of them, as soon as one lies below the first."""
        if self.simpler is None or len(outcome.history) <= SETTLING:
            return set()
        self._note(outcome)
        if self._ahead_of_first():
            return set(running)
        steps = len(outcome.history) - 1
        if self.last and 2 * steps == LAP:
            return {row for row in running if self.running[row] and self._hopeless(outcome, row)}
        return set()

    def _hopeless(self, outcome: Outcome, place: int) -> bool:
        """Whether one is farther behind the first than it falls in the half of a last lap.

        Falls grow smaller on the way down.
        """
        point, half = self.running[place], len(outcome.history) // 2
        fall = outcome.history[half][place, self.fixed].sum() - self.loss[point]
        return not float(self._judged()[point] - self.loss[0]) < 2 * float(fall)

    def _ahead_of_first(self) -> int:
        """The lowest point if it is clearly lower than the first; else 0."""
        judged, least = self._judged(), GAIN * abs(float(self.loss[0]))
        best = int(judged.argmin())
        return best if float(judged[0] - judged[best]) > least else 0

    def _judged(self) -> Tensor:
        """(point,) losses, of those that are simpler a little less."""
        assert self.simpler is not None
        return self.loss - 2 * GAIN * abs(float(self.loss[0])) * self.simpler.to(self.loss)

    def _note(self, made: Outcome) -> None:
        loss = made.terms[:, self.fixed].sum(1).nan_to_num(nan=torch.inf)
        self.loss[self.running] = loss

    def lowest(self) -> int:
        """The point that is lowest as they stand."""
        return int(self.loss.argmin())

    def lap(self, steps: int) -> dict[int, float]:
        """So many steps of all that run: how fast those fall, in a lap, that have not arrived."""
        flat, states = self._now()
        made = self.solver.minimise(self.objective, flat, self.watch, steps, states, self)
        self.laps.append((made, self.running))
        self._note(made)
        loss = self.loss[self.running]
        half = len(made.history) // 2
        falls = (made.history[half][:, self.fixed].sum(1) - loss) * steps / max(steps - half, 1)
        on_its_way = torch.isfinite(made.history[-1]).all(1).tolist()
        return {
            row: float(fall)
            for row, fall, runs in zip(self.running, falls, on_its_way, strict=True)
            if runs
        }

    def _now(self) -> tuple[Tensor, States]:
        """Where those stand that run."""
        if not self.laps:
            return self.begun
        made, rows = self.laps[-1]
        places = [rows.index(row) for row in self.running]
        return made.flat[places], states_of(made.states, places)

    def path(self, row: int) -> list[tuple[Outcome, int]]:
        """The laps of a point: outcome and its place in it."""
        return [(made, rows.index(row)) for made, rows in self.laps if row in rows]

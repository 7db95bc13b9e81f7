"""Points that go downhill beside each other until one of them has won."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.engine.variables import States
from fusion.solvers.track import Judge, states_of

if TYPE_CHECKING:
    from fusion.solvers.base import Solver
    from fusion.solvers.track import Outcome
    from fusion.solvers.watch import Watch


SETTLING = 3
"""Steps after a jump before it is judged."""
LAP = 12
"""Steps made before points are compared."""
LAPS = 10
"""Most laps; what falls too slowly to win within them is left before."""
GAIN = 1e-9
"""A point is lower than the first if it is by more than this share."""


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

    def dropped(self, outcome: Outcome, running: Sequence[int]) -> dict[int, Status]:
        """All of them, as soon as one lies below the first; late in a last lap the hopeless."""
        if self.simpler is None or len(outcome.history) <= SETTLING:
            return {}
        self._note(outcome)
        if self._ahead_of_first():
            return dict.fromkeys(running, Status.DROPPED)
        if not self.last or 2 * (len(outcome.history) - 1) != LAP:
            return {}
        others = [row for row in running if self.running[row]]
        return {row: Status.DROPPED for row in others if self._hopeless(outcome, row)}

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

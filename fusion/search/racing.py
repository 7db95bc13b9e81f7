"""Points that go downhill beside each other until one of them has won."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.variables import States
from fusion.solvers.base import states_of

if TYPE_CHECKING:
    from fusion.solvers.base import Outcome, Solver, Watch

LAP = 12
"""Steps made before points are compared."""
LAPS = 10
"""Most laps; what falls too slowly to win within them is left before."""
GAIN = 1e-9
"""A point is lower than the first if it is by more than this share."""


class Race:
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
        self.loss = torch.full((len(flat),), torch.inf, dtype=torch.float64, device=flat.device)

    def winner(self, simpler: list[bool], laps: int) -> int:
        """The point that is clearly lower than the first, after as few laps as possible; else 0.

        Those that are simpler win where they are not clearly higher.
        """
        for left in reversed(range(laps)):
            falls = self.lap(LAP)
            least = GAIN * abs(float(self.loss[0]))
            judged = self.loss - 2 * least * torch.tensor(simpler).to(self.loss)
            best = int(judged.argmin())
            if float(judged[0] - judged[best]) > least:
                return best
            ahead = {row: float(judged[row] - judged[0]) for row in falls}
            self.running = [row for row in falls if row == 0 or ahead[row] < left * falls[row]]
            if self.running in ([], [0]) or self.watch.late or self.watch.stopped:
                break
        return 0

    def lowest(self) -> int:
        """The point that is lowest as they stand."""
        return int(self.loss.argmin())

    def lap(self, steps: int) -> dict[int, float]:
        """So many steps of all that run: how fast those fall, in a lap, that have not arrived."""
        flat, states = self._now()
        made = self.solver.minimise(self.objective, flat, self.watch, steps, states)
        self.laps.append((made, self.running))
        loss = made.terms[:, self.fixed].sum(1).nan_to_num(nan=torch.inf)
        self.loss[self.running] = loss
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

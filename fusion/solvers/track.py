"""A batch of starts on its way: the best point of each, which have ended, and why."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from fusion.engine.evaluation import evaluate
from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.engine.variables import States, Values
from fusion.solvers.watch import Watch

REST = 0.1
"""Share of the change that ends a start at rest, over several steps, that ends it after two."""
FALLS = 3
"""Falls of the loss from which it is told how far it goes on falling."""
SHRINKING = 0.1, 0.5
"""Share of the fall before that the next is taken for, at least, and may be, at most."""
TIE = 1e-12
"""Losses that differ by this share are equal but for rounding."""


@dataclass
class Outcome:
    """What a solver found for every start."""

    flat: Tensor  # (start, n) raw variables
    terms: Tensor  # (start, term) weighted, float64, in the objective's order
    states: list[dict[str, Tensor]]  # lagged pieces there
    status: list[Status]
    # a step each: (start, term), NaN where a start has ended
    history: list[Tensor] = field(default_factory=list)
    # the same of what terms learn, by name: (start, …)
    learned: list[dict[str, Tensor]] = field(default_factory=list)
    products: int = 0
    damping: Tensor | None = None  # (start,) where the steps of a solver that has one ended
    ahead: int | None = None  # the start that was gone on with alone

    @property
    def loss(self) -> Tensor:
        """(start,) loss, +∞ before the first step."""
        return self.terms.sum(1)

    def best(self) -> int:
        """The start with the lowest loss; of equal ones that which was gone on with alone.

        Those left behind or dropped do not count: under a rule the loss of the others may have
        risen since.
        """
        loss = torch.nan_to_num(self.loss, nan=torch.inf)
        left = torch.tensor([not s.ran_on for s in self.status], device=loss.device)
        loss = loss if bool(left.all()) else torch.where(left, torch.inf, loss)
        best = int(loss.argmin())
        if self.ahead is not None and bool(loss[self.ahead] - loss[best] <= TIE * loss[best].abs()):
            return self.ahead
        return best


class Judge(ABC):
    """Says on the way which of a batch of starts are not worth another step."""

    @abstractmethod
    def dropped(self, outcome: Outcome, running: Sequence[int]) -> Mapping[int, Status]:
        """Those to leave the batch, of the starts that have not ended, and why.

        Args:
            outcome: with every step so far in its history.
            running: rows of the starts that have not ended.
        """


class Track:
    """Keeps the best point of every start, and says which starts have ended and why.

    Starts that end leave the batch; `rows` says which starts the batch still holds.
    """

    def __init__(
        self,
        objective: Objective,
        flat: Tensor,
        tolerance: float,
        window: int,
        watch: Watch,
        judge: Judge | None = None,
    ) -> None:
        starts = flat.shape[0]
        self.tolerance, self.window, self.watch, self.objective = (
            tolerance,
            window,
            watch,
            objective,
        )
        self.judge = judge
        self.rule = self.by_change = not all(objective.fixed)
        self.rows = torch.arange(starts, device=flat.device)
        terms = torch.full(
            (starts, len(objective.order)), torch.inf, dtype=torch.float64, device=flat.device
        )
        self.outcome = Outcome(
            flat.clone(),
            terms,
            [{} for _ in objective.loss.terms],
            [Status.MAX_STEPS] * starts,
        )
        # (start in batch,) losses, or changes of the factors under a rule
        self.recent: list[Tensor] = []
        self.before: Values | None = None
        self.own_pieces: set[tuple[int, str]] = set()
        self.stuck = torch.zeros(starts, dtype=torch.bool, device=flat.device)
        # (start in batch,) whether a model that can be trusted says that nothing is left to fall
        self.down = torch.zeros(starts, dtype=torch.bool, device=flat.device)
        # (start in batch,) whether the last step was whole, of a model that foretold it well
        self.trusted = torch.zeros(starts, dtype=torch.bool, device=flat.device)
        self.first: Tensor | None = None
        self.step = 0

    def record(
        self, flat: Tensor, terms: Tensor, states: States, values: Values | None = None
    ) -> Tensor:
        """Note points and their terms, (start, term); say which have ended, (start,) bool.

        Args:
            values: of the factors at these points, where they are known.
        """
        out, loss, starts = self.outcome, terms.sum(1), len(self.outcome.flat)
        rows = slice(None) if len(self.rows) == starts else self.rows
        better = torch.isfinite(loss) if self.rule else loss < out.loss[rows]
        out.flat[rows] = torch.where(better[:, None], flat, out.flat[rows])
        out.terms[rows] = torch.where(better[:, None], terms, out.terms[rows])
        out.states = [
            self._with_pieces(i, old, rows, new)
            for i, (old, new) in enumerate(zip(out.states, states, strict=True))
        ]
        out.history.append(for_all_starts(terms, rows, starts))
        learned = self.objective.learned(states)
        out.learned.append(
            {name: for_all_starts(value, rows, starts) for name, value in learned.items()}
        )
        self.first = loss.abs() if self.first is None else self.first
        self.watch.tell(partial(self._words, loss, len(self.rows)))
        stop = self.watch.stopped or bool(self.watch.report(self.step, out.loss))
        self.watch.stopped = stop
        self.step += 1
        if self.by_change:
            with torch.no_grad():
                values = self.objective.values(flat) if values is None else values
        ended = self._ended(values or {}, loss, stop)
        if self.judge is not None:
            ended |= self._dropped(self.judge, ended)
        self.down, self.trusted = torch.zeros_like(self.stuck), torch.zeros_like(self.stuck)
        self.recent = self.recent[-max(self.window, FALLS) :]
        self.before = dict(values or {}) if self.by_change else None
        if bool(ended.any()):
            self._keep(~ended)
        return ended

    def _keep(self, left: Tensor) -> None:
        """Go on with some of the batch."""
        self.rows, self.stuck = self.rows[left], self.stuck[left]
        self.down, self.trusted = self.down[left], self.trusted[left]
        self.first = None if self.first is None else self.first[left]
        if self.before is not None:
            self.before = {name: value[left] for name, value in self.before.items()}
        self.recent = [each[left] for each in self.recent]

    def _words(self, loss: Tensor, left: int) -> str:
        """What is done now: of how many starts, at which step, and how far the loss still falls."""
        starts = len(self.outcome.flat)
        whom = f" of {starts} starts, {left} left" if starts > 1 else ""
        words = f"{self.watch.doing}{whom}, step {self.step}"
        if self.by_change or len(self.recent) < 2 or len(self.recent[-2]) != left:
            return words
        fall = float(((self.recent[-2] - loss) / loss.abs()).max())
        return f"{words}, falls {fall:.0e} a step" if fall > 0 else words

    def _ended(self, values: Values, loss: Tensor, stop: bool) -> Tensor:
        self.recent.append(self._change(values, loss) if self.by_change else loss)
        recent = self.recent[-self.window - 1 :]
        if self.by_change:
            calm = torch.stack(recent).amax(0) <= self.tolerance**0.5
            near = self._at_rest()
        else:
            scale = torch.maximum(loss.abs(), torch.finfo(loss.dtype).eps ** 0.75 * self.first)
            calm = recent[0] - loss <= self.tolerance * scale
            near = self.down | self._fallen(self.tolerance * scale)
        calm &= len(recent) > self.window
        calm |= near
        reasons = [
            (~torch.isfinite(loss), Status.DIVERGED),
            (calm, Status.CONVERGED),
            (self.stuck, Status.STALLED),
        ]
        for given, status in ((self.watch.late, Status.MAX_SECONDS), (stop, Status.INTERRUPTED)):
            if given:
                reasons.append((torch.ones_like(self.stuck), status))
        told = torch.stack([which for which, _ in reasons])
        ended = told.any(0)
        if bool(ended.any()):
            first = told.byte().argmax(0)[ended].tolist()  # of several reasons, the first
            for row, reason in zip(self.rows[ended].tolist(), first, strict=True):
                self.outcome.status[row] = reasons[reason][1]
        return ended

    def _at_rest(self) -> Tensor:
        """Whether all steps to come, if they shrink as the last did, change next to nothing."""
        if len(self.recent) < 2:
            return torch.zeros_like(self.trusted)
        before, now = self.recent[-2:]
        to_come = now * now / (before - now)
        least = REST * self.tolerance**0.5
        return self.trusted & (now < before) & (now <= least) & (to_come <= least)

    def _fallen(self, least: Tensor) -> Tensor:
        """Whether all falls to come, if they shrink as the last ones did, come to no more."""
        if len(self.recent) <= FALLS:
            return torch.zeros_like(self.trusted)
        losses = torch.stack(self.recent[-FALLS - 1 :])
        falls = losses[:-1] - losses[1:]
        shares = falls[1:] / falls[:-1]
        share = shares.amax(0).clamp_min(SHRINKING[0])
        shrink = (falls[:-1] > 0).all(0) & (falls[-1] >= 0) & (share <= SHRINKING[1])
        return self.trusted & shrink & (falls[-1] * share / (1 - share) <= least)

    def _dropped(self, judge: Judge, ended: Tensor) -> Tensor:
        """Which of those that have not ended the judge lets go, (start in batch,) bool."""
        left = self.rows[~ended].tolist()
        dropped = judge.dropped(self.outcome, left) if left else {}
        for row, reason in dropped.items():
            self.outcome.status[row] = reason
        return torch.tensor([row in dropped for row in self.rows.tolist()], device=ended.device)

    def interrupt(self, states: States) -> None:
        """The user asked to stop: what is still on its way stays at its best, or where it began."""
        self.watch.stopped = True
        if not self.outcome.history:
            terms, _, states = evaluate(self.objective, self.outcome.flat, states)
            self.record(self.outcome.flat, terms, states)
        for row in self.rows.tolist():
            self.outcome.status[row] = Status.INTERRUPTED

    def _change(self, now: Values, loss: Tensor) -> Tensor:
        """Largest relative change of a factor since the last step, (start,)."""
        then = self.before
        if then is None:
            return loss.new_full((len(loss),), torch.inf, dtype=torch.float64)
        with torch.no_grad():
            changes = [
                torch.linalg.vector_norm((now[k] - then[k]).flatten(1), dim=1)
                / torch.linalg.vector_norm(now[k].flatten(1), dim=1).clamp_min(
                    torch.finfo(now[k].dtype).tiny
                )
                for k in now
            ]
        return torch.stack(changes).amax(0).double()

    def _with_pieces(
        self, i: int, old: dict[str, Tensor], rows: Rows, new: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The lagged pieces of term i of all starts, with those of some rows taken anew.

        What is handed in stays as it is: only what was made here is written to.
        """
        written, starts = dict(old), len(self.outcome.flat)
        for key, value in new.items():
            if isinstance(rows, slice):
                written[key] = value
                self.own_pieces.discard((i, key))
                continue
            if (i, key) not in self.own_pieces:
                known = written.get(key)
                room = value.new_zeros((starts, *value.shape[1:]))
                written[key] = room if known is None else known.clone()
                self.own_pieces.add((i, key))
            written[key][rows] = value
        return written


Rows = Tensor | list[int] | slice


def for_all_starts(value: Tensor, rows: Rows, starts: int) -> Tensor:
    """(row, …) of some starts as (start, …), NaN for the others."""
    if len(value) == starts and isinstance(rows, slice):
        return value.clone()
    line = value.new_full((starts, *value.shape[1:]), torch.nan)
    line[rows] = value
    return line


def states_of(states: Sequence, rows: Tensor | list[int]) -> States:
    """The states of some starts."""
    return [{key: value[rows] for key, value in state.items()} for state in states]

"""The race of starts: short runs of all, the few best onward, and to the end what is still open."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fusion.engine.objective import Objective
from fusion.engine.status import Status
from fusion.engine.variables import Values
from fusion.solvers.track import Judge

if TYPE_CHECKING:
    from fusion.solvers.track import Outcome

HEATS = ((4, 0.5), (8, 0.3))
"""(steps, share of the starts that go on from there)."""
FINALISTS = 3
"""So many go on at least, until they are behind or alike."""
LOOKS = (12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Steps after which finalists are looked at."""
SLOWING = 0.8
"""A fall is taken to be at most this share of the one before it."""
DOUBT = 5.0
"""A start is behind if so many times what it is expected to fall would not bring it level: where it
slows down as 1 / steps, it falls 4 times as far as by the same share each time."""
ALIKE = 0.985
"""Cosine of the components that differ most, above which two starts are on one way: 10°."""


class Heats(Judge):
    """Drops starts by their losses, first the worse half, then those that cannot win any more.

    Losses are those of the terms that are one fixed objective, on all that the objective reads;
    starts are ranked by where each would end if it went on to slow down as it does. Of the last
    few, one goes on until it is behind, or has come to where a better one is, too.

    References:
        Jamieson & Talwalkar, AISTATS (2016), on successive halving.

    Args:
        starts: their number.
        pace: steps of the solver that count as one here.
        kept: starts that go on in any case.
    """

    def __init__(self, starts: int, pace: int = 1, kept: Collection[int] = ()) -> None:
        self.starts, self.pace, self.left = starts, pace, list(range(starts))
        self.kept = set(kept)
        self.reasons: dict[int, Status] = {}
        self.before = self.made = 0  # steps of earlier descents, and of this one
        self.at_once = False

    def on(self, objective: Objective) -> Heats:
        """The same race, to go on with in another descent of all starts."""
        self.objective, self.fixed = objective, objective.fixed
        self.before, self.made = self.before + self.made, 0
        return self

    def ran_on_part(self) -> None:
        """They are judged at once by where a run on a part of the data has led, on all of them."""
        self.before, self.at_once = HEATS[-1][0] * self.pace, True

    def dropped(self, outcome: Outcome, running: Sequence[int]) -> dict[int, Status]:
        self.made = len(outcome.history) - 1
        if (self.made or self.at_once) and len(self.left) > 1:
            steps, more = divmod(self.before + self.made, self.pace)
            if not more:
                self._judge(outcome, steps)
        return {row: self.reasons[row] for row in running if row in self.reasons}

    def _judge(self, outcome: Outcome, steps: int) -> None:
        ends = expected_ends(outcome, self.fixed)
        best_first = sorted(self.left, key=lambda row: ends[row])
        share = dict(HEATS).get(steps)
        if share is not None:
            places = max(FINALISTS, ceil(share * self.starts))
            self._drop(best_first[places:], Status.DROPPED)
        elif steps in LOOKS:
            leader = float(self._loss(outcome.terms)[best_first].min())
            hopes = expected_ends(outcome, self.fixed, DOUBT)
            self._drop([row for row in best_first[1:] if hopes[row] > leader], Status.DROPPED)
            self._drop(self._repeated(outcome, best_first), Status.ALIKE)

    def _repeated(self, outcome: Outcome, best_first: Sequence[int]) -> list[int]:
        """Those that stand where one stands that is expected to end lower."""
        left = [row for row in best_first if row in self.left]
        rows = sorted(left, key=lambda row: row not in self.kept)  # of two alike the one that stays
        with torch.no_grad():
            values = self.objective.values(outcome.flat[rows])
        signed = {s.name for s in self.objective.slots if s.module is not None and s.module.signed}
        told = {n: v for n, v in values.items() if n not in signed} or values
        found: list[int] = []
        for place, row in enumerate(rows):
            better = [i for i in range(place) if rows[i] not in found]
            if any(likeness(told, i, place) > ALIKE for i in better):
                found.append(row)
        return found

    def _drop(self, rows: Sequence[int], reason: Status) -> None:
        rows = [row for row in rows if row not in self.kept]
        self.reasons |= dict.fromkeys(rows, reason)
        self.left = [row for row in self.left if row not in self.reasons]

    def _loss(self, terms: Tensor) -> Tensor:
        return terms[:, torch.tensor(self.fixed, device=terms.device)].sum(1)


def expected_ends(outcome: Outcome, fixed: Sequence[bool], times: float = 1.0) -> list[float]:
    """The loss at which each start would end, by the last third of its way and the one before it.

    Falls that shrink by one factor each time add up as a geometric series (Aitken); +∞ where the
    loss is not finite. What has ended stays where it is.

    Args:
        outcome: with its history.
        fixed: for every term whether it counts.
        times: as many times this fall.
    """
    chosen = torch.tensor(list(fixed), device=outcome.terms.device)
    now = outcome.terms[:, chosen].sum(1)
    span = (len(outcome.history) - 1) // 3
    if span:
        late, early = (outcome.history[-1 - n][:, chosen].sum(1) for n in (span, 2 * span))
        fall = (late - now).clamp_min(0)
        share = (fall / (early - late).clamp_min(torch.finfo(now.dtype).tiny)).clamp(0, SLOWING)
        rest = times * fall * share / (1 - share)
        now = now - torch.where(torch.isfinite(outcome.history[-1]).all(1), rest, 0)
    return now.nan_to_num(nan=torch.inf).tolist()


def likeness(values: Values, i: int, j: int) -> float:
    """The least |cosine| of matched components of two starts, over all factors that have columns.

    The nearest pair is matched first, then the nearest of what is left: of starts on one way every
    component has one partner. 0 where there are no columns, as then it cannot be told.
    """
    units = [
        torch.nn.functional.normalize(v[[i, j]], dim=1) for v in values.values() if v.ndim == 3
    ]
    if len(units) < len(values) or len({u.shape[2] for u in units}) != 1:
        return 0.0
    cosines = torch.stack([(u[0].T @ u[1]).abs() for u in units]).cpu()
    worst, near = cosines.amin(0), cosines.sum(0)
    least, K = 1.0, len(near)
    for _ in range(K):
        row, column = divmod(int(near.argmax()), K)
        least = min(least, float(worst[row, column]))
        near[row], near[:, column] = -1, -1
    return least

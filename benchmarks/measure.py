"""The protocol, the same for all methods: efforts, clock, memory, and when one is given up."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks import memory
from benchmarks.loops import Moment
from benchmarks.methods import OURS, Method
from benchmarks.problems import Problem

SETTLED = 1e-6
"""So near to the best loss known, a peer's further efforts can tell nothing."""
PROGRESS = 1e-7
"""A peer has ended where twice the time lowers its loss by less than this share."""
LEAST = 0.2
"""Seconds that every peer is granted."""


@dataclass(frozen=True)
class Point:
    """What one effort reached."""

    seconds: float
    loss: float
    peak: int | None


@dataclass
class Trace:
    """What one method reached with rising effort on one problem."""

    method: Method
    points: list[Point] = field(default_factory=list)
    given_up: bool = False

    @property
    def loss(self) -> float:
        """The lowest."""
        return min(point.loss for point in self.points)

    @property
    def spent(self) -> float:
        """Seconds of the longest effort."""
        return max(point.seconds for point in self.points)

    @property
    def peak(self) -> int | None:
        """Most bytes in use, above what was there before the data were made."""
        known = [point.peak for point in self.points if point.peak is not None]
        return max(known) if known else None

    def reach(self, level: float, best: float) -> float:
        """Seconds of the first effort within this share of the best loss; ∞ if there is none."""
        target = best + level * abs(best)
        return next((p.seconds for p in self.points if p.loss <= target), np.inf)


def warm_up(tiny: Problem, peers: Sequence[Method]) -> list[Method]:
    """The peers that run, each tried on a tiny problem: nothing is loaded within a time then."""
    work = []
    for method in (OURS, *peers):
        try:
            _next(method.moments(tiny, 0.0))
        except Exception as error:  # whatever a peer complains of, the others go on
            if method is OURS:
                raise
            note(f"{method.name}: skipped: {type(error).__name__}: {error}")
        else:
            work.append(method)
    return work[1:]


def compare(
    problem: Problem, peers: Sequence[Method], *, level: float, give_up: float, before: int | None
) -> list[Trace]:
    """This software first, then its peers one after another on the same data.

    Args:
        problem: data, start and loss.
        peers: methods to compare with.
        level: share above the best loss at which times are compared.
        give_up: a peer is stopped once it has taken so many times our time.
        before: bytes in use before the data were made.
    """
    ours = trace(OURS, problem, np.inf, np.inf, before)
    limit = max(LEAST, give_up * ours.reach(level, ours.loss))
    traces, best = [ours], ours.loss
    for peer in peers:
        traces.append(trace(peer, problem, limit, best, before))
        best = min(best, traces[-1].loss)
    return traces


def trace(method: Method, problem: Problem, limit: float, best: float, before: int | None) -> Trace:
    """Efforts of one method until it has settled or its time is over; all if there is no limit."""
    found = Trace(method)
    moments = method.moments(problem, limit)
    while not (found.points and limit < np.inf and _over(found, limit, best)):
        known = memory.reset()
        moment = _next(moments)
        if moment is None:
            break
        seconds, factors = moment
        peak = memory.peak() if known else None
        above = None if peak is None or before is None else peak - before
        loss = problem.loss(factors)
        found.points.append(Point(seconds, loss if np.isfinite(loss) else np.inf, above))
    last = found.points[-1]
    note(f"  {method.name}: {len(found.points)} efforts, {last.seconds:.3g} s, {found.loss:.9g}")
    return found


def _next(moments: Iterator[Moment]) -> Moment | None:
    """The next effort, without what peers warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return next(moments, None)


def _over(found: Trace, limit: float, best: float) -> bool:
    """Whether a peer is given up, has come to the best loss known, or makes no progress."""
    last = found.points[-1]
    if abs(found.loss - best) <= SETTLED * abs(best):
        return True
    if last.seconds >= limit:
        found.given_up = True
        return True
    earlier = [p.loss for p in found.points if p.seconds <= last.seconds / 2]
    return bool(earlier) and min(earlier) - found.loss <= PROGRESS * abs(found.loss)


def note(line: str) -> None:
    """Progress, beside the table."""
    print(line, file=sys.stderr, flush=True)

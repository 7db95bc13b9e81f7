"""What all solvers share: options in a dataclass, a batch of starts in, a batch of answers out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from numbers import Real
from typing import ClassVar

from torch import Tensor

from fusion.algebra.calls import whole_number
from fusion.engine.objective import Objective
from fusion.engine.thread_count import suitably_threaded
from fusion.engine.variables import States
from fusion.solvers.track import Judge, Outcome, Track
from fusion.solvers.watch import Watch

SCOUTED = 1e-5
"""Relative change at which starts are compared: what compressing the data costs is of this size."""


class Solver(ABC):
    """Options of a method; `minimise` runs it on a batch of starts."""

    tolerance: float
    window: int
    max_steps: int
    pace: ClassVar[int] = 1
    """Steps that bring a start as far as one of Gauss–Newton, about: a race waits for so many."""
    on_sums: ClassVar[bool] = False
    """Whether what all pixels have in common is found on sums of pixels."""
    approached: ClassVar[bool] = True
    """Whether an easier loss should lead it near the data first."""

    def minimise(
        self,
        objective: Objective,
        flat: Tensor,
        watch: Watch,
        max_steps: int,
        states: States | None = None,
        judge: Judge | None = None,
    ) -> Outcome:
        """From every row of `flat` (start, n) downhill; the best point of each, also on ctrl-C.

        A judge is asked after every step which starts are not worth another one.
        """
        track = Track(objective, flat, self.tolerance, self.window, watch, judge)
        states = objective.no_states() if states is None else states
        try:
            with suitably_threaded(objective, len(flat), by_ranges=self.on_sums):
                self.descend(objective, flat, states, track, max_steps)
        except KeyboardInterrupt:
            track.interrupt(states)
        return track.outcome

    def scouting(self) -> Solver:
        """The same, to tell good starts from bad ones."""
        return self

    def looking(self) -> Solver:
        """The solver for a first look at some of the pixels."""
        return self

    def until(self, tolerance: float) -> Solver:
        """The same to another tolerance."""
        return replace(self, tolerance=tolerance)  # pyright: ignore[reportArgumentType, reportCallIssue, reportReturnType]

    def filling(self) -> Solver:
        """The same, for the few steps in which some factors follow others that are held."""
        return replace(self, max_steps=2)  # pyright: ignore[reportArgumentType, reportCallIssue, reportReturnType]

    def polishing(self) -> Solver:
        """The same, for a start that is very near its end."""
        return self

    def jumped(self) -> Solver:
        """The same, for points that a jump has led far from where they belong."""
        return self

    def resumed(self, outcome: Outcome, row: int) -> Solver:
        """The same, to go on from where a start has ended."""
        return self

    @abstractmethod
    def descend(
        self, objective: Objective, flat: Tensor, states: States, track: Track, max_steps: int
    ) -> None:
        """Go downhill, giving every point to `track.record` until it says that all have ended.

        At most `max_steps` steps, so one record more; `states` are an earlier descent's, or empty.
        """

    def check_options(self) -> None:
        """Complain of numbers that mean nothing.

        Raises:
            ValueError: naming the option.
        """
        name = type(self).__name__
        whole_number(f"{name}(max_steps={self.max_steps!r})", self.max_steps, least=0)
        whole_number(f"{name}(window={self.window!r})", self.window)
        if not (isinstance(self.tolerance, Real) and 0 <= self.tolerance < 1):
            raise ValueError(
                f"`{name}(tolerance={self.tolerance!r})`: give a relative change of the loss, "
                "0 or more and below 1."
            )

    def check(self, objective: Objective) -> None:  # noqa: B027
        """Complain of what the method cannot do.

        Raises:
            ValueError: naming it, and what to use instead.
        """

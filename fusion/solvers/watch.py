"""What one fit listens to on its way: the clock, Ctrl-C, the display and the user's callback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Watch:
    """The clock, the progress display and the user's callback of one fit."""

    deadline: float = float("inf")
    report: Callable[[int, Tensor], object] = lambda step, loss: None
    """Told (step, best loss of every start); a true answer stops the fit."""
    stopped: bool = False
    """Whether it was stopped: what would follow ends at its first step."""
    tell: Callable[[Callable[[], str]], object] = lambda now: None
    """Told at every step how to say what is done now."""
    doing: str = "descent"
    """What that is a step of."""

    @property
    def late(self) -> bool:
        """Whether the time that was granted is over."""
        return time.monotonic() > self.deadline

    @contextmanager
    def at(self, doing: str) -> Iterator[None]:
        """What is done within."""
        before, self.doing = self.doing, doing
        try:
            yield
        finally:
            self.doing = before

    def kept(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What it gives; hit by Ctrl-C, it is asked once more: an answer cannot do without it.

        All descents that follow end at their first step. A second Ctrl-C ends the fit.
        """
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt:
            self.stopped = True
            return function(*args, **kwargs)

    @contextmanager
    def dispensable(self) -> Iterator[None]:
        """What an answer can do without: Ctrl-C ends it, and the answer is what it was before."""
        try:
            yield
        except KeyboardInterrupt:
            self.stopped = True

"""What became of a draw: an answer that holds, the package's own refusal, or a failure."""

from __future__ import annotations

import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import fusion as fu

SLOW = 5.0
"""Seconds of a processor that a draw may take."""
HANGS = 60
"""Seconds after which it is cut off."""
OWN = (ValueError, TypeError, OSError, ImportError)
"""What the package says no with."""


class Refused(ValueError):
    """A refusal that a draw itself has made sure of, such as a command line's status 1."""


class TooLong(BaseException):
    """A draw that did not end."""


@dataclass(frozen=True)
class Outcome:
    """One draw.

    Attributes:
        draw: its number.
        what: what was asked, in a line.
        verdict: "answer", "refusal" or "failure".
        reason: the refusal, or what is wrong.
        seconds: how long it took.
        group: what its kind is counted by.
    """

    draw: int
    what: str
    verdict: str
    reason: str
    seconds: float
    group: str = ""


@dataclass
class Steps:
    """How many steps were made before it ended; the callback of a fit."""

    made: int = 0

    def __call__(self, step: int, loss: Any) -> None:
        self.made = max(self.made, step)


def judged(
    draw: int, what: str, ask: Callable[[], str], steps: Steps | None = None, group: str = ""
) -> Outcome:
    """The outcome of asking.

    Args:
        draw: its number.
        what: the call, in a line.
        ask: gives what is wrong with the answer, "" where nothing is.
        steps: of the fit that is asked for: a refusal comes before the first.
        group: what it is counted by.
    """
    begun = time.process_time()  # what others do on the machine is not its fault
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # of readers, in what they cannot read
        try:
            with _limited():
                wrong = ask()
            verdict = "failure" if wrong else "answer"
        except TooLong:
            verdict, wrong = "failure", f"no end in {HANGS} s"
        except Exception as error:  # whatever it is, it is judged
            verdict, wrong = _of_error(error, steps or Steps())
    seconds = time.process_time() - begun
    if foreign := [w for w in heard if not _own_warning(w)]:
        first = foreign[0]
        at = f"{Path(first.filename).name}:{first.lineno}"
        verdict, wrong = "failure", f"leaks {first.category.__name__} at {at}: {first.message}"
    if seconds > SLOW and verdict != "failure":
        verdict, wrong = "failure", f"slow: {seconds:.1f} s"
    return Outcome(draw, what, verdict, " ".join(wrong.split())[:300], seconds, group)


def _of_error(error: Exception, steps: Steps) -> tuple[str, str]:
    frames = traceback.extract_tb(error.__traceback__)
    said = f"{type(error).__name__}: {error}"
    at = f" (at {Path(frames[-1].filename).name}:{frames[-1].lineno})"
    if not is_own(error):
        return "failure", f"foreign {said.splitlines()[0]}{at}"
    if steps.made:
        return "failure", f"after {steps.made} steps: {said}{at}"
    return "refusal", said


def is_own(error: BaseException) -> bool:
    """Whether the package itself raised it, in words that name the call or the file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_by = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    if isinstance(error, Refused):
        return True
    named = any(mark in str(error) for mark in ("`", "--", "/", "'", ": "))
    return isinstance(error, OWN) and named and raised_by.split(".")[0] == "fusion"


def _own_warning(warning: warnings.WarningMessage) -> bool:
    if issubclass(warning.category, fu.FusionWarning):
        return True
    return warning.category is UserWarning and str(warning.message).startswith("`")


@contextmanager
def _limited() -> Iterator[None]:
    """Cut off what does not end, where the system has timers and this is the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANGS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

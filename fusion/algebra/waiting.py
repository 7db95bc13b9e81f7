"""Waiting: one line that says what is done now, for a step and all the steps within it.

On a terminal and in a notebook it is shown after two seconds and kept up to date; elsewhere the
log (`logging.getLogger("fusion")`, level INFO) has a line every half a minute. A thread looks at
the clock meanwhile: a step is told of though it is one long call of another package.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 2.0
"""Seconds of a step without a word."""
OFTEN, SELDOM = 0.25, 30.0
"""Seconds between words on a terminal, and in a log."""
MINUTE = 60

LOG = logging.getLogger("fusion")
_present: ContextVar[Waiting | None] = ContextVar("what is waited for", default=None)


class Waiting:
    """What is being done, from the outermost step to the innermost.

    Args:
        shown: whether anything is said at all.
    """

    def __init__(self, shown: bool) -> None:
        self.shown, self.begun = shown, time.monotonic()
        self.live = shown and _is_live()
        self.said = self.begun + PATIENCE - OFTEN if self.live else self.begun
        self.steps: list[Step] = []
        self._bar: Any = None
        self._kind = _kind_of_line() if self.live else None  # here, as imports may warn
        self._lock, self._over = threading.Lock(), threading.Event()
        if self.live or (shown and LOG.isEnabledFor(logging.INFO)):
            threading.Thread(target=self._look_on, name="sdfusion waiting", daemon=True).start()

    def look(self, ask: bool = True) -> None:
        """Say what is done now, if it is time.

        Args:
            ask: whether steps are asked for their words; else what they said last is said again.
        """
        with self._lock:
            now = time.monotonic()
            between = OFTEN if self.live else SELDOM
            if not self.shown or self._over.is_set() or now - self.said < between:
                return
            self.said = now
            line = self.line(now, ask)
            if not self.live:
                LOG.info(line)
                return
            if self._bar is None:
                self._bar = _line_on_screen(self._kind)
            self._bar.set_description_str(line)

    def _look_on(self) -> None:
        """Look again and again, as another thread, which must not ask what is at work."""
        while not self._over.wait(OFTEN if self.live else max(SELDOM, OFTEN)):
            self.look(ask=False)

    def line(self, now: float, ask: bool = True) -> str:
        """All steps, and how long they have taken."""
        told = "; ".join(step.words(ask) for step in tuple(self.steps))
        return f"{told} ({_duration(now - self.begun)})"

    def close(self) -> None:
        """Take the line away."""
        self._over.set()
        with self._lock:
            if self._bar is not None:
                self._bar.close()


class Step:
    """One step: what it is, and what it does now."""

    def __init__(self, waiting: Waiting, name: str) -> None:
        self.waiting, self.name = waiting, name
        self.now: str | Callable[[], str] = ""
        self.part = (0, 0)
        self._said = ""

    def say(self, now: str | Callable[[], str], done: int = 0, total: int = 0) -> None:
        """What is done now.

        Args:
            now: in words; a function is asked only when they are shown.
            done: parts that are done, of `total`; 0: nobody knows how many there are.
            total: parts in all.
        """
        self.now, self.part = now, (done, total)
        self.waiting.look()

    def words(self, ask: bool = True) -> str:
        """Name, part and what is done now."""
        if not callable(self.now):
            self._said = self.now
        elif ask:
            self._said = self.now()
        done, total = self.part
        count = f" {min(done + 1, total)} of {total}" if total else ""
        return f"{self.name}{count}: {self._said}" if self._said else f"{self.name}{count}"


@contextmanager
def waiting(name: str, progress: bool = True) -> Iterator[Step]:
    """A step that may take long; within another one it speaks on that one's line.

    Args:
        name: what it is called.
        progress: whether it says anything; a step within another does what that one does.

    Raises:
        KeyboardInterrupt: by Ctrl-C, with a note, where the step does not keep what it has.
    """
    outer = _present.get()
    present = Waiting(progress) if outer is None else outer
    token = _present.set(present)
    step = Step(present, name)
    present.steps.append(step)
    try:
        yield step
    except KeyboardInterrupt as stop:
        if outer is None and not getattr(stop, "__notes__", ()):
            stop.add_note(f"`{name}` was stopped before its end: nothing of it is kept.")
        raise
    finally:
        present.steps.remove(step)
        _present.reset(token)
        if outer is None:
            present.close()


def waited_for(function: Callable[P, T]) -> Callable[P, T]:
    """A function with the option `progress`: all that it does is a step of its name."""

    @wraps(function)
    def step(*args: P.args, **kwargs: P.kwargs) -> T:
        with waiting(function.__name__, bool(kwargs.get("progress", True))):
            return function(*args, **kwargs)

    return step


def say(now: str | Callable[[], str], done: int = 0, total: int = 0) -> None:
    """What the innermost step does now, if there is one; as `Step.say`."""
    present = _present.get()
    if present is not None and present.steps:
        present.steps[-1].say(now, done, total)


def _is_live() -> bool:
    """Whether a line can be kept up to date: on a terminal, or in a notebook."""
    return _stderr_is_terminal() or _in_notebook()


def _stderr_is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _kind_of_line() -> Any:
    """The class of a line: on a terminal as wide as that, in a notebook a widget if it has them."""
    if not _in_notebook():
        from tqdm import tqdm

        return tqdm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without widgets gets plain text
        from tqdm.auto import tqdm as of_notebooks

        return of_notebooks


def _line_on_screen(kind: Any) -> Any:
    """A line of tqdm without a bar."""
    return kind(total=0, bar_format="{desc}", leave=False, dynamic_ncols=True)


def _duration(seconds: float) -> str:
    """12 s, 3 min, 2 h 5 min."""
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE)
    if minutes < MINUTE:
        return f"{minutes} min"
    return f"{minutes // MINUTE} h {minutes % MINUTE} min"

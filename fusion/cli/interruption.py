"""Ctrl-C and SIGTERM: what a command has is kept and written, and its exit status tells."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
last: list[int] = []
"""Signals that this command has got."""


def exit_status() -> int:
    """128 and the number of the signal, as shells count: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (last[-1] if last else signal.SIGINT)


@contextmanager
def as_exceptions() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: with what it has."""
    last.clear()

    def raised(number: int, _frame: Any) -> None:
        last.append(number)
        raise KeyboardInterrupt

    with _handling(raised):
        yield


@contextmanager
def deferred() -> Iterator[list[int]]:
    """What must be done to its end, such as files: signals wait; a second one does not.

    Yields:
        The signals that came.
    """
    came: list[int] = []

    def noted(number: int, _frame: Any) -> None:
        last.append(number)
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    with _handling(noted):
        yield came


@contextmanager
def _handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Signals go to the handler; only a program's main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, handler) for each in SIGNALS}
    try:
        yield
    finally:
        for each, old in before.items():
            signal.signal(each, old)

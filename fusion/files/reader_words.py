"""What a reader says while it reads: its warnings and its log."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("rsciio", "tifffile")
IDLE = re.compile(
    r"lumispy|only one spectrum stream|unclosed file|fast cython|fast unbcf"
    r"|is not supported by tests|deprecat",
    re.IGNORECASE,
)
"""What they say of themselves, not of the data."""


class _Listener(logging.Handler):
    """Keeps what is logged from warnings upwards."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def heard() -> Iterator[list[str]]:
    """What is warned of or logged within it, a line each; nothing of it is shown."""
    said: list[str] = []
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(each.propagate, each.level, each.handlers) for each in loggers]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            for each in loggers:
                each.propagate, each.handlers = False, [listener]
                each.setLevel(logging.WARNING)
            yield said
        finally:
            for each, (propagate, level, handlers) in zip(loggers, before, strict=True):
                each.propagate, each.handlers = propagate, handlers
                each.setLevel(level)
            texts = [*listener.texts, *(str(w.message) for w in caught if _of_data(w))]
            said += [line for text in dict.fromkeys(texts) if (line := _line(text))]


def _of_data(warning: warnings.WarningMessage) -> bool:
    """Whether it is for users, not for programmers."""
    idle = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, FutureWarning)
    return not issubclass(warning.category, idle)


def _line(text: str) -> str:
    """The text in one line; empty where it says nothing of the data."""
    return "" if IDLE.search(text) else " ".join(text.split())

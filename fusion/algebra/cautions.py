"""Cautions: what is given all the same, with a word on what it rests on; needs no torch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class FusionWarning(UserWarning):
    """Something that a user should know before an answer is believed; kept in `result.messages`.

    Silenced by class: `warnings.simplefilter("ignore", fusion.NoiseWarning)`.
    """


class NoiseWarning(FusionWarning):
    """The noise is not what the loss assumes: weights between data sets, error bars, ranks."""


class ScaleWarning(FusionWarning):
    """A unit or a scale is in doubt."""


class CutWarning(FusionWarning):
    """Something was lost, filled or extrapolated."""


class ClaimWarning(FusionWarning):
    """An answer claims more than the data support, or is none yet."""


class FileWarning(FusionWarning):
    """Of a file something was left out, or its reader or its calibration is in doubt."""


class MemoryWarning(FusionWarning):
    """What is lazy is read whole, and takes much of the memory."""


PASSED = ("fusion", "contextlib", "torch")
"""Packages whose lines are not the user's."""


def users_line() -> int:
    """The `stacklevel` of the first line that is not the package's own, for who asks."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in PASSED:
        frame, level = frame.f_back, level + 1
    return level


@contextmanager
def kept_cautions() -> Iterator[list[str]]:
    """Texts of the cautions that are raised within it, each once; raised again at its end.

    What a user has silenced is kept all the same. Other warnings pass as they are.
    """
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FusionWarning)
        yield texts
    cautions: dict[str, type[Warning]] = {}
    for warning in caught:
        if issubclass(warning.category, FusionWarning):
            cautions.setdefault(str(warning.message), warning.category)
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    texts += cautions
    for text, category in cautions.items():
        warnings.warn(text, category, stacklevel=users_line())

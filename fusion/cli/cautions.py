"""Cautions of the package at the command line: a line each on standard error, none twice."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fusion.algebra.cautions import FusionWarning
from fusion.cli.words import command_words


@contextmanager
def cautions_in_lines() -> Iterator[None]:
    """Other warnings are shown as Python shows them."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", FusionWarning)
        usual = warnings.showwarning

        def show(message: Any, category: Any, *place: Any, **more: Any) -> None:
            if not issubclass(category, FusionWarning):
                usual(message, category, *place, **more)
            elif (text := " ".join(command_words(str(message)).split())) not in said:
                said.add(text)
                print(f"warning: {text}", file=sys.stderr)

        warnings.showwarning = show
        yield

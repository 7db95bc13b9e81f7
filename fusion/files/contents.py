"""What a file holds, before it is read, and the choice among it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion.algebra.axis import Axes
from fusion.data.dataset import Dataset

LISTED = 12  # entries that a message names


@dataclass(frozen=True)
class Found:
    """One data set of a file.

    Args:
        name: under which it is chosen.
        shape: of its array.
        dtype: of its array.
        axes: of its array.
        open: reads it.
        meant: whether it is the one where none is chosen.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    axes: Axes
    open: Callable[[], Dataset]
    meant: bool = False

    def __str__(self) -> str:
        along = ", ".join(axis.name for axis in self.axes)
        return f"{self.name} {self.shape} {self.dtype} ({along})"


def chosen(found: Sequence[Found]) -> Found | None:
    """The one that is meant where none is named: the only one, or the one marked; else None."""
    meant = list(found) if len(found) == 1 else [each for each in found if each.meant]
    return meant[0] if len(meant) == 1 else None


def pick(path: Path, found: Sequence[Found], signal: str) -> Found:
    """The one of this name, in upper or lower case.

    Raises:
        ValueError: if there is none.
    """
    exact = [each for each in found if each.name == signal]
    alike = [each for each in found if each.name.casefold() == str(signal).casefold()]
    if not (matching := exact or alike):
        raise ValueError(
            f"{path}: no data set {signal!r} in it, but {listed(found)}: choose one of these."
        )
    if len(matching) > 1:
        raise ValueError(
            f"{path}: {signal!r} could be {listed(matching)}: write the name as it is there."
        )
    return matching[0]


def listed(things: Sequence[Any]) -> str:
    """The things in one line, the first dozen of them."""
    said = "; ".join(str(each) for each in things[:LISTED]) or "nothing"
    return said if len(things) <= LISTED else f"{said}; and {len(things) - LISTED} more"


def line(error: BaseException, width: int = 200) -> str:
    """The first line of what an error says, cut to a width; its type if it says nothing."""
    said = next((part.strip() for part in str(error).splitlines() if part.strip()), "")
    said = said.rstrip(".:; ")
    return f"{said[:width]}…" if len(said) > width else said or type(error).__name__

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
class StoredDataset:
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
    default: bool = False

    def __str__(self) -> str:
        along = ", ".join(axis.name for axis in self.axes)
        return f"{self.name} {self.shape} {self.dtype} ({along})"


def default_of(contents: Sequence[StoredDataset]) -> StoredDataset | None:
    """The one that is meant where none is named: the only one, or the one marked; else None."""
    defaults = list(contents) if len(contents) == 1 else [each for each in contents if each.default]
    return defaults[0] if len(defaults) == 1 else None


def pick(path: Path, contents: Sequence[StoredDataset], signal: str) -> StoredDataset:
    """The one of this name, in upper or lower case.

    Raises:
        ValueError: if there is none.
    """
    exact = [entry for entry in contents if entry.name == signal]
    alike = [entry for entry in contents if entry.name.casefold() == str(signal).casefold()]
    if not (matching := exact or alike):
        raise ValueError(
            f"{path}: no data set {signal!r} in it, but {listed(contents)}: choose one of these."
        )
    if len(matching) > 1:
        raise ValueError(
            f"{path}: {signal!r} could be {listed(matching)}: write the name as it is there."
        )
    return matching[0]


def listed(things: Sequence[Any]) -> str:
    """The things in one line, the first dozen of them."""
    text = "; ".join(str(each) for each in things[:LISTED]) or "nothing"
    return text if len(things) <= LISTED else f"{text}; and {len(things) - LISTED} more"


def first_line(error: BaseException, width: int = 200) -> str:
    """The first line of what an error says, cut to a width; its type if it says nothing."""
    text = next((part.strip() for part in str(error).splitlines() if part.strip()), "")
    text = text.rstrip(".:; ")
    return f"{text[:width]}…" if len(text) > width else text or type(error).__name__

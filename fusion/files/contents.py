"""What a file holds, before it is read, and the choice among it."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion.algebra.axis import Axes
from fusion.data.dataset import Dataset

LISTED = 12  # entries that a message names
DASHES = str.maketrans("–—−", "---")


@dataclass(frozen=True)
class StoredDataset:
    """One data set of a file.

    Args:
        name: under which it is chosen.
        shape: of its array.
        dtype: of its array.
        axes: of its array.
        open: reads it.
        default: whether it is the one where one must be chosen and none is named.
        signal: how many of the last axes are spectral.
        made_from: of what in the file it was computed; empty for what was measured.
        detector: that it is of, as the file calls it; empty where it does not say.
        cautions: what a user should hear of how it was read; also in its history.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    axes: Axes
    open: Callable[[], Dataset]
    default: bool = False
    signal: int = 1
    made_from: str = ""
    detector: str = ""
    cautions: tuple[str, ...] = ()

    @property
    def pixels(self) -> tuple[int, ...]:
        """Lengths of the axes that are not spectral; () for a single spectrum."""
        return self.shape[: len(self.shape) - self.signal]

    @property
    def is_map(self) -> bool:
        """Whether it has a spectrum at each of several pixels."""
        return self.signal == 1 and bool(self.pixels)

    @property
    def kind(self) -> str:
        """In a word: "map", "line of spectra", "spectrum", "image", "images", "patterns"."""
        if self.signal == 1:
            return ("spectrum", "line of spectra", "map")[min(len(self.pixels), 2)]
        if self.signal == 0:
            return "image" if len(self.shape) == 2 else "images"
        return "patterns"

    @property
    def origin(self) -> str:
        """The kind, and of what it was made, or which detector it is of."""
        return ", ".join(part for part in (self.kind, self.made_from or self.detector) if part)

    def __str__(self) -> str:
        along = ", ".join(axis.name for axis in self.axes)
        return f"{self.name} {self.shape} {self.dtype} ({along})"


class SeveralDatasets(ValueError):
    """Several data sets of a file could be meant, and none was named.

    Attributes:
        path: of the file.
        contents: all that could be meant.
    """

    def __init__(self, path: Path, contents: Sequence[StoredDataset]) -> None:
        self.path, self.contents = path, list(contents)
        super().__init__(self.lines("signal="))

    def lines(self, option: str) -> str:
        """A headline, and a line to paste for each: `option` and the name, then what it is."""
        texts = [f'  {option}"{each.name}"' for each in self.contents]
        width = max(map(len, texts))
        rows = [
            f"{text:<{width}}  {' × '.join(map(str, each.shape))} {each.origin}"
            for text, each in zip(texts, self.contents, strict=True)
        ]
        return "\n".join([f"{self.path}: several data sets could be meant, choose one:", *rows])


def default_of(contents: Sequence[StoredDataset]) -> StoredDataset | None:
    """The one that is meant where none is named, else None.

    It is the only one; or the one marked; or the only map of what was measured.
    """
    if len(contents) == 1:
        return contents[0]
    measured = [each for each in contents if not each.made_from]
    marked = [each for each in measured if each.default]
    maps = [each for each in measured if each.is_map]
    return next((some[0] for some in (marked, maps) if len(some) == 1), None)


def meant(path: Path, contents: Sequence[StoredDataset], signal: str | None) -> StoredDataset:
    """The one named; where none is, the only one, the one marked, or the only map.

    Raises:
        SeveralDatasets: where it must be said which.
        ValueError: if there is none of that name.
    """
    found = default_of(contents) if signal is None else pick(path, contents, signal)
    if found is None:
        raise SeveralDatasets(path, contents)
    return found


def pick(path: Path, contents: Sequence[StoredDataset], signal: str) -> StoredDataset:
    """The one of this name: upper and lower case, and kinds of dashes, are the same.

    Raises:
        ValueError: if there is none.
    """
    exact = [entry for entry in contents if entry.name == signal]
    alike = [entry for entry in contents if plain_name(entry.name) == plain_name(str(signal))]
    if not (matching := exact or alike):
        names = ", ".join(f'"{each.name}"' for each in contents)
        raise ValueError(f"{path}: no data set {signal!r} in it; there are {names}: give one.")
    if len(matching) > 1:
        raise ValueError(
            f"{path}: {signal!r} could be {listed(matching)}: write the name as it is there."
        )
    return matching[0]


def plain_name(name: str) -> str:
    """The name as it is compared: without case, with one kind of dash."""
    return name.casefold().translate(DASHES)


def free_name(base: str, taken: Container[str]) -> str:
    """The name, with a number behind it where it is taken: "eds", "eds_2"."""
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def listed(things: Sequence[Any]) -> str:
    """The things in one line, the first dozen of them."""
    text = "; ".join(str(each) for each in things[:LISTED]) or "nothing"
    return text if len(things) <= LISTED else f"{text}; and {len(things) - LISTED} more"


def first_line(error: BaseException, width: int = 200) -> str:
    """The first line of what an error says, cut to a width; its type if it says nothing."""
    text = next((part.strip() for part in str(error).splitlines() if part.strip()), "")
    text = text.rstrip(".:; ")
    return f"{text[:width]}…" if len(text) > width else text or type(error).__name__

"""`--bin N`, `AXIS=N`, `NAME=N`, `NAME:AXIS=N`: which axes of which data sets are meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import click

from fusion.algebra.unit_names import clean
from fusion.cli.named_options import fitting_names, kind_of, unused
from fusion.data.dataset import Dataset
from fusion.prepare.crop_bin import UNITS_OF, axis_index

EVERY = ""  # before the colon: every data set that has the axis


class Bin(NamedTuple):
    """One text: data set and axis that it names, None for none."""

    name: str | None
    axis: str | None
    number: int
    text: str


def bins_by_dataset(texts: Sequence[str], datasets: Sequence[Dataset]) -> dict[str, dict[str, int]]:
    """{data set: {axis: number}}; what names the data set goes before what does not.

    Raises:
        click.UsageError: if a text is no number, means nothing that is there or two things, or two
            are for the same axis.
    """
    asked = [_parsed(text, datasets) for text in texts]
    chosen: dict[str, dict[int, Bin]] = {data.name: {} for data in datasets}
    for entry in sorted(asked, key=lambda entry: entry.name is None):
        used, reasons = False, {}
        for data in (d for d in datasets if entry.name in (None, d.name)):
            axis = _axis(entry, data)
            if isinstance(axis, str):
                reasons[data.name] = axis
                continue
            other = chosen[data.name].setdefault(axis, entry)
            if other is not entry and (other.name is None) == (entry.name is None):
                raise click.UsageError(
                    f"--bin: {other.text}, {entry.text} are both for {data.axes[axis].name} of "
                    f"{data.name}: give one"
                )
            used |= other is entry
        if not used:
            raise unused("--bin", entry.text, reasons)
    return {
        data.name: {e.axis or data.axes[i].name: e.number for i, e in chosen[data.name].items()}
        for data in datasets
    }


def binned(data: Dataset, groups: Mapping[str, int]) -> Dataset:
    """The data set, neighbours summed.

    Raises:
        ValueError: if something would be left over, with what the command line can do about it.
    """
    for word, number in groups.items():
        i = axis_index(data, word, "--bin")
        size, axis = data.shape[i], data.axes[i]
        if number < 1 or number > size or size % number == 0:
            continue  # the first two `bin` itself complains of
        ways = [f"take {_one_of([n for n in range(2, size + 1) if size % n == 0])}"]
        if i == len(data.axes) - 1 and data.signal == 1:
            ends = axis.values[[0, size - size % number - 1]]
            flag = next((w for w, u in UNITS_OF.items() if clean(axis.units) in u), "channels")
            ways = [f'crop them, --{flag} "{data.name}={ends.min():.9g}:{ends.max():.9g}"', *ways]
        raise ValueError(
            f"--bin {number}: the {size} entries along {axis.name} of {data.name} do not divide by "
            f"{number}: {', or '.join(ways)}."
        )
    return data.bin(progress=True, **groups) if groups else data


def _one_of(numbers: Sequence[int]) -> str:
    """The first few of them."""
    return f"one of {', '.join(map(str, numbers[:6]))}" if len(numbers) > 1 else f"{numbers[0]}"


def _parsed(text: str, datasets: Sequence[Dataset]) -> Bin:
    """A text in its parts.

    Raises:
        click.UsageError: if it ends in no number, or its word is a data set and an axis.
    """
    word, equals, number = (part.strip() for part in text.rpartition("="))
    if not number.isdecimal() or (equals and not word):
        raise click.UsageError(
            f"--bin {text}: give a number of channels, AXIS=N, NAME=N or NAME:AXIS=N"
        )
    if not word:
        return Bin(None, None, int(number), text)
    names = [data.name for data in datasets]
    whole = fitting_names(word, names)
    axes = [axis.name for data in datasets for axis in data.axes]
    if whole and (fitting_names(word, axes) or word.casefold() in UNITS_OF):
        raise click.UsageError(
            f"--bin {text}: {word} is the name of a data set and of an axis: write "
            f'":{word}={number}" for the axis of all, "{whole[0]}:AXIS={number}" for the data set'
        )
    if len(whole) == 1:
        return Bin(whole[0], None, int(number), text)
    return _with_colon(word, int(number), text, names)


def _with_colon(word: str, number: int, text: str, names: Sequence[str]) -> Bin:
    """The longest name before a colon, which names may hold, too; else all of it is an axis."""
    for end in reversed([i for i, letter in enumerate(word) if letter == ":"]):
        name, axis = word[:end].strip(), word[end + 1 :].strip()
        fitting = fitting_names(name, names)
        if axis and (name == EVERY or len(fitting) == 1):
            return Bin(fitting[0] if fitting else None, axis, number, text)
    if ":" in word:
        name = word.partition(":")[0]
        there = ", ".join(f'"{each}"' for each in names)
        raise click.UsageError(f'--bin {text}: no data set "{name}"; there are {there}: give one')
    return Bin(None, word, number, text)


def _axis(entry: Bin, data: Dataset) -> int | str:
    """Which axis of a data set is meant, or why none is.

    Raises:
        ValueError: if several are.
    """
    if entry.axis is None:
        return len(data.axes) - 1 if data.signal == 1 else f"{kind_of(data)}, without channels"
    word = entry.axis.casefold().replace("_", " ")
    try:
        return axis_index(data, entry.axis, f"--bin {entry.text}")
    except ValueError:
        names = [axis.name.casefold() for axis in data.axes]
        if any(name.startswith(word) or f" {word}" in name for name in names):
            raise
    return f"has the axes {', '.join(axis.name for axis in data.axes)}"

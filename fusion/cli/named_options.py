"""Options that may name a data set, `--energy 95:150`, `--energy eels=95:150`: whom they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import click

from fusion.data.dataset import Dataset
from fusion.files.contents import plain_name

Suits = Callable[[Dataset, str, bool], str]
"""(data set, value, whether it is named) → "", or why the option can't be used for it."""


class Named(NamedTuple):
    """One text of an option: the data set that it names, None for all that it can mean."""

    name: str | None
    value: str
    text: str


def fitting_names(word: str, names: Sequence[str]) -> list[str]:
    """Names that a word means: as `--signal`, case and kinds of dashes do not matter."""
    exact = [name for name in names if name == word]
    return exact or [name for name in names if plain_name(name) == plain_name(word)]


def split_name(
    flag: str, text: str, names: Sequence[str], *, whole: Callable[[str], bool] = lambda text: False
) -> Named:
    """The data set that a text begins with, and what is asked for it; names may hold "=".

    Args:
        flag: of the option, such as "--energy".
        text: as it was given.
        names: of the data sets that there are.
        whole: whether a text without a name is a value although there is "=" in it, as a file's.

    Raises:
        click.UsageError: if there is no such data set, or several.
    """
    ends = [i for i, letter in enumerate(text) if letter == "="]
    for end in reversed(ends):
        fitting = fitting_names(text[:end].strip(), names)
        if len(fitting) > 1:
            raise click.UsageError(
                f"{flag} {text}: could be {_or(fitting)}: write the name as it is there"
            )
        if fitting:
            return Named(fitting[0], text[end + 1 :].strip(), text)
    if ends and not whole(text):
        word = text[: ends[-1]].strip()
        raise click.UsageError(
            f'{flag} {text}: no data set "{word}"; there {_are(names)}: give one, or no name'
        )
    return Named(None, text, text)


def by_dataset(
    flag: str,
    texts: Sequence[Named],
    datasets: Sequence[Dataset],
    suits: Suits,
    *,
    for_all: bool = False,
) -> dict[str, str]:
    """What an option says for each data set that it is used for; all that is given is used.

    Args:
        flag: of the option.
        texts: all that were given.
        datasets: all that there are.
        suits: why a value can't be used for a data set, if it can't.
        for_all: whether one without a name must suit every data set that none is named for.

    Raises:
        click.UsageError: if a text is used for none, with the reasons, or two are for the same.
    """
    chosen: dict[str, str] = {}
    for entry in sorted(texts, key=lambda entry: entry.name is None):  # names go before
        meant = [d for d in datasets if entry.name in (None, d.name)]
        if sum(entry.name == other.name for other in texts) > 1:
            given = ", ".join(each.text for each in texts if each.name == entry.name)
            raise click.UsageError(f"{flag}: {given} are for the same: give one")
        free = [data for data in meant if data.name not in chosen]
        reasons = {data.name: suits(data, entry.value, entry.name is not None) for data in free}
        chosen |= {name: entry.value for name, reason in reasons.items() if not reason}
        if (any if for_all and free else all)(reasons.values()):
            raise unused(flag, entry.text, {name: why for name, why in reasons.items() if why})
    return chosen


def unused(flag: str, text: str, reasons: dict[str, str]) -> click.UsageError:
    """The complaint of an option that was used for nothing; no reasons where all have their own."""
    why = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
    why = why or "every data set has one of its own: leave it away"
    return click.UsageError(f"{flag} {text}: cannot be used here: {why}")


def kind_of(data: Dataset) -> str:
    """In words, with its shape: "is an image (5 × 6)"."""
    shape = " × ".join(map(str, data.shape))
    if data.signal == 0:
        return f"is {'an image' if len(data.shape) == 2 else 'a stack of images'} ({shape})"
    return f"holds {'spectra' if data.signal == 1 else 'patterns'} ({shape})"


def _or(names: Sequence[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


def _are(names: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return f"{'is' if len(names) == 1 else 'are'} {listed}"

"""Parts of spectra: `--energy`, `--wavelength`, `--wavenumber`, `--channels`, windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import click

from fusion.algebra.unit_names import clean
from fusion.cli.named_options import Suits, by_dataset, kind_of, split_name
from fusion.data.dataset import Dataset
from fusion.prepare.crop_bin import UNITS_OF, axis_index

Window = tuple[float | None, float | None]


def cuts_by_dataset(
    given: Mapping[str, Sequence[str]], datasets: Sequence[Dataset]
) -> dict[str, Window]:
    """The part of its spectral axis that is wanted of each data set, in the axis' unit.

    Args:
        given: texts by option: "energy", "wavelength", "wavenumber", "channels".
        datasets: all that there are.

    Raises:
        click.UsageError: if a text cannot be used, or two options are for one data set.
    """
    cuts: dict[str, Window] = {}
    of_name = {data.name: data for data in datasets}
    for word, texts in given.items():
        flag = f"--{word}"
        for name, value in _chosen(flag, texts, datasets, _suits(word)).items():
            if name in cuts:
                raise click.UsageError(
                    f"{flag} {value}: another option cuts the spectra of {name}: give one"
                )
            window = parsed_window(flag, value)
            cuts[name] = _positions(of_name[name], window) if word == "channels" else window
    return cuts


def backgrounds_by_dataset(texts: Sequence[str], datasets: Sequence[Dataset]) -> dict[str, Window]:
    """The window of each data set of which a background is subtracted.

    Raises:
        click.UsageError: if a text cannot be used.
    """
    flag = "--background-window"
    chosen = _chosen(flag, texts, datasets, _spectra_only)
    return {name: parsed_window(flag, value) for name, value in chosen.items()}


def enclosing_window(wanted: Window, window: Window) -> Window:
    """Energies that are needed where those of the window are needed first."""
    (low, high), (begin, end) = wanted, window
    last = None if high is None or end is None else max(high, end)
    if low is None:
        return begin, last
    return None if begin is None else min(low, begin), last


def _suits(word: str) -> Suits:
    def suits(data: Dataset, value: str, named: bool) -> str:
        if data.signal != 1 or word == "channels":
            return _spectra_only(data, value, named)
        try:
            if axis_index(data, word, f"--{word}") == len(data.axes) - 1:
                return ""
        except ValueError:
            pass
        axis = data.channels[0]
        if not axis.units:
            return f"has {axis.size} {axis.name}s without a unit: --channels FIRST:LAST, from 0"
        mended = [w for w, units in UNITS_OF.items() if clean(axis.units) in units]
        mended = [f"--{w} {value}" for w in mended] or ["--channels FIRST:LAST, from 0"]
        return f"has {axis.name} in {axis.units}: {mended[0]}"

    return suits


def _spectra_only(data: Dataset, value: str, named: bool) -> str:
    return "" if data.signal == 1 else kind_of(data)


def _chosen(
    flag: str, texts: Sequence[str], datasets: Sequence[Dataset], suits: Suits
) -> dict[str, str]:
    """By data set, each text looked at first."""
    entries = [split_name(flag, text, [data.name for data in datasets]) for text in texts]
    for entry in entries:
        parsed_window(flag, entry.value)
    return by_dataset(flag, entries, datasets, suits)


def parsed_window(flag: str, text: str) -> Window:
    """(first, last) of "500:560"; either may be missing, both for the whole.

    Raises:
        click.UsageError: if it is none.
    """
    try:
        low, high = (float(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        low = high = float("nan")
    if not all(end is None or isfinite(end) for end in (low, high)):
        raise click.UsageError(f"{flag} {text}: give first:last, for instance 500:560")
    return low, high


def _positions(data: Dataset, window: Window) -> Window:
    """Where channels of these numbers are; an end that is open stays so.

    Raises:
        click.UsageError: if they are no numbers of channels.
    """
    x = data.channels[0].values
    ends = zip(window, (0.0, len(x) - 1.0), strict=True)
    numbers = [end if given is None else given for given, end in ends]
    first, last = (int(number) for number in numbers)
    if numbers != [first, last] or not 0 <= first <= last < len(x):
        raise click.UsageError(
            f"--channels {first}:{last}: {data.name} has the channels 0 to {len(x) - 1}: give "
            "whole numbers of these, the first before the last"
        )
    low, high = sorted((float(x[first]), float(x[last])))
    return low, high

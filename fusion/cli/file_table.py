"""What `info` says of a file: a table of its data sets, and the inspection of what are maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

from fusion.cli.used import extent
from fusion.cli.words import command_words
from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.files.contents import StoredDataset
from fusion.files.scan_members import sums_of_others
from fusion.prepare.inspection import Inspection, inspect
from fusion.prepare.single_spectrum import no_map

HEADER = ("name", "kind", "shape", "spectra", "type", "sum")
WIDTH = 100  # characters of a line
GAP = 2


def in_words(path: Path, found: Sequence[StoredDataset], *, every: bool) -> str:
    """A table, what is to be heard of how they were read, and the inspection of maps.

    Args:
        path: of the file.
        found: the data sets that are asked for.
        every: whether all are inspected, not maps alone; so is an only one.
    """
    rows, told, alone = [], [], []
    sums = {id(each) for each in sums_of_others(_spectra(found))}
    for each in found:  # one at a time, and none is kept
        data = each.open()
        rows.append(_row(each, data, ", the sum of the others" * (id(each) in sums)))
        alone.append(no_map(data))
        if every or len(found) == 1 or (each.is_map and not each.made_from):
            told.append(str(_in_command_words(inspect(data))))
    said = dict.fromkeys(text for each in found for text in each.cautions)
    parts = [_table(path, rows)] if len(found) > 1 else []
    parts += ["\n".join(_filled(f"warning: {text}") for text in said)] if said else []
    parts += told
    if not told and all(each.signal != 1 or not each.pixels for each in found):
        parts.append(_without_map(found, alone))
    if len(told) < len(found):
        parts.append('More of one: sdfusion info FILE --signal "NAME"; of all: --all.')
    return "\n\n".join(parts)


def _spectra(found: Sequence[StoredDataset]) -> list[StoredDataset]:
    """Those of a single spectrum."""
    return [each for each in found if each.signal == 1 and not each.pixels]


def _without_map(found: Sequence[StoredDataset], alone: Sequence[str]) -> str:
    """That no data set has a spectrum at each of several pixels, and what serves instead."""
    spectra = _spectra(found)
    if not spectra:
        return "No map in it: images, without spectra."
    said = next(text for text in alone if text)
    text = command_words(said.replace("A single spectrum, no map", "No map in it, single spectra"))
    return _filled(text.replace(" FILE ", ' FILE --signal "NAME" '))


def dictionaries(found: Sequence[StoredDataset]) -> list[dict[str, Any]]:
    """All that can be told of each, for JSON."""
    return [
        {
            **inspect(each.open()).as_dict(),
            "kind": each.kind,
            "made_from": each.made_from,
            "detector": each.detector,
        }
        for each in found
    ]


def _table(path: Path, rows: Sequence[tuple[str, ...]]) -> str:
    """A line for each data set, below a headline."""
    cells = [HEADER, *rows]
    widths = [max(map(len, column)) + GAP for column in zip(*cells, strict=True)]
    lines = [
        "".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([f"{path}: {len(rows)} data sets", *(f"  {line}" for line in lines)])


def _row(each: StoredDataset, data: Dataset, of_others: str) -> tuple[str, ...]:
    """As `HEADER` names them."""
    spectra = ", ".join(f"{axis.name} {extent(axis)}" for axis in data.channels)
    kind = each.origin + of_others
    shape = " × ".join(map(str, each.shape))
    dtype = str(data.dtype).removeprefix("torch.")
    return each.name, kind, shape, spectra, dtype, f"{float(tally(data).rows.sum()):.5g}"


def _in_command_words(facts: Inspection) -> Inspection:
    """With options in its advice."""
    messages = tuple(command_words(text) for text in facts.messages)
    return replace(facts, messages=messages, no_noise=command_words(facts.no_noise))


def _filled(text: str) -> str:
    return fill(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False)

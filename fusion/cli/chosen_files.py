"""Which data sets of which files are meant, and what is left of the files."""

from __future__ import annotations

import ast
import glob
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from fusion.algebra.cautions import FileWarning, users_line
from fusion.data.dataset import Dataset
from fusion.files import SeveralDatasets, contents_of
from fusion.files.contents import StoredDataset, free_name, meant, pick
from fusion.files.scan_members import of_one_scan


@dataclass(frozen=True)
class Chosen:
    """A data set, and where it is from.

    Attributes:
        data: the data set, named as options and the answer call it.
        path: of its file.
        stored: its name there.
        left: what else is in the file, "haadf (image)".
    """

    data: Dataset
    path: Path
    stored: str
    left: tuple[str, ...]


def reader_options(reader: Sequence[str], segments: bool, dataset: str | None) -> dict[str, Any]:
    """What is given to `load`: numbers, true, false and lists as such, all else as text.

    Raises:
        click.UsageError: if a text is no OPTION=VALUE, or an option is given twice.
    """
    options: dict[str, Any] = {}
    for text in reader:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name.isidentifier() or name in ("path", "filename"):
            raise click.UsageError(f"--reader {text}: give OPTION=VALUE, for instance index=1")
        if name in options:
            raise click.UsageError(f"--reader: {name} is given twice: give one")
        options[name] = _value(value)
    for name, chosen in {"segments": segments or None, "dataset": dataset}.items():
        if chosen is not None and name in options:
            raise click.UsageError(f"--reader {name}: --{name} is given, too: give one")
        options |= {} if chosen is None else {name: chosen}
    return options


def chosen_of(
    files: Sequence[Path], signal: Sequence[str], options: Mapping[str, Any], *, joint: bool
) -> list[Chosen]:
    """All data sets of one scan where they are fitted together, else one of every file.

    Names that are the same become those of the files, numbered where these are the same, too.

    Raises:
        click.UsageError: if names are as many as no files, or one is given twice.
        SeveralDatasets: if it must be said which is meant.
        ValueError: as `fusion.load`.
    """
    files = _expanded(files)
    if joint and len(files) == 1:
        if len({name.casefold() for name in signal}) < len(signal):
            raise click.UsageError(f"--signal: {', '.join(signal)}: name every data set once")
        found = contents_of(files[0], dict(options))
        named = [pick(files[0], found, name) for name in signal]
        return opened(files[0], found, named or of_one_scan(files[0], found))
    if len(signal) not in (0, 1, len(files)):
        raise click.UsageError(
            f"--signal: {len(signal)} names for {len(files)} file{'s' * (len(files) > 1)}: "
            "give one for all, or one for each"
        )
    names = list(signal) * (len(files) if len(signal) == 1 else 1) or [None] * len(files)
    return _distinct([_one(path, name, options) for path, name in zip(files, names, strict=True)])


def _one(path: Path, signal: str | None, options: Mapping[str, Any]) -> Chosen:
    """The one named, the only one, or the only map."""
    found = contents_of(path, dict(options))
    return opened(path, found, [meant(path, found, signal)])[0]


def opened(
    path: Path, found: Sequence[StoredDataset], chosen: Sequence[StoredDataset]
) -> list[Chosen]:
    """Those meant, read; what there is to say of how they were read is said once."""
    names = {each.name for each in chosen}
    left = tuple(f"{e.name} ({e.made_from or e.kind})" for e in found if e.name not in names)
    for text in dict.fromkeys(text for each in chosen for text in each.cautions):
        warnings.warn(text, FileWarning, stacklevel=users_line())
    return [Chosen(each.open(), path, each.name, left) for each in chosen]


def _distinct(chosen: Sequence[Chosen]) -> list[Chosen]:
    """No name twice: that of the file where names are the same, with a number if need be."""
    names = [each.data.name for each in chosen]
    distinct: list[Chosen] = []
    for each in chosen:
        alike = names.count(each.data.name) > 1
        base = _stem(each.path) if alike else each.data.name
        taken = {other.data.name for other in distinct} | (set(names) if alike else set())
        name = free_name(base, taken)
        data = each.data if name == each.data.name else each.data.renamed(name)
        distinct.append(Chosen(data, each.path, each.stored, each.left))
    return distinct


def _stem(path: Path) -> str:
    """Name of a file as that of a data set: "tilt_-10" keeps its sign, "a.b" is no attribute."""
    return path.stem.replace(".", "_") or "data"


def _expanded(files: Sequence[Path]) -> list[Path]:
    """With patterns that no shell has replaced.

    Raises:
        ValueError: if no file fits one.
    """
    paths: list[Path] = []
    for path in files:
        pattern = glob.has_magic(str(path)) and not path.exists()
        fitting = sorted(glob.glob(str(path))) if pattern else [str(path)]
        if not fitting:
            raise ValueError(f"{path}: no file fits this pattern: check it and the folder.")
        paths += map(Path, fitting)
    return paths


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def quoted_lines(error: SeveralDatasets) -> str:
    """What could be meant, a line each, that a shell takes as it stands."""
    contents = [replace(each, name=in_quotes(each.name)) for each in error.contents]
    return SeveralDatasets(error.path, contents).lines("--signal ")


def in_quotes(name: str) -> str:
    r"""A name as it stands between double quotes of a shell: `"`, `$`, `\`` and `\` are escaped."""
    return re.sub(r'(["\\$`])', r"\\\1", name)

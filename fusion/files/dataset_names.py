"""Names of the data sets of one file: short, and none twice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fusion.data.signal_type import nested
from fusion.elements.symbols import SYMBOLS
from fusion.files.calibration import KEPT, slug
from fusion.files.contents import free_name
from fusion.files.signal_axes import signal_type

Entry = Mapping[str, Any]

ELEMENT = re.compile(
    rf"^({'|'.join(sorted(SYMBOLS, key=len, reverse=True))})"
    r"([ _-]?(?i:eels|eds|edx|edxs|xeds|map|net|wt%|at%|%)|[ _-][KLMN][abαβ]?\d?([ -]?edge)?)*$"
)
"""Titles of images of one element: "Fe", "Fe-EELS", "Si Kα1", "O map"."""


def title_of(entry: Entry) -> str:
    """The title, in letters of a name."""
    general = (entry.get("metadata") or {}).get("General") or {}
    return slug(general.get("title"))


def element_of(entry: Entry) -> str:
    """The element that an image is of, by its title; empty for none."""
    general = (entry.get("metadata") or {}).get("General") or {}
    found = ELEMENT.match(str(general.get("title") or "").strip())
    return "" if found is None else found[1]


def detector_of(entry: Entry) -> str:
    """The detector that a spectrum of Velox is of, as Velox calls it; empty where none is told."""
    return str(nested(entry.get("original_metadata") or {}, "BinaryResult", "Detector") or "")


def short_name(entry: Entry) -> str:
    """The short name: "eels" and "eds" by the kind of signal, else the title."""
    kept = (entry.get("metadata") or {}).get(KEPT)
    if isinstance(kept, Mapping) and kept.get("name"):  # a data set that was saved
        return str(kept["name"])
    kind = signal_type(entry)
    return "eds" if kind.startswith("EDS") else slug(kind) or title_of(entry)


def names(entries: Sequence[Entry], stem: str, ranges: Sequence[str] = ()) -> list[str]:
    """A name for every entry, none twice.

    Several of a kind are told apart by their titles, else by their energies, "eels (0–800 eV)"; a
    spectrum beside a map of its kind is "eds_spectrum"; what is still alike is numbered, "eds",
    "eds_2".

    Args:
        entries: RosettaSciIO's dictionaries.
        stem: of the file's name, for what has none.
        ranges: of the spectral axis of each, "0–800 eV"; empty where there is none.
    """
    ranges = ranges or [""] * len(entries)
    maps = {short_name(entry) for entry in entries if entry["data"].ndim > 1}
    kinds = [
        f"{kind}_spectrum" if entry["data"].ndim == 1 and kind in maps else kind
        for entry in entries
        if (kind := short_name(entry) or stem)
    ]
    titles = [title_of(entry) for entry in entries]
    given: list[str] = []
    for kind, title, extent in zip(kinds, titles, ranges, strict=True):
        alike = [r for k, r in zip(kinds, ranges, strict=True) if k == kind]
        base = kind
        if len(alike) > 1 and title and titles.count(title) == 1 and title not in kinds:
            base = title
        elif len(alike) > 1 and extent and len(set(alike)) == len(alike):
            base = f"{kind} ({extent})"
        given.append(free_name(base, given))
    return given

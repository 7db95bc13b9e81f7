"""Files of microscopes, as RosettaSciIO reads them (GPL, so used through its interface alone)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from fusion.files.contents import StoredDataset, first_line, listed
from fusion.files.detector_segments import stacked
from fusion.files.reader_repairs import REPAIRS
from fusion.files.reader_words import heard
from fusion.files.signal_dictionaries import CAUTIONS, stored_datasets, with_mapped_metadata
from fusion.files.sparse_arrays import is_sparse_behind, sparse_behind, worth_it
from fusion.files.unread_files import rename, way_on

Plugin = dict[str, Any]
Entry = dict[str, Any]

FIRST = ("HSPY", "MRC")
"""Readers that go before others of the same suffix."""
EAGER = ("PantaRhei", "Semper", "TIFF")
"""Not read lazily: the first reads compressed arrays wrongly, the others leave their file open."""
OPTIONS: dict[str, dict[str, Any]] = {
    "NeXus": {"nxdata_only": True},  # axes are listed as data otherwise
    "Bruker": {"index": "all"},  # the first of several detectors otherwise
    "Delmic": {"signal": "all"},  # without its images otherwise
    "JEOL": {"read_em_image": True},  # that of the scan is left out otherwise
    "Tofwerk": {"signal": "all"},  # the sum of the spectra alone otherwise
}
"""Of a reader, so that it gives all that is in a file."""
OURS = ("filename", "lazy", "kwds", "kwargs")
"""Parameters of readers that are no options of `load`."""
WIDER = (np.uint16, np.uint32)
"""Types of counts that are tried where the reader's is too narrow."""
PACKAGES = {"skimage": "scikit-image", "yaml": "pyyaml"}
KNOWN = ".npz, .npy, .hspy, .zspy, .dm3, .dm4, .emd, .bcf, .msa, .rpl, .prz, .ser, .nxs, .tif"


def in_microscope_file(
    path: Path, *, lazy: bool | None = None, segments: bool = False, **options: Any
) -> list[StoredDataset]:
    """The data sets of a file, by the first reader of its suffix that can read it.

    Args:
        path: of the file.
        lazy: True: nothing is read that need not be; False: all is; None: as the reader can.
        segments: whether segments of a detector are stacked, not summed.
        options: of the reader.

    Raises:
        ValueError: if RosettaSciIO is not installed, knows no such suffix or option, or no reader
            succeeds.
    """
    failures: list[tuple[str, str]] = []
    strange: OptionError | None = None
    nothing = ""
    for plugin in _plugins(path):
        try:
            read = partial(_read, plugin, path, lazy)
            chosen = _checked_options(path, plugin, options)
            entries = _entries(path, plugin, read, chosen, segments=segments)
            usable, unusable = stored_datasets(path, entries)
        except OptionError as error:
            strange = error
            continue
        except Exception as error:  # a reader may raise anything
            failures.append((plugin["name"], _reason(error)))
            continue
        if usable:
            return usable
        nothing = f"{plugin['name']} finds no array of real numbers, but {listed(unusable)}"
    if nothing:
        raise ValueError(f"{path}: {nothing}{rename(path) or ': give a file with some.'}")
    if strange is not None:
        raise strange
    if options and len(failures) == 1:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise ValueError(
            f"{path}: with {given}, {_together(failures)}: leave it out, or change it."
        )
    raise ValueError(f"{path}: {_together(failures)}{way_on(path)}")


def _together(failures: Sequence[tuple[str, str]]) -> str:
    """Why no reader reads it; of several the names, and what those need that are not complete."""
    if len(failures) == 1:
        return " ".join(failures[0])
    needs = [f"{name} {reason}" for name, reason in failures if reason.startswith("needs")]
    others = [name for name, reason in failures if not reason.startswith("needs")]
    said = [f"{' and '.join(others)} cannot read it"] if others else []
    return "; ".join([*said, *needs])


class OptionError(ValueError):
    """An option that the reader does not have."""


def _checked_options(path: Path, plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """The reader's usual options and those given.

    Raises:
        OptionError: if it does not have one of them.
    """
    parameters = _parameters(plugin)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    names = [name for name in parameters if name not in OURS]
    if unknown := [name for name in options if name not in names and not open_ended]:
        raise OptionError(
            f"`load({path.name!r}, {unknown[0]}=…)`: the reader {plugin['name']} has no such "
            f"option; it has {', '.join(names) or 'none'}."
        )
    usual = OPTIONS.get(plugin["name"], {})
    return {name: v for name, v in usual.items() if name in names or open_ended} | dict(options)


def _entries(
    path: Path, plugin: Plugin, read: Callable[..., Any], options: dict[str, Any], *, segments: bool
) -> list[Entry]:
    """What the reader gives, put right, with its words."""
    parts = segments and "sum_EDS_detectors" in _parameters(plugin)
    options = options | ({"sum_EDS_detectors": False} if parts else {})
    entries, words = read(options)

    def again(*, lazy: bool | None = None, **more: Any) -> list[Entry]:
        return read({**options, **more}, lazy)[0]

    repair = REPAIRS.get(plugin["name"])
    entries = entries if repair is None else repair(path, entries, again)
    entries = [with_mapped_metadata(_sparse(entry)) for entry in entries]
    entries = stacked(entries) if segments else entries
    told = [f"the reader says: {word}" for word in words]
    return [{**entry, CAUTIONS: [*told, *entry.get(CAUTIONS, ())]} for entry in entries]


def _parameters(plugin: Plugin) -> Mapping[str, inspect.Parameter]:
    with heard():
        return inspect.signature(import_module(plugin["api"]).file_reader).parameters


def _sparse(entry: Entry) -> Entry:
    """Counts that the reader has as a list of events stay one where that is smaller."""
    array = sparse_behind(entry["data"])
    if array is None:
        return entry
    return {**entry, "data": array if worth_it(array) else array.todense()}


def _read(
    plugin: Plugin, path: Path, lazy: bool | None, options: dict[str, Any], now: bool | None = None
) -> tuple[list[Entry], list[str]]:
    """What the reader gives, lazily if it can, and what it said.

    Raises:
        ValueError: if it cannot tell what the axes are, or read lazily as is asked for.
    """
    lazy = lazy if now is None else now
    with heard():
        reader = import_module(plugin["api"]).file_reader
    if lazy is not False and (plugin["name"] not in EAGER or lazy):
        try:
            with heard() as words:
                entries = _checked_whole(_with_wide_counts(reader, path, True, options))
            return entries, words
        except Exception:  # many formats, and some files, are only read eagerly
            if lazy:
                raise
    with heard() as words:
        entries = _with_wide_counts(reader, path, False, options)
    if plugin["name"] == "PantaRhei" and not entries[0]["original_metadata"]:
        raise ValueError("its axes are pickled, by Panta Rhei before 24.03: save it as .hspy there")
    return entries, words


def _with_wide_counts(
    reader: Callable[..., Any], path: Path, lazy: bool, options: dict[str, Any]
) -> list[Entry]:
    """The reader's answer, in a wider type where counts overflow the one it begins with."""
    if "SI_dtype" in options:
        return reader(str(path), lazy=lazy, **options)
    for dtype in (None, *WIDER):
        chosen = {} if dtype is None else {"SI_dtype": dtype}
        try:
            return reader(str(path), lazy=lazy, **options, **chosen)
        except ValueError as error:
            if "SI_dtype" not in str(error) or dtype is WIDER[-1]:
                raise
    raise AssertionError("the last type either holds the counts or raises")


def _reason(error: Exception) -> str:
    """What the reader says, or the package that it needs."""
    text = first_line(error)
    if isinstance(error, ImportError) and error.name:
        package = PACKAGES.get(top := error.name.partition(".")[0], top)
        return f"needs {package} (pip install {package})"
    if "requires the 'imagecodecs' package" in text:
        return "needs imagecodecs (pip install imagecodecs)"
    return f"cannot read it ({text})"


def _plugins(path: Path) -> list[Plugin]:
    """The readers of this suffix, in the order in which they are tried."""
    try:
        from rsciio import IO_PLUGINS
    except ImportError as error:
        raise ValueError(
            f"{path}: {path.suffix or 'this'} files are read by RosettaSciIO, which is not "
            'installed: pip install "sdfusion[io]", or save the map as npz.'
        ) from error
    suffix = path.suffix.lower().removeprefix(".")
    fitting = [
        plugin
        for plugin in IO_PLUGINS
        if suffix in {ending.lower() for ending in plugin["file_extensions"]}
    ]
    if not suffix or not fitting:
        raise ValueError(
            f"{path}: no reader for {path.suffix or 'a name without suffix'}: known are {KNOWN} "
            "and others of RosettaSciIO; of a .raw give the header file beside it (.rpl, .xml)"
            f"{way_on(path)}"
        )
    return sorted(fitting, key=lambda plugin: plugin["name"] not in FIRST)


def _checked_whole(entries: list[Entry]) -> list[Entry]:
    """The same, after the last value of each is read: a truncated file is found out now."""
    for entry in entries:
        data = entry["data"]
        if hasattr(data, "compute") and not is_sparse_behind(data):
            data[(-1,) * data.ndim].compute()
    return entries

"""Files of microscopes, as RosettaSciIO reads them (GPL, so used through its interface alone)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from fusion.files.contents import StoredDataset, first_line, listed
from fusion.files.signal_dictionaries import stored_datasets

Plugin = dict[str, Any]

FIRST = ("HSPY", "MRC")
"""Readers that go before others of the same suffix."""
EAGER = ("PantaRhei", "Semper", "TIFF")
"""Not read lazily: the first reads compressed arrays wrongly, the others leave their file open."""
OPTIONS: dict[str, dict[str, Any]] = {"NeXus": {"nxdata_only": True}}
"""Of a reader: NeXus files list their axes as data otherwise."""
PACKAGES = {"skimage": "scikit-image", "yaml": "pyyaml"}
KNOWN = ".npz, .npy, .hspy, .zspy, .dm3, .dm4, .emd, .bcf, .msa, .rpl, .prz, .ser, .nxs, .tif"


def in_microscope_file(path: Path) -> list[StoredDataset]:
    """The data sets of a file, by the first reader of its suffix that can read it.

    Raises:
        ValueError: if RosettaSciIO is not installed, knows no such suffix, or no reader succeeds.
    """
    failures = []
    for plugin in _plugins(path):
        try:
            usable, unusable = stored_datasets(path, _read_entries(path, plugin))
        except Exception as error:  # a reader may raise anything
            failures.append(f"{plugin['name']} {_reason(error)}")
            continue
        if usable:
            return usable
        failures.append(f"{plugin['name']} finds no array of real numbers, but {listed(unusable)}")
    raise ValueError(
        f"{path}: {'; '.join(failures)}: is it whole, and is {path.suffix} its true suffix?"
    )


def _reason(error: Exception) -> str:
    """What the reader says, or the package that it needs."""
    if not (isinstance(error, ImportError) and error.name):
        return f"cannot read it ({first_line(error)})"
    package = PACKAGES.get(top := error.name.partition(".")[0], top)
    return f"needs {package} (pip install {package})"


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
            "and others of RosettaSciIO; of a .raw give the header file beside it (.rpl, .xml)."
        )
    return sorted(fitting, key=lambda plugin: plugin["name"] not in FIRST)


def _read_entries(path: Path, plugin: Plugin) -> list[dict[str, Any]]:
    """What the reader gives, lazily if it can.

    Raises:
        ValueError: if it cannot tell what the axes are.
    """
    options = OPTIONS.get(plugin["name"], {})
    with _silenced():
        reader = import_module(plugin["api"]).file_reader
        if plugin["name"] not in EAGER:
            with suppress(Exception):  # many formats, and some files, are only read eagerly
                return _checked_whole(reader(str(path), lazy=True, **options))
        entries = reader(str(path), lazy=False, **options)
    if plugin["name"] == "PantaRhei" and not entries[0]["original_metadata"]:
        raise ValueError("its axes are pickled, by Panta Rhei before 24.03: save it as .hspy there")
    return entries


def _checked_whole(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, after the last value of each is read: a truncated file is found out now."""
    for entry in entries:
        data = entry["data"]
        if hasattr(data, "compute"):
            data[(-1,) * data.ndim].compute()
    return entries


@contextmanager
def _silenced() -> Iterator[None]:
    """Without the readers' warnings and log: what matters of them is in the error."""
    loggers = [logging.getLogger(name) for name in ("rsciio", "tifffile")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

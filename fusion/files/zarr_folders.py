"""Arrays in a zarr folder: found and opened without running what is pickled in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fusion.files.array_header import ArrayHeader
from fusion.files.contents import first_line

MARKS = (".zgroup", ".zarray", "zarr.json")
"""One of these lies in every zarr folder."""
DESCRIPTIONS = (".zarray", ".zmetadata", "zarr.json")
"""Files that tell how numbers are packed."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is one of zarr."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def check_harmless(path: Path) -> None:
    """Complain of a folder that holds what is pickled, or that leads out of itself.

    Raises:
        ValueError: if it is one.
    """
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            if os.path.islink(os.path.join(folder, name)):
                raise ValueError(
                    f"{path}: {Path(folder, name).relative_to(path)} in it is a link to another "
                    "place, which is not followed: copy the folder with what is linked (cp -rL)."
                )
        for name in set(files) & set(DESCRIPTIONS):
            if _has_pickle(_described(path, Path(folder, name))):
                raise ValueError(
                    f"{path}: {Path(folder).relative_to(path)} is pickled, which could run any "
                    "program: save it without objects."
                )


def _described(path: Path, file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: {file.relative_to(path)} cannot be read ({first_line(error)}): cut off or "
            "damaged? Copy or save it again."
        ) from error


def _has_pickle(description: Any) -> bool:
    todo = [description]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if any("pickle" in str(value.get(key)).casefold() for key in ("id", "name")):
                return True
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return False


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The group or array, open for reading.

    Raises:
        ValueError: if zarr is not installed, or does not open it.
    """
    try:
        import zarr
    except ImportError:
        raise ValueError(f"{path}: zarr folders are read by zarr: pip install zarr.") from None
    check_harmless(path)
    try:
        yield zarr.open(str(path), mode="r")
    except ValueError:
        raise
    except Exception as error:  # errors of stores and codecs
        raise ValueError(
            f"{path}: zarr cannot read it ({first_line(error)}): is it whole? Copy it again."
        ) from error


def numeric_arrays(root: Any) -> tuple[list[ArrayHeader], list[str]]:
    """All arrays of numbers; nothing leads out of the folder."""
    if hasattr(root, "shape"):
        found = [("", root)]
    else:
        found, todo = [], [("", root)]
        while todo:
            where, group = todo.pop(0)
            found += [(f"{where}/{name}", array) for name, array in group.arrays()]
            todo += [(f"{where}/{name}", inner) for name, inner in group.groups()]
    headers = [ArrayHeader(name or "/", tuple(a.shape), a.dtype) for name, a in found]
    return [header for header in headers if header.shape and header.numeric], []


def array_at(path: Path, root: Any, where: str) -> Any:
    """The array at a path.

    Raises:
        ValueError: if there is none.
    """
    if hasattr(root, "shape") and not where.strip("/"):
        return root
    try:
        array = root[where.strip("/")]
    except Exception as error:  # errors of zarr 2 and 3
        paths = ", ".join(header.name for header in numeric_arrays(root)[0][:12])
        raise ValueError(
            f"{path}: {where} is not there: give another path; there are {paths}."
        ) from error
    if not hasattr(array, "shape"):
        raise ValueError(f"{path}: {where} is a group: give the path of an array.")
    return array

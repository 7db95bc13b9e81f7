"""Arrays in an HDF5 file: found and opened without following links into other files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from fusion.files.array_header import ArrayHeader
from fusion.files.contents import first_line

HOPS = 32
"""Links of links that are followed."""
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What h5py raises of what is damaged."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading.

    Raises:
        ValueError: if h5py is not installed, or does not open it.
    """
    try:
        import h5py
    except ImportError:
        raise ValueError(f"{path}: HDF5 is read by h5py: pip install h5py.") from None
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"{path}: is not HDF5, or cut off at its beginning: leave dataset= out, or give an "
            "HDF5 file or a zarr folder."
        )
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path}: h5py cannot open it ({first_line(error)}): cut off or damaged, or open "
            "elsewhere? Close it there, or copy it again."
        ) from error
    with file:
        yield file


def numeric_arrays(file: Any) -> tuple[list[ArrayHeader], list[str]]:
    """All arrays of numbers in an open file, each once, and the links that lead out of it."""
    import h5py

    found, elsewhere = [], []
    todo, seen = deque([("", file)]), {_place(file)}
    while todo:
        where, group = todo.popleft()
        for key in group:
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                elsewhere.append(f"{where}/{key} in {link.filename}")
            item = _own_item(group, key, link)
            if item is None or _place(item) in seen:
                continue
            seen.add(_place(item))
            if isinstance(item, h5py.Group):
                todo.append((f"{where}/{key}", item))
            elif isinstance(item, h5py.Dataset) and item.shape:
                header = ArrayHeader(f"{where}/{key}", tuple(item.shape), item.dtype)
                found += [header] if header.numeric else []
    return found, elsewhere


def _own_item(group: Any, key: str, link: Any) -> Any:
    """What is there itself, not through a link; None where it is damaged."""
    import h5py

    if not isinstance(link, h5py.HardLink):
        return None
    try:
        return group[key]
    except DAMAGE:
        return None


def _place(item: Any) -> tuple[int, int]:
    """Where it lies: the same for all links to it."""
    info = import_module("h5py.h5o").get_info(item.id)
    return info.fileno, info.addr


def array_at(path: Path, file: Any, where: str) -> Any:
    """The array at a path in an open file.

    Raises:
        ValueError: if there is none, or its numbers lie in another file.
    """
    import h5py

    item = _item_at(path, file, where)
    if not isinstance(item, h5py.Dataset):
        inside = ", ".join(sorted(item)[:12]) if isinstance(item, h5py.Group) else ""
        raise ValueError(f"{path}: {where} is a group ({inside}): give the path of an array.")
    if item.external:
        raise ValueError(
            f"{path}: the numbers of {where} lie in {item.external[0][0]}, which is not followed: "
            "repack it into one file (h5repack)."
        )
    if not (item.is_virtual or item.id.get_storage_size() or 0 in (item.shape or (0,))):
        raise ValueError(
            f"{path}: {where} {item.shape} was never written, HDF5 would give zeros: was the "
            "measurement finished?"
        )
    if item.is_virtual and (missing := _missing_sources(path, item)):
        raise ValueError(
            f"{path}: {where} is made of parts of other files, and {missing} is not beside it: "
            "put it there; HDF5 would give zeros."
        )
    return item


def _missing_sources(path: Path, item: Any) -> str:
    """A file that a virtual array is made of, and that is not there."""
    names = {source.file_name for source in item.virtual_sources()} - {"."}
    places = {name: path.parent / name for name in names if "%" not in name}
    return next((name for name, place in sorted(places.items()) if not place.exists()), "")


def _item_at(path: Path, file: Any, where: str) -> Any:
    """What lies at a path; links inside the file are followed, those out of it are not."""
    import h5py

    parts, item, hops = deque(where.split("/")), file, 0
    while parts:
        part = parts.popleft()
        if part in ("", "."):
            continue
        link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise ValueError(
                f"{path}: {where} leads into another file, {link.filename}, which is not "
                f'followed: load that, with dataset="{link.path}".'
            )
        if isinstance(link, h5py.SoftLink):
            hops += 1
            item = file if link.path.startswith("/") else item
            parts.extendleft(reversed(link.path.split("/")))
        else:
            item = _own_item(item, part, link)
        if hops > HOPS:
            raise ValueError(f"{path}: {where} links to itself: give another path{_paths(file)}.")
        if item is None:
            raise ValueError(
                f"{path}: {where} is not there, or damaged: give another path{_paths(file)}."
            )
    return item


def _paths(file: Any) -> str:
    """The paths that there are, for a message."""
    paths = [header.name for header in numeric_arrays(file)[0] if len(header.shape) > 1]
    text = ", ".join(paths[:12]) + (f" and {len(paths) - 12} more" if len(paths) > 12 else "")
    return f"; there are {text}" if paths else ""

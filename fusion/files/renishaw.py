"""Renishaw: every spectrum at its own x and y, in whatever order the map was measured."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = struct.Struct("<4sIQ")  # of a block: name, number, size with this header
ORIGIN = struct.Struct("<II16s")  # of a list of positions: what, unit, label
X, Y = 3, 4  # what the positions are


def positions(path: Path) -> dict[int, NDArray[np.float64]]:
    """x (3) and y (4) of every spectrum, as the block ORGN of a wdf file has them."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        start = file.seek(0)
        spectra = 0
        while start + HEADER.size <= end:
            name, _, size = HEADER.unpack(file.read(HEADER.size))
            if name == b"WDF1":
                file.seek(start + 72)  # capacity and count of the spectra
                spectra = struct.unpack("<Q", file.read(8))[0]
            if name == b"ORGN":
                return _lists(file.read(size - HEADER.size), spectra)
            if size < HEADER.size:
                break
            start = file.seek(start + size)
    return {}


def _lists(block: bytes, n: int) -> dict[int, NDArray[np.float64]]:
    (count,) = struct.unpack_from("<I", block)
    found, at = {}, 4
    for _ in range(count):
        what, _, _ = ORIGIN.unpack_from(block, at)
        found[what & 0x7FFFFFFF] = np.frombuffer(block, "<f8", n, at + ORIGIN.size)
        at += ORIGIN.size + 8 * n
    return {what: values for what, values in found.items() if what in (X, Y)}


def in_measured_order(path: Path, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries, spectra of maps where they were measured.

    RosettaSciIO 0.15.0 folds every map row by row, also where it was measured column by column.
    """
    return [_ordered(path, entry) if entry["data"].ndim == 3 else entry for entry in entries]


def _ordered(path: Path, entry: dict[str, Any]) -> dict[str, Any]:
    data = entry["data"]
    rows, columns, channels = data.shape
    try:
        where = positions(path)
        y, x = (_steps(where[what], n) for what, n in ((Y, rows), (X, columns)))
    except (KeyError, struct.error, ValueError, OSError):
        return entry
    y, x = (
        n - 1 - at if axis.get("scale", 1) < 0 else at
        for axis, at, n in zip(entry["axes"], (y, x), (rows, columns), strict=False)
    )
    target = y * columns + x
    if (target[: rows * columns] == np.arange(len(target))[: rows * columns]).all():
        return entry
    if len(target) != rows * columns or len(np.unique(target)) != len(target):
        return _noted(entry, "an unfinished map that was not measured row by row: in doubt")
    flat = data.reshape(rows * columns, channels)[np.argsort(target)]
    note = "spectra put where they were measured; the reader takes them row by row"
    return _noted({**entry, "data": flat.reshape(data.shape)}, note)


def _noted(entry: dict[str, Any], note: str) -> dict[str, Any]:
    return {**entry, "notes": [*entry.get("notes", ()), note]}


def _steps(values: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Which of n even steps every position is."""
    low, high = float(values.min()), float(values.max())
    if n == 1 or high == low:
        return np.zeros(len(values), dtype=np.intp)
    steps = (values - low) / (high - low) * (n - 1)
    if np.abs(steps - np.round(steps)).max() > 0.25:
        raise ValueError("positions are not on a grid")
    return np.round(steps).astype(np.intp)

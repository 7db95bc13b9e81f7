"""Velox: X-ray maps in the shape that their own metadata tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from fusion.files.signal_axes import signal_type
from fusion.files.sparse_arrays import sparse_behind

Entry = dict[str, Any]
Read = Callable[..., list[Entry]]


def scan_shape(entry: Entry) -> tuple[int, int] | None:
    """(rows, columns) of the scanned area, in the metadata beside the spectra; None if not told."""
    scan = (entry.get("original_metadata") or {}).get("Scan")
    if not isinstance(scan, Mapping):
        return None
    try:
        size = {key: float(scan["ScanSize"][key]) for key in ("width", "height")}
        area = {key: float(value) for key, value in scan["ScanArea"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    rows = round((area["bottom"] - area["top"]) * size["height"])
    columns = round((area["right"] - area["left"]) * size["width"])
    return (rows, columns) if rows > 0 and columns > 0 else None


def in_true_shape(entries: list[Entry], read: Read) -> list[Entry]:
    """The entries, X-ray maps in the shape of their scan.

    RosettaSciIO 0.15.0 takes the shape of the map from the last image in the file, which may be a
    survey image: the names of images, by which they are sorted, are random.
    """
    wrong = [i for i, entry in enumerate(entries) if _is_wrong(entry)]
    if not wrong:
        return entries
    from_first = _maps(read(select_type="spectrum_image"))
    if not any(map(_is_wrong, from_first)) and len(from_first) == len(wrong):
        return _replaced(entries, wrong, from_first)
    frames = _maps(read(select_type="spectrum_image", sum_frames=False), ndim=4)
    try:
        refolded = [_refolded(entry, entries[i]) for i, entry in zip(wrong, frames, strict=True)]
    except ValueError as error:
        left = [entry for i, entry in enumerate(entries) if i not in wrong]
        return [{**entry, "cautions": [f"left out: {error}"]} for entry in left]
    return _replaced(entries, wrong, refolded)


def _maps(entries: list[Entry], ndim: int = 3) -> list[Entry]:
    return [e for e in entries if signal_type(e).startswith("EDS") and e["data"].ndim == ndim]


def _is_wrong(entry: Entry) -> bool:
    true = scan_shape(entry)
    is_map = signal_type(entry).startswith("EDS") and entry["data"].ndim == 3
    return is_map and true is not None and tuple(entry["data"].shape[:2]) != true


def _replaced(entries: list[Entry], wrong: list[int], right: list[Entry]) -> list[Entry]:
    entries = list(entries)
    for i, entry in zip(wrong, right, strict=True):
        before = " × ".join(map(str, entries[i]["data"].shape[:2]))
        after = " × ".join(map(str, entry["data"].shape[:2]))
        note = f"shape {after}, as the scan was; the reader took that of an image, {before}"
        entries[i] = {**entry, "metadata": entries[i]["metadata"], "notes": [note]}
    return entries


def _refolded(frames: Entry, entry: Entry) -> Entry:
    """The map from frames of a wrong shape: the pixels are in the order of the stream."""
    import sparse

    rows, columns = scan_shape(entry) or (0, 0)
    data = sparse_behind(frames["data"])
    data = sparse.COO.from_numpy(np.asarray(frames["data"])) if data is None else data
    if prod(data.shape[:3]) < rows * columns:
        raise ValueError(
            f"a map of {rows} × {columns} pixels, of which the reader gives {prod(data.shape[:3])}"
        )
    pixel = np.ravel_multi_index(tuple(data.coords[:3]), data.shape[:3]) % (rows * columns)
    shape = (rows, columns, data.shape[3])
    coords = np.stack([pixel // columns, pixel % columns, data.coords[3]])
    folded = sparse.COO(coords, data.data, shape=shape)
    axes = [dict(axis) for axis in entry["axes"]]
    for axis, size in zip(axes, shape, strict=True):
        axis["size"] = size
    return {**entry, "data": folded, "axes": axes}

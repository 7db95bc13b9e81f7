"""Velox: X-ray maps in the shape, and detectors where, their own metadata tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import degrees, prod
from typing import Any

import numpy as np

from fusion.files.signal_axes import signal_type
from fusion.files.sparse_arrays import sparse_behind

Entry = dict[str, Any]
Read = Callable[..., list[Entry]]

ALIKE = 0.5
"""Degrees within which detectors that are summed stand at one angle."""
IN_RADIANS = "DetectorMetadata.ElevationAngle"
"""What RosettaSciIO 0.15.0 hands on in radians as if in degrees."""


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


def with_angles(entry: Entry) -> Entry:
    """An X-ray spectrum's entry with elevation and azimuth of its detectors, degrees.

    The file has them in radians for every detector, below the specimen's plane negative: what
    leaves at the lower side has as far to go. RosettaSciIO 0.15.0 does not map them, and HyperSpy
    2.5 then writes 35° and 0°. Of detectors that are summed, as those of maps are, only what all
    have.
    """
    if not signal_type(entry).startswith("EDS"):
        return entry
    original = entry.get("original_metadata") or {}
    detectors = _detectors(original, summed=entry["data"].ndim > 1)
    angles = {
        "elevation_angle": [abs(angle) for angle in _degrees(detectors, "ElevationAngle")],
        "azimuth_angle": _degrees(detectors, "AzimuthAngle"),
    }
    known = {
        key: round(sum(each) / len(each), 3)
        for key, each in angles.items()
        if each and max(each) - min(each) <= ALIKE
    }
    mapping = {k: to for k, to in (entry.get("mapping") or {}).items() if k != IN_RADIANS}
    metadata = dict(entry.get("metadata") or {})
    scope = metadata
    for key in ("Acquisition_instrument", "TEM", "Detector", "EDS"):
        scope[key] = dict(scope.get(key) or {})
        scope = scope[key]
    scope |= known
    return {**entry, "metadata": metadata, "mapping": mapping}


def _detectors(original: Mapping[str, Any], summed: bool) -> list[Mapping[str, Any]]:
    """What the file says of the detectors that a spectrum is of."""
    result, every = original.get("BinaryResult"), original.get("Detectors")
    name = str(result.get("Detector") or "") if isinstance(result, Mapping) else ""
    if not isinstance(every, Mapping):
        return []
    placed = [d for d in every.values() if isinstance(d, Mapping) and "ElevationAngle" in d]
    if summed:
        return placed
    own = [d for d in placed if d.get("DetectorName") == name]
    return own or [d for d in placed if name and str(d.get("DetectorName")).startswith(name)]


def _degrees(detectors: list[Mapping[str, Any]], key: str) -> list[float]:
    """Of every detector; none where one does not say it."""
    try:
        return [degrees(float(detector[key])) for detector in detectors]
    except (KeyError, TypeError, ValueError):
        return []

"""Segments of one detector, each a map of its own, as one stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusion.files.signal_axes import signal_type

Entry = dict[str, Any]


def stacked(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, X-ray maps that differ in nothing but their values as one of (segment, y, x, E).

    It stands where the first of them stood.
    """
    groups: dict[Any, list[Entry]] = {}
    order: list[Any] = []
    for i, entry in enumerate(entries):
        key = _place(entry) if signal_type(entry).startswith("EDS") else i
        key = key if entry["data"].ndim == 3 else i
        if key not in groups:
            order.append(key)
        groups.setdefault(key, []).append(entry)
    return [groups[key][0] if len(groups[key]) == 1 else _stack(groups[key]) for key in order]


def _place(entry: Entry) -> Any:
    """Shape and calibration, to compare."""
    parts = ("name", "size", "scale", "offset", "units")
    axes = tuple(tuple(str(axis.get(part)) for part in parts) for axis in entry["axes"])
    return entry["data"].shape, axes


def _stack(entries: list[Entry]) -> Entry:
    arrays = [entry["data"] for entry in entries]
    if all(hasattr(array, "nnz") for array in arrays):
        import sparse

        data = sparse.stack([sparse.COO(array) for array in arrays])
    elif all(hasattr(array, "compute") for array in arrays):
        import dask.array as da

        data = da.stack(arrays)
    else:
        data = np.stack([np.asarray(array) for array in arrays])
    first = {"name": "segment", "size": len(arrays), "navigate": True}
    first |= {"scale": 1.0, "offset": 1.0, "units": "", "index_in_array": 0}
    rest = [{**axis, "index_in_array": i} for i, axis in enumerate(entries[0]["axes"], 1)]
    return {**entries[0], "data": data, "axes": [first, *rest]}

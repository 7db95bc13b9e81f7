"""What readers hand on wrongly, put right: one function for each of them.

Each takes the path, RosettaSciIO's dictionaries and the reader, and gives the dictionaries as the
instrument meant them, with a note of what was changed. The versions are those of the fault; each
but TIA's, which is read off the reader's code, has a small file in a test, which fails as soon as
the reader does better.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fusion.algebra.unit_names import unit
from fusion.files import renishaw, velox

Entry = dict[str, Any]
Read = Callable[..., list[Entry]]


def ripple(path: Path, entries: list[Entry], read: Read) -> list[Entry]:
    """`ev-per-chan` is in eV; RosettaSciIO 0.15.0 leaves the unit out."""
    for entry in entries:
        header = entry.get("original_metadata") or {}
        if "ev-per-chan" in header and "depth-scale" not in header:
            for axis in entry["axes"]:
                if axis["size"] == header.get("depth") and not unit(axis.get("units")):
                    axis["units"] = "eV"
    return entries


def tia(path: Path, entries: list[Entry], read: Read) -> list[Entry]:
    """Offsets are in m beside steps in nm: RosettaSciIO 0.15.0 converts the steps alone."""
    for entry in entries:
        for axis in entry["axes"]:
            by = {"nm": 1e9, "1 / nm": 1e-9}.get(axis.get("units") or "")
            if by:
                axis["offset"] = axis.get("offset", 0.0) * by
    return entries


def jeol(path: Path, entries: list[Entry], read: Read) -> list[Entry]:
    """Maps taller than wide are read densely: lazily, RosettaSciIO 0.15.0 leaves rows out."""
    tall = [e for e in entries if e["data"].ndim >= 3 and e["data"].shape[-3] > e["data"].shape[-2]]
    if not tall or not hasattr(tall[0]["data"], "dask"):
        return entries
    import sparse

    dense = read(lazy=False)
    maps = [e for e in dense if e["data"].ndim >= 3]
    for entry in maps:
        entry["data"] = sparse.COO.from_numpy(entry["data"])
    return dense


def emd(path: Path, entries: list[Entry], read: Read) -> list[Entry]:
    """Maps in their true shape, with angles (`fusion.files.velox`); EELS with beam and stage.

    RosettaSciIO 0.15.0 maps these metadata for images and X-rays alone.
    """
    mapping = next((e["mapping"] for e in entries if e.get("mapping")), {})
    kept = {key: to for key, to in mapping.items() if "Acquisition_instrument.TEM" in str(to[0])}
    kept = {key: to for key, to in kept.items() if "EDS" not in str(to[0])}
    entries = [{"mapping": kept, **entry} for entry in entries]
    return [velox.with_angles(entry) for entry in velox.in_true_shape(entries, read)]


def wdf(path: Path, entries: list[Entry], read: Read) -> list[Entry]:
    """See `fusion.files.renishaw`."""
    return renishaw.in_measured_order(path, entries)


def nexus(path: Path, entries: list[Entry], read: Read) -> list[Entry]:
    """Without what is there a second time through a link."""
    if len(entries) < 2:
        return entries
    try:
        own = read(hardlinks_only=True)
    except Exception:  # nothing is there but links
        return entries
    known = [_outline(entry) for entry in own]
    return own + [entry for entry in entries if _outline(entry) not in known]


def _outline(entry: Entry) -> tuple[Any, ...]:
    """What an array is called and how long its axes are."""
    title = ((entry.get("metadata") or {}).get("General") or {}).get("title")
    return title, tuple(entry["data"].shape), str(entry["data"].dtype)


REPAIRS: dict[str, Callable[[Path, list[Entry], Read], list[Entry]]] = {
    "EMD": emd,
    "JEOL": jeol,
    "NeXus": nexus,
    "Renishaw": wdf,
    "Ripple": ripple,
    "TIA": tia,
}
"""By the name of RosettaSciIO's reader."""

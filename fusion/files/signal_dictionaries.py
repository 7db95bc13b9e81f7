"""RosettaSciIO's dictionaries as data sets: order, names and calibration of the axes, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.unit_names import clean, unit
from fusion.data.dataset import Dataset
from fusion.files.calibration import ENERGIES, axis_at, axis_name, complete_axes, slug
from fusion.files.contents import StoredDataset

Entry = Mapping[str, Any]
PLACE = (("scale", 1.0), ("offset", 0.0))  # of an axis, where the file does not tell


def stored_datasets(path: Path, entries: Sequence[Entry]) -> tuple[list[StoredDataset], list[str]]:
    """The data sets of a file, and what is left out: complex, coloured, ragged or empty arrays."""
    usable = [entry for entry in entries if _usable(entry["data"])]
    unusable = [
        f"{_short_name(entry) or 'one'} {tuple(entry['data'].shape)} {entry['data'].dtype}"
        for entry in entries
        if not _usable(entry["data"])
    ]
    named = zip(usable, names(usable, slug(path.stem) or "data"), strict=True)
    return [_stored(entry, name) for entry, name in named], unusable


def _usable(data: Any) -> bool:
    return data.dtype.kind in "buif" and data.ndim > 0 and 0 not in data.shape


def _stored(entry: Entry, name: str) -> StoredDataset:
    data, axes, signal = arranged(entry)
    metadata = _plain_metadata(entry.get("metadata") or {})
    dataset = Dataset(name, data, axes=axes, signal=signal, metadata=metadata)
    return StoredDataset(name, dataset.shape, data.dtype, dataset.axes, lambda: dataset)


def arranged(entry: Entry) -> tuple[Any, Axes, int]:
    """The array with its signal axes last, its axes, and how many of them are the signal."""
    data = entry["data"]
    entries = _axes_in_order(entry.get("axes") or [], data.shape)
    energies = [i for i, each in enumerate(entries) if _unit(each) in ENERGIES]
    spectra = _signal_type(entry).startswith(("EELS", "EDS")) or _record_by(entry) == "spectrum"
    spectral = _signal_axes(entries, energies, spectra)
    order = [i for i in range(data.ndim) if i not in spectral] + spectral
    if order != list(range(data.ndim)):
        data = data.transpose(order)
    kind = _signal_type(entry) if len(spectral) == 1 else ""
    axes = [_axis(entries[i], kind if i in spectral else "") for i in order]
    return data, complete_axes(axes, tuple(data.shape), len(spectral)), len(spectral)


def _axes_in_order(axes: Sequence[Entry], shape: Sequence[int]) -> list[Entry]:
    """One dictionary per array axis, in the array's order.

    Where `index_in_array` contradicts the sizes (Velox's EELS maps), the list's own order holds.
    """
    index: list[int] = [each.get("index_in_array", -1) for each in axes]
    if sorted(index) == list(range(len(shape))):
        by_index = sorted(axes, key=lambda each: each["index_in_array"])
        if _sizes_fit(by_index, shape) or not _sizes_fit(axes, shape):
            return by_index
    return list(axes) if len(axes) == len(shape) else [{} for _ in shape]


def _sizes_fit(axes: Sequence[Entry], shape: Sequence[int]) -> bool:
    return all(int(each.get("size", n)) == n for each, n in zip(axes, shape, strict=True))


def _signal_axes(axes: Sequence[Entry], energies: list[int], spectra: bool) -> list[int]:
    """Which array axes are the signal: what the reader says, else energies, else the last."""
    n = len(axes)
    flagged = [i for i in range(n) if not axes[i].get("navigate", False)]
    if len(flagged) == 1:
        return flagged
    if len(energies) == 1:
        return energies
    if len(flagged) == n:  # nothing is told: an image, or a map whose last axis is the signal
        return [] if n == 2 and not spectra else [n - 1]
    return flagged


def _axis(entry: Entry, kind: str) -> Axis:
    """The axis as the file has it, uncalibrated where it has no step."""
    name, units = axis_name(entry.get("name")), _unit(entry)
    if kind == "EELS" and name in ("", "energy", "e"):
        name = "energy loss"
    elif not name and (units in ENERGIES or kind.startswith("EDS")):
        name = "energy"
    if entry.get("axis") is not None:
        return axis_at(name, entry["axis"], units)
    scale, offset = (_number(entry.get(key), default) for key, default in PLACE)
    if not (isfinite(scale) and isfinite(offset)) or scale == 0:
        return Axis(name)
    return Axis(name, scale, offset, units)


def _number(value: Any, default: float) -> float:
    return default if value is None else float(value)


def _unit(entry: Entry) -> str:
    return unit(entry.get("units"))


def _signal_type(entry: Entry) -> str:
    signal = (entry.get("metadata") or {}).get("Signal") or {}
    return clean(signal.get("signal_type")).upper()


def _record_by(entry: Entry) -> str:
    """What files before hspy 3.0 tell: "spectrum" or "image"; empty where nothing is told."""
    signal = (entry.get("metadata") or {}).get("Signal") or {}
    return clean(signal.get("record_by")).lower()


def _title(entry: Entry) -> str:
    general = (entry.get("metadata") or {}).get("General") or {}
    return slug(general.get("title"))


def _short_name(entry: Entry) -> str:
    """The short name: "eels" and "eds" by the kind of signal, else the title."""
    kind = _signal_type(entry)
    return "eds" if kind.startswith("EDS") else slug(kind) or _title(entry)


def names(entries: Sequence[Entry], stem: str) -> list[str]:
    """A name for every entry, none twice.

    Several of a kind are told apart by their titles; a spectrum beside a map of its kind is
    "eds_spectrum"; what is still alike is numbered, "eds", "eds_2".
    """
    maps = {_short_name(entry) for entry in entries if entry["data"].ndim > 1}
    kinds = [
        f"{kind}_spectrum" if entry["data"].ndim == 1 and kind in maps else kind
        for entry in entries
        if (kind := _short_name(entry) or stem)
    ]
    titles = [_title(entry) for entry in entries]
    given: list[str] = []
    for kind, title in zip(kinds, titles, strict=True):
        unclear = kinds.count(kind) > 1 and title and titles.count(title) == 1
        base = title if unclear and title not in kinds else kind
        number = 1
        while (name := base if number == 1 else f"{base}_{number}") in given:
            number += 1
        given.append(name)
    return given


def _plain_metadata(value: Any) -> Any:
    """The metadata as plain dictionaries and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain_metadata(each) for key, each in value.items()}
    return [_plain_metadata(each) for each in value] if isinstance(value, list) else value

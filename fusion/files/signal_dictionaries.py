"""RosettaSciIO's dictionaries as data sets: order, names and calibration of the axes, metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.unit_names import BRACKETS, ENERGIES, SPECTRAL, unit
from fusion.data.axis_sense import axis_doubts
from fusion.data.dataset import Dataset
from fusion.data.signal_type import nested
from fusion.files.calibration import (
    KEPT,
    axis_at,
    axis_name,
    complete_axes,
    is_as_saved,
    readable,
    slug,
)
from fusion.files.contents import StoredDataset, listed
from fusion.files.dataset_dictionaries import plain_metadata, restored
from fusion.files.dataset_names import detector_of, element_of, names, short_name
from fusion.files.signal_axes import signal_axes, signal_type

Entry = Mapping[str, Any]
PLACE = (("scale", 1.0), ("offset", 0.0))  # of an axis, where the file does not tell
VOLTS = {"V": 1e-3, "eV": 1e-3, "kV": 1.0, "keV": 1.0}
"""keV of a unit of beam energies, which HyperSpy has in keV."""
NOTES, CAUTIONS = "notes", "cautions"
"""Keys of what was noted of an entry while it was read, and of what a user should hear of it."""


def stored_datasets(path: Path, entries: Sequence[Entry]) -> tuple[list[StoredDataset], list[str]]:
    """The data sets of a file, and what is left out: complex, coloured, ragged or empty arrays."""
    usable = [entry for entry in entries if _usable(entry["data"])]
    unusable = [
        f"{short_name(entry) or 'one'} {tuple(entry['data'].shape)} {_type_text(entry['data'])}"
        for entry in entries
        if not _usable(entry["data"])
    ]
    parts = [arranged(entry) for entry in usable]
    ranges = [_range_text(axes[-1]) if signal == 1 else "" for _, axes, signal in parts]
    given = names(usable, slug(path.stem) or "data", ranges)
    maps = any(signal == 1 and len(axes) > 1 for _, axes, signal in parts)
    made = [
        f"made from the spectra, {element_of(entry)}"
        if maps and signal == 0 and element_of(entry)
        else ""
        for entry, (_, _, signal) in zip(usable, parts, strict=True)
    ]
    left_out = [f"left out of {path.name}: {listed(unusable)}"] if unusable else []
    together = zip(usable, parts, given, made, strict=True)
    return [_stored(entry, part, n, of, left_out) for entry, part, n, of in together], unusable


def _usable(data: Any) -> bool:
    return data.dtype.kind in "buif" and data.ndim > 0 and 0 not in data.shape


def _type_text(data: Any) -> str:
    """The type in words where it has some."""
    names = data.dtype.names
    if names and set(names) <= {"R", "G", "B", "A"}:
        return "a picture in colours"
    return str(data.dtype)


def _stored(
    entry: Entry, part: tuple[Any, Axes, int], name: str, made_from: str, left_out: list[str]
) -> StoredDataset:
    data, axes, signal = part
    metadata = plain_metadata(entry.get("metadata") or {})
    doubts = axis_doubts(name, axes, signal, metadata)
    cautions = (*entry.get(CAUTIONS, ()), *left_out, *doubts)
    history = [*entry.get(NOTES, ()), *cautions, *([made_from] if made_from else [])]

    def read() -> Dataset:
        made = Dataset(name, data, axes=axes, signal=signal, metadata=metadata, history=history)
        return restored(made)

    return StoredDataset(
        name,
        tuple(int(n) for n in data.shape),
        data.dtype,
        axes,
        read,
        signal=signal,
        made_from=made_from,
        detector=detector_of(entry) if len(axes) == signal == 1 else "",  # maps are sums of several
        cautions=cautions,
    )


def arranged(entry: Entry) -> tuple[Any, Axes, int]:
    """The array with its signal axes last, its axes, and how many of them are the signal."""
    data = entry["data"]
    entries = _axes_in_order(entry.get("axes") or [], data.shape)
    kept: Any = (entry.get("metadata") or {}).get(KEPT)
    if is_as_saved(kept, [str(each.get("name") or "") for each in entries], data.shape):
        spectral = list(range(data.ndim))[data.ndim - int(kept["signal"]) :]
    else:
        spectral = signal_axes(entry, entries, [_unit(each) for each in entries])
    order = [i for i in range(data.ndim) if i not in spectral] + spectral
    if order != list(range(data.ndim)):
        data = data.transpose(order)
    kind = signal_type(entry) if len(spectral) == 1 else ""
    axes = [_axis(entries[i], kind if i in spectral else "") for i in order]
    axes = list(complete_axes(axes, tuple(data.shape), len(spectral)))
    first = len(axes) - len(spectral)
    return data, tuple(readable(a, spectral=i >= first) for i, a in enumerate(axes)), len(spectral)


def _axes_in_order(axes: Sequence[Entry], shape: Sequence[int]) -> list[Entry]:
    """One dictionary per array axis, in the array's order: that in which the reader lists them.

    Only where the sizes contradict it does `index_in_array` count.
    """
    index: list[int] = [each.get("index_in_array", -1) for each in axes]
    if len(axes) == len(shape) and _sizes_fit(axes, shape):
        return list(axes)
    if sorted(index) == list(range(len(shape))):
        by_index = sorted(axes, key=lambda each: each["index_in_array"])
        if _sizes_fit(by_index, shape):
            return by_index
    return list(axes) if len(axes) == len(shape) else [{} for _ in shape]


def _sizes_fit(axes: Sequence[Entry], shape: Sequence[int]) -> bool:
    return all(int(each.get("size", n)) == n for each, n in zip(axes, shape, strict=True))


def _axis(entry: Entry, kind: str) -> Axis:
    """The axis as the file has it, uncalibrated where it has no step."""
    name, units = axis_name(entry.get("name") or _name_in_units(entry)), _unit(entry)
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
    """The unit, also of "Energy Loss (eV)", as the standard of msa files writes it."""
    units = unit(entry.get("units"))
    found = BRACKETS.match(units)
    return units if found is None else unit(found["units"])


def _name_in_units(entry: Entry) -> str:
    found = BRACKETS.match(unit(entry.get("units")))
    return "" if found is None else found["name"]


def _range_text(axis: Axis) -> str:
    """ "0–800 eV"; empty where it has no unit of spectra."""
    if axis.units not in SPECTRAL and axis.units != "nm":
        return ""
    low, high = sorted((axis.values[0], axis.values[-1]))
    digits = 0 if high - low >= 20 else 2
    return f"{low:.{digits}f}–{high:.{digits}f} {axis.units}"


def with_mapped_metadata(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with beam energy, angles, live time … among its metadata, as readers map them."""
    metadata = plain_metadata(entry.get("metadata") or {})
    original = entry.get("original_metadata") or {}
    for source, (target, convert) in (entry.get("mapping") or {}).items():
        value = nested(original, *source.split("."))
        if value is None:
            continue
        with suppress(Exception):  # a reader's function of what this file does not have
            value = value if convert is None else convert(value)
            if value is not None and isinstance(target, str):
                _set_nested(metadata, target.split("."), plain_metadata(value))
    for scope in (metadata.get("Acquisition_instrument") or {}).values():
        known = isinstance(scope, dict) and isinstance(scope.get("beam_energy"), int | float)
        if known and scope.get("beam_energy_units") in VOLTS:
            scope["beam_energy"] *= VOLTS[scope.pop("beam_energy_units")]
    return {**entry, "metadata": metadata}


def _set_nested(metadata: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        metadata = metadata.setdefault(key, {})
    metadata[keys[-1]] = value

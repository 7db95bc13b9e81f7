"""RosettaSciIO's dictionaries as data sets: order, names and calibration of the axes, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from fusion.algebra.axis import Axes, Axis
from fusion.data.dataset import Dataset
from fusion.files.calibration import ENERGIES, axis, axis_name, complete, slug, text, unit
from fusion.files.contents import Found

Entry = Mapping[str, Any]
PLACE = (("scale", 1.0), ("offset", 0.0))  # of an axis, where the file does not tell


def found(path: Path, entries: Sequence[Entry]) -> tuple[list[Found], list[str]]:
    """The data sets of a file, and what is left out: complex, coloured, ragged or empty arrays."""
    usable = [entry for entry in entries if _usable(entry["data"])]
    unusable = [
        f"{_kind(entry) or 'one'} {tuple(entry['data'].shape)} {entry['data'].dtype}"
        for entry in entries
        if not _usable(entry["data"])
    ]
    named = zip(usable, names(usable, slug(path.stem) or "data"), strict=True)
    return [_found(entry, name) for entry, name in named], unusable


def _usable(data: Any) -> bool:
    return data.dtype.kind in "buif" and data.ndim > 0 and 0 not in data.shape


def _found(entry: Entry, name: str) -> Found:
    data, axes, signal = arranged(entry)
    metadata = _plain(entry.get("metadata") or {})
    dataset = Dataset(name, data, axes=axes, signal=signal, metadata=metadata)
    return Found(name, dataset.shape, data.dtype, dataset.axes, lambda: dataset)


def arranged(entry: Entry) -> tuple[Any, Axes, int]:
    """The array with its signal axes last, its axes, and how many of them are the signal."""
    data = entry["data"]
    told = _in_order(entry.get("axes") or [], data.shape)
    energies = [i for i, each in enumerate(told) if _unit(each) in ENERGIES]
    spectra = _type(entry).startswith(("EELS", "EDS")) or _record(entry) == "spectrum"
    spectral = _spectral(told, energies, spectra)
    order = [i for i in range(data.ndim) if i not in spectral] + spectral
    if order != list(range(data.ndim)):
        data = data.transpose(order)
    kind = _type(entry) if len(spectral) == 1 else ""
    axes = [_axis(told[i], kind if i in spectral else "") for i in order]
    return data, complete(axes, tuple(data.shape), len(spectral)), len(spectral)


def _in_order(axes: Sequence[Entry], shape: Sequence[int]) -> list[Entry]:
    """One dictionary per array axis, in the array's order.

    Where `index_in_array` contradicts the sizes (Velox's EELS maps), the list's own order holds.
    """
    index: list[int] = [each.get("index_in_array", -1) for each in axes]
    if sorted(index) == list(range(len(shape))):
        by_index = sorted(axes, key=lambda each: each["index_in_array"])
        if _sizes(by_index, shape) or not _sizes(axes, shape):
            return by_index
    return list(axes) if len(axes) == len(shape) else [{} for _ in shape]


def _sizes(axes: Sequence[Entry], shape: Sequence[int]) -> bool:
    return all(int(each.get("size", n)) == n for each, n in zip(axes, shape, strict=True))


def _spectral(axes: Sequence[Entry], energies: list[int], spectra: bool) -> list[int]:
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


def _axis(told: Entry, kind: str) -> Axis:
    """The axis as the file has it, uncalibrated where it has no step."""
    name, units = axis_name(told.get("name")), _unit(told)
    if kind == "EELS" and name in ("", "energy", "e"):
        name = "energy loss"
    elif not name and (units in ENERGIES or kind.startswith("EDS")):
        name = "energy"
    if told.get("axis") is not None:
        return axis(name, told["axis"], units)
    scale, offset = (_number(told.get(key), default) for key, default in PLACE)
    if not (isfinite(scale) and isfinite(offset)) or scale == 0:
        return Axis(name)
    return Axis(name, scale, offset, units)


def _number(value: Any, default: float) -> float:
    return default if value is None else float(value)


def _unit(told: Entry) -> str:
    return unit(told.get("units"))


def _type(entry: Entry) -> str:
    signal = (entry.get("metadata") or {}).get("Signal") or {}
    return text(signal.get("signal_type")).upper()


def _record(entry: Entry) -> str:
    """What files before hspy 3.0 tell: "spectrum" or "image"; empty where nothing is told."""
    signal = (entry.get("metadata") or {}).get("Signal") or {}
    return text(signal.get("record_by")).lower()


def _title(entry: Entry) -> str:
    general = (entry.get("metadata") or {}).get("General") or {}
    return slug(general.get("title"))


def _kind(entry: Entry) -> str:
    """The short name: "eels" and "eds" by the kind of signal, else the title."""
    kind = _type(entry)
    return "eds" if kind.startswith("EDS") else slug(kind) or _title(entry)


def names(entries: Sequence[Entry], stem: str) -> list[str]:
    """A name for every entry, none twice.

    Several of a kind are told apart by their titles; a spectrum beside a map of its kind is
    "eds_spectrum"; what is still alike is numbered, "eds", "eds_2".
    """
    maps = {_kind(entry) for entry in entries if entry["data"].ndim > 1}
    kinds = [
        f"{kind}_spectrum" if entry["data"].ndim == 1 and kind in maps else kind
        for entry in entries
        if (kind := _kind(entry) or stem)
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


def _plain(value: Any) -> Any:
    """The metadata as plain dictionaries and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value

"""A HyperSpy signal as a data set: through its public attributes, HyperSpy itself is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.unit_names import clean
from fusion.data.dataset import Dataset
from fusion.files.dataset_dictionaries import KEPT, restored
from fusion.files.dataset_names import names
from fusion.files.signal_dictionaries import arranged

INTERNAL = ("_HyperSpy", "_sig_", "_")
"""How keys begin that are no metadata of the measurement, or whole signals."""


@checked_call
def from_hyperspy(signal: Any, *, name: str | None = None, mask: Any = None) -> Dataset:
    """The data set of a signal; see `Dataset.from_hyperspy`."""
    if not (hasattr(signal, "axes_manager") and hasattr(signal, "data")):
        raise ValueError(
            f"`Dataset.from_hyperspy({type(signal).__name__})`: give a HyperSpy signal; an array "
            "is `Dataset(name, array, axes=…)`, a file `fusion.load(path)`."
        )
    metadata = plain_metadata(signal.metadata.as_dictionary())
    entry = {"data": signal.data, "axes": _axis_entries(signal), "metadata": metadata}
    if signal.data.dtype.kind not in "buif":
        raise ValueError(
            f"`Dataset.from_hyperspy({_signal_text(signal)})`: data of type {signal.data.dtype}: "
            "give real numbers, and no ragged signal."
        )
    array, axes, spectral = arranged(entry)
    ours = "variance" in (metadata.get(KEPT) or {})
    variance, history = (None, ()) if ours else _variance(signal)
    name = names([entry], "data")[0] if name is None else name
    try:
        made = Dataset(
            name,
            array,
            axes=axes,
            signal=spectral,
            mask=mask,
            variance=variance,
            history=history,
            metadata=metadata,
        )
        return restored(made)
    except ValueError as error:
        shape = tuple(getattr(mask, "shape", ()))
        if mask is not None and shape == tuple(signal.axes_manager.navigation_shape):
            order = ", ".join(axis.name for axis in axes[: len(axes) - spectral])
            raise ValueError(
                f"{error} This mask is in the order of HyperSpy's navigation_shape: give mask.T, "
                f"of the array's order ({order}), or a HyperSpy signal as mask."
            ) from None
        raise


def _signal_text(signal: Any) -> str:
    return f"{type(signal).__name__} {clean(signal.metadata.get_item('General.title'))!r}"


def _axis_entries(signal: Any) -> list[dict[str, Any]]:
    """RosettaSciIO's dictionaries of the axes, in the order of the array."""
    entries = []
    for axis in (*signal.axes_manager.navigation_axes, *signal.axes_manager.signal_axes):
        entry = {"name": clean(axis.name), "units": clean(axis.units), "navigate": axis.navigate}
        entry |= {"size": axis.size, "index_in_array": axis.index_in_array}
        if getattr(axis, "is_uniform", False):
            entry |= {"scale": float(axis.scale), "offset": float(axis.offset)}
        else:
            entry["axis"] = np.asarray(axis.axis)
        entries.append(entry)
    return sorted(entries, key=lambda entry: entry["index_in_array"])


def axes_of(signal: Any) -> list[Axis]:
    """The signal's axes as ours: in the order of its array, those of the signal last."""
    entries = _axis_entries(signal)
    entries.sort(key=lambda entry: not entry["navigate"])
    return [
        Axis(
            entry["name"],
            entry.get("scale", 1.0),
            entry.get("offset", 0.0),
            entry["units"],
            values=entry.get("axis"),
            size=entry["size"],
        )
        for entry in entries
    ]


def plain_metadata(value: Any) -> Any:
    """Metadata as plain dictionaries: keys without blanks at their ends, nothing internal."""
    if not isinstance(value, Mapping):
        return value
    pairs = ((str(key).strip(), each) for key, each in value.items())
    return {key: plain_metadata(each) for key, each in pairs if not key.startswith(INTERNAL)}


def _variance(signal: Any) -> tuple[float | None, tuple[str, ...]]:
    """The variance that the signal's metadata hold, where it is one number."""
    variance = signal.get_noise_variance() if hasattr(signal, "get_noise_variance") else None
    if variance is None:
        return None, ()
    if isinstance(variance, (int, float, np.number)) and isfinite(variance) and variance > 0:
        return float(variance), (f"variance {float(variance):g} of HyperSpy's Noise_properties",)
    return None, (
        "HyperSpy's Noise_properties hold a variance of every entry, which is not taken: it would "
        "pull amounts down; `estimate_variance()`, or `with_variance(array)` to take it",
    )

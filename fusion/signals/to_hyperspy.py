"""Factors as HyperSpy signals: spectra of their own kind, maps as images with calibrated axes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.unit_names import ENERGIES
from fusion.answers.diagnostics import DataSummary
from fusion.answers.measured import data_along
from fusion.answers.result import Result
from fusion.data.signal_type import nested, signal_type

Array = NDArray[Any]


@checked_call
def to_hyperspy(result: Result) -> dict[str, Any]:
    """{factor: signal}; see `Result.to_hyperspy`."""
    hs = hyperspy("Result.to_hyperspy")
    signals = {}
    for name, values in result.factors.items():
        axes = result.axes.get(name, (None,) * values.ndim)[0]
        if values.ndim != 2:
            continue  # the core of a Tucker decomposition is neither map nor spectrum
        summary, spectral = data_along(result, axes)
        metadata = {} if summary is None else dict(summary.metadata)
        kind = signal_type(axes or (), metadata) if spectral else ""
        if kind.startswith("EDS") and summary is not None:
            values = values * _total_amounts(result, summary, values.shape[1])
        signal = _make_signal(hs, values, axes, spectral=spectral)
        _set_metadata(signal, name, metadata)
        if values.shape[1] == len(result.component_names):
            signal.metadata.set_item("sdfusion.components", list(result.component_names))
        if spectral:
            set_type(signal, kind)
        signals[name] = signal
    return signals


def hyperspy(call: str) -> Any:
    """HyperSpy's interface.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import hyperspy.api as hs
    except ImportError as error:
        raise ImportError(
            f'`{call}`: HyperSpy is not installed: pip install "sdfusion[hyperspy]".'
        ) from error
    return hs


def _total_amounts(result: Result, summary: DataSummary, K: int) -> Array:
    """Sums of the maps (K,) that go with the spectra of a data set; ones where none are found."""
    pixels = summary.axes[: len(summary.axes) - summary.signal]
    for name, values in result.factors.items():
        if result.axes.get(name, (None,))[0] == pixels and values.shape[1:] == (K,):
            return np.nansum(values, 0)
    return np.ones(K)


def _make_signal(hs: Any, values: Array, axes: Axes | None, *, spectral: bool) -> Any:
    """(n, K) with K in front, as images where there are two axes or more, else as curves."""
    axes = axes or (Axis("row", size=len(values)),)
    array = np.ascontiguousarray(values.T).reshape(-1, *(axis.size or 1 for axis in axes))
    shown = len(axes) if spectral else min(len(axes), 2)
    entries = [{"name": "Component", "size": len(array), "navigate": True}]
    entries += [axis_entry(a, i < len(axes) - shown) for i, a in enumerate(axes)]
    make = hs.signals.Signal2D if shown == 2 else hs.signals.Signal1D
    return make(array, axes=entries)


def axis_entry(axis: Axis, navigate: bool) -> dict[str, Any]:
    """The axis as HyperSpy takes it."""
    name = axis.name[:1].upper() + axis.name[1:] if axis.units in ENERGIES else axis.name
    entry = {"name": name, "units": axis.units or None, "navigate": navigate, "size": axis.size}
    if axis.uniform:
        return {**entry, "scale": axis.scale, "offset": axis.offset}
    del entry["size"]
    return {**entry, "axis": axis.values}


def _set_metadata(signal: Any, name: str, metadata: dict[str, Any]) -> None:
    """Title and metadata of the measurement, without those of its signal."""
    metadata = {key: value for key, value in metadata.items() if key != "Signal"}
    title = nested(metadata, "General", "title")
    signal.metadata.add_dictionary(metadata)
    signal.metadata.set_item("General.title", f"{name} of {title}" if title else name)


def set_type(signal: Any, kind: str) -> None:
    """The signal's class is made that of its kind, where eXSpy is there to have it."""
    if not kind:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signal.set_signal_type(kind)

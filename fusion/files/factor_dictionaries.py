"""Factors of a result as signals: RosettaSciIO's dictionaries, which HyperSpy reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fusion._version import __version__
from fusion.algebra.axis import Axes, Axis
from fusion.answers.measured import metadata_along
from fusion.data.signal_type import signal_type

if TYPE_CHECKING:
    from fusion.answers.result import Result

Signal = dict[str, Any]

CARRIED = ("Acquisition_instrument", "Sample")
"""Of the metadata of the data: what holds for a spectrum of a component, too."""


def signals(result: Result) -> list[Signal]:
    """The factors as RosettaSciIO's dictionaries, which HyperSpy reads as signals.

    Spectra are (component | energy), of the type of their data set (`fusion.data.signal_type`);
    maps (component | x, y) with their calibration; what runs along neither, (component | index).
    """
    return [signal_of(result, name) for name, F in result.factors.items() if F.ndim == 2]


def spectral_factors(result: Result) -> list[str]:
    """Factors that run along the channels of a data set of spectra."""
    channels = [d.axes[-1:] for d in result.data.values() if d.signal == 1]
    return [
        name
        for name, F in result.factors.items()
        if F.ndim == 2 and (result.axes.get(name) or (None,))[0] in channels
    ]


def factor_axes(result: Result, name: str) -> Axes:
    """What the rows of a factor run along; an index where nothing is told."""
    axes = (result.axes.get(name) or (None,))[0]
    return axes or (Axis("index", size=len(result.factors[name])),)


def signal_of(result: Result, name: str) -> Signal:
    """One factor, components first."""
    axes, F = factor_axes(result, name), result.factors[name]
    components = Axis("component", offset=1.0, size=F.shape[1])
    spectral = name in spectral_factors(result)
    shown = 1 if spectral or len(axes) == 1 else 2
    data = np.ascontiguousarray(F.T.reshape(F.shape[1], *(axis.size or 1 for axis in axes)))
    modes = (components, *axes)
    entries = [axis_entry(a, i, navigate=i < len(modes) - shown) for i, a in enumerate(modes)]
    known = metadata_along(result, axes)
    kind = signal_type(axes, known) if spectral else ""
    carried = {key: known[key] for key in CARRIED if key in known}
    return {
        "data": data,
        "axes": entries,
        "metadata": {
            **carried,
            "General": {"title": name, "notes": result.summary()},
            "Signal": {"signal_type": kind},
        },
        "original_metadata": {"sdfusion": _provenance(result, name)},
        "package_info": {"package": "", "package_version": ""},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
        "learning_results": {},
        "models": {},
    }


def axis_entry(axis: Axis, index: int, *, navigate: bool) -> dict[str, Any]:
    """RosettaSciIO's dictionary of an axis."""
    entry: dict[str, Any] = {"name": axis.name, "units": axis.units, "size": int(axis.size or 0)}
    entry |= {"navigate": navigate, "index_in_array": index, "is_binned": False}
    if axis.uniform:
        return entry | {"_type": "UniformDataAxis", "scale": axis.scale, "offset": axis.offset}
    return entry | {"_type": "DataAxis", "axis": axis.values}


def _provenance(result: Result, name: str) -> dict[str, Any]:
    """How the factor was found."""
    entry = {
        "version": __version__,
        "factor": name,
        "formula": result.formula,
        "loss": float(result.loss),
    }
    entry |= {
        "status": result.status,
        "solver": result.solver,
        "messages": "\n".join(result.messages),
    }
    if result.component_names:
        entry["components"] = "\n".join(result.component_names)
    for key, data in result.data.items():
        entry[f"explained_variance_{key}"] = float(data.explained_variance)
        entry[f"history_{key}"] = "\n".join(data.history)
    return entry

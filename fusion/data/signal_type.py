"""What was measured: the type of a signal, as HyperSpy and its extensions name it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusion.algebra.axis import Axis

ENERGIES = ("eV", "keV")
PHOTONS = ("x-ray", "xray", "eds", "edx")
"""In the name of an axis of X-ray energies, in whatever unit."""
OTHERS = ("photon", "binding", "kinetic", "wavelength", "emission")
"""In the name of an axis in eV that is none of energy losses."""
LINES, EDGES = ("EDS", "WDS", "XRF", "PIXE"), ("EELS", "XAS")
"""How the types begin whose spectra have X-ray lines, or absorption edges."""


def signal_type(axes: Sequence[Axis], metadata: Mapping[str, Any]) -> str:
    """The type of a signal: "EELS", "EDS_TEM", "CL" …; "" where nothing tells it.

    What the metadata say holds. Where they say nothing the axis decides: an energy loss, or any
    other axis in eV, is that of EELS; one in keV, or of X-rays by its name, that of EDS, of a SEM
    where the metadata have one.

    Args:
        axes: of the signal.
        metadata: what is known of the measurement, as HyperSpy arranges it.
    """
    if stated := str(nested(metadata, "Signal", "signal_type") or "").strip():
        return stated
    if len(axes) != 1:
        return ""
    name, units = axes[0].name.casefold().replace("_", "-"), axes[0].units
    if "loss" in name or name == "eels":
        return "EELS"
    if units in ENERGIES and any(word in name for word in PHOTONS):
        return _eds(metadata)
    if units not in ENERGIES or any(word in name for word in OTHERS):
        return ""
    return "EELS" if units == "eV" else _eds(metadata)


def has_edges(axis: Axis, metadata: Mapping[str, Any]) -> bool | None:
    """Whether spectra on an axis have edges (True), X-ray lines (False), or neither (None)."""
    kind = signal_type((axis,), metadata).upper()
    return True if kind.startswith(EDGES) else False if kind.startswith(LINES) else None


def nested(metadata: Mapping[str, Any], *keys: str) -> Any:
    """An entry of nested dictionaries, or None."""
    value: Any = metadata
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _eds(metadata: Mapping[str, Any]) -> str:
    """EDS of the microscope that the metadata name; of a TEM where they name none."""
    instrument = nested(metadata, "Acquisition_instrument")
    return "EDS_SEM" if isinstance(instrument, Mapping) and "SEM" in instrument else "EDS_TEM"

"""How X-ray spectra were taken: beam energy and where the detector stands, from the metadata."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fusion.data.dataset import Dataset
from fusion.data.signal_type import has_edges, nested, signal_type
from fusion.xrays.table import KEV

HIGHEST = 1500.0
"""keV; above it a beam energy is one in eV or V."""
IN_TEM = 30.0
"""keV from which on electrons go through a specimen."""


@dataclass(frozen=True)
class Acquisition:
    """keV of the beam, and degrees of the detector above the specimen's plane."""

    beam_energy: float
    elevation: float


def acquisition_of(
    call: str, edxs: Dataset, beam_energy: float | None, elevation: float | None
) -> Acquisition:
    """What was given, else what the metadata say.

    Raises:
        ValueError: if data are no X-ray spectra of thin specimens, or a number is nowhere.
    """
    _check_xrays(call, edxs)
    if beam_energy is None:
        beam_energy = _in_metadata(edxs, "beam_energy")
    if elevation is None:
        elevation = stated_elevation(edxs)
    if beam_energy is None:
        raise ValueError(
            f"`{call}`: the metadata say no beam energy: give it in keV, `beam_energy=200`."
        )
    if elevation is None:
        raise ValueError(
            f"`{call}`: the metadata do not say how high the detector stands over the specimen: "
            "give the angle of take-off in degrees, `elevation=22`; what the specimen absorbs "
            "depends on it."
        )
    if not IN_TEM <= beam_energy <= HIGHEST:
        raise ValueError(
            f"`{call}`: beam_energy={beam_energy:g} keV: thin specimens are looked at with "
            f"{IN_TEM:g} to {HIGHEST:g} keV; bulk ones, in which electrons lose their energy, are "
            "not in this model."
        )
    if not 0 < elevation <= 90:
        raise ValueError(
            f"`{call}`: elevation={elevation:g}°: give 0 to 90°, from the specimen's plane to the "
            "detector, its tilt counted in."
        )
    return Acquisition(float(beam_energy), float(elevation))


def _check_xrays(call: str, edxs: Dataset) -> None:
    """Complain of data on another axis, or of a bulk specimen."""
    axis = edxs.axes[-1]
    kind = signal_type((axis,), edxs.metadata)
    if edxs.signal != 1 or axis.units not in KEV or has_edges(axis, edxs.metadata):
        raise ValueError(
            f"`{call}`: {axis!r}: give X-ray spectra on an axis in keV, or in eV with "
            "metadata={'Signal': {'signal_type': 'EDS_TEM'}}."
        )
    if kind == "EDS_SEM":
        raise ValueError(
            f"`{call}`: the metadata say EDS_SEM: the physics here is that of thin specimens; bulk "
            "ones need ZAF or φ(ρz) corrections, which are not in this model."
        )


def stated_elevation(edxs: Dataset) -> float | None:
    """Degrees of the detector above the plane of the holder, as the metadata say."""
    return _in_metadata(edxs, "Detector", "EDS", "elevation_angle")


def take_off_angle(elevation: float, tilt: float, azimuth: float) -> float:
    """Degrees of a detector above the plane of a specimen that is tilted.

    sin(take-off) = sin(tilt) cos(azimuth) cos(elevation) + cos(tilt) sin(elevation).

    Args:
        elevation: above the plane of the holder; tilt: of the specimen; azimuth: of the detector,
            from where the tilt turns the specimen to. All in degrees.

    Example:
        >>> from fusion.xrays.acquisition import take_off_angle
        >>> round(take_off_angle(22.0, 10.0, 0.0), 6)
        32.0
    """
    e, t, a = (math.radians(x) for x in (elevation, tilt, azimuth))
    sine = math.sin(t) * math.cos(a) * math.cos(e) + math.cos(t) * math.sin(e)
    return math.degrees(math.asin(min(max(sine, -1.0), 1.0)))


def _in_metadata(edxs: Dataset, *path: str) -> float | None:
    """A number under Acquisition_instrument.TEM."""
    value: Any = nested(edxs.metadata, "Acquisition_instrument", "TEM", *path)
    return float(value) if isinstance(value, int | float) else None

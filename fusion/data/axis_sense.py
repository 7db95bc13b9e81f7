"""Whether the calibration of spectra makes sense, and the line that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.unit_names import ENERGIES
from fusion.algebra.units import ratio

HIGHEST_XRAY = 150e3  # eV; the K lines of uranium lie at 115 keV
LOWEST_XRAY = 100.0  # eV, that an X-ray spectrum has to reach: Be Kα lies at 109 eV
COARSEST_XRAY = 500.0  # eV a channel; no X-ray spectrum is binned so far
HIGHEST_LOSS = 50e3  # eV; edges are measured to some 10 keV
TINY = 1e-6  # steps below which a position without unit is one in m


def axis_doubts(name: str, axes: Axes, signal: int, metadata: Mapping[str, Any]) -> list[str]:
    """What cannot be right of the axes, a line each, with the line of Python that mends it.

    Args:
        name: of the data set.
        axes: of its array.
        signal: how many of the last are spectral.
        metadata: of the measurement; the type of the signal is in them.
    """
    said = [text for axis in axes for text in _without_unit(name, axis)]
    if signal == 1:
        kind = str((metadata.get("Signal") or {}).get("signal_type") or "").upper()
        said += [*_energies(name, axes[-1], kind)]
    return said


def _without_unit(name: str, axis: Axis) -> Iterator[str]:
    if axis.uniform and not axis.units and abs(axis.scale) < TINY:
        yield (
            f"{name}: {axis.name} has steps of {axis.scale:.3g} without unit, as if in m: "
            + _line(axis, scale=axis.scale * 1e9, offset=axis.offset * 1e9, units="nm")
        )


def _energies(name: str, axis: Axis, kind: str) -> Iterator[str]:
    """Of an axis of energies: its direction, its extent and its steps."""
    xray, loss = kind.startswith("EDS"), kind.startswith("EELS") or "loss" in axis.name
    if not axis.units and axis.scale == 1.0 and axis.uniform and (xray or kind == "EELS"):
        yield (
            f"{name}: {axis.name} has no energies, channel numbers alone: "
            f'data.with_axes({_word(axis)}=fusion.Axis("energy", scale=…, offset=…, units="eV"))'
        )
    if axis.units not in ENERGIES:
        return
    x = axis.values * (ratio("eV", axis.units) or 1.0)
    low, high, step = float(x.min()), float(x.max()), float(np.abs(np.diff(x)).max(initial=0.0))
    other = "eV" if axis.units == "keV" else "keV"
    if loss and high < 0:
        yield (
            f"{name}: {axis.name} from {axis.values[0]:g} to {axis.values[-1]:g} {axis.units} lies "
            "below 0, as if mirrored: " + _line(axis, scale=-axis.scale, offset=-axis.offset)
        )
    elif xray and (high > HIGHEST_XRAY or step > COARSEST_XRAY):
        yield (
            f"{name}: X-rays up to {high / 1e3:g} keV in channels of {step:g} eV, more than there "
            f"are: {_line(axis, units=other)}"
        )
    elif xray and high < LOWEST_XRAY:
        yield (f"{name}: X-rays up to {high:g} eV, less than there are: {_line(axis, units=other)}")
    elif loss and high > HIGHEST_LOSS and low >= 0:
        yield (
            f"{name}: energy losses up to {high:g} eV, more than is measured: "
            f"{_line(axis, units='eV' if axis.units == 'keV' else 'meV')}"
        )


def _line(
    axis: Axis, *, scale: float | None = None, offset: float | None = None, units: str = ""
) -> str:
    """The call that gives it another calibration."""
    new = f'"{axis.name}"'
    if axis.uniform:
        new += f", scale={axis.scale if scale is None else scale:.6g}"
        new += f", offset={axis.offset if offset is None else offset:.6g}"
    else:
        new += ", values=-axis.values" if offset is not None else ", values=axis.values"
    return f'data.with_axes({_word(axis)}=fusion.Axis({new}, units="{units or axis.units}"))'


def _word(axis: Axis) -> str:
    """The name as a keyword."""
    return axis.name.replace(" ", "_").replace("-", "_")

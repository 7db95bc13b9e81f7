"""Lengths and energies in other units."""

from __future__ import annotations

from fusion.algebra.axis import Axis

SIZES = (
    {"m": 1.0, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9, "Å": 1e-10, "pm": 1e-12},
    {"keV": 1e3, "eV": 1.0, "meV": 1e-3},
    {"rad": 1.0, "mrad": 1e-3},
)


def ratio(one: str, two: str) -> float | None:
    """What turns a number in the second unit into the first; None where nothing does."""
    if one == two:
        return 1.0
    kind = next((sizes for sizes in SIZES if one in sizes and two in sizes), None)
    return None if kind is None else kind[two] / kind[one]


def in_units(axis: Axis, units: str, call: str) -> Axis:
    """The axis in another unit.

    Raises:
        ValueError: if nothing converts it.
    """
    by = ratio(units, axis.units)
    if by is None:
        raise ValueError(
            f"`{call}`: {axis.name} is in {axis.units or 'no unit'}, the other in "
            f"{units or 'no unit'}: calibrate both alike."
        )
    if axis.uniform:
        return Axis(axis.name, axis.scale * by, axis.offset * by, units, size=axis.size)
    return Axis(axis.name, units=units, values=axis.values * by)

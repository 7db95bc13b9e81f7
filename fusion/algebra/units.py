"""Lengths and energies in other units."""

from __future__ import annotations

from fusion.algebra.axis import Axes, Axis

SIZES = (
    {"m": 1.0, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9, "Å": 1e-10, "pm": 1e-12},
    {"MeV": 1e6, "keV": 1e3, "eV": 1.0, "meV": 1e-3},
    {"rad": 1.0, "mrad": 1e-3},
)
LENGTHS = ("pm", "nm", "µm", "mm", "m")
"""In which lengths are told: numbers from 1 to 1000."""


def is_length(units: str) -> bool:
    """Whether it is one of length."""
    return ratio("m", units) is not None


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


def in_one_unit(axes: Axes) -> Axes:
    """The axes in the smallest of their units where all convert; else as they are."""
    if len({axis.units for axis in axes}) < 2:
        return axes
    ratios = [ratio(axes[0].units, axis.units) for axis in axes]
    if any(by is None for by in ratios):
        return axes
    smallest = axes[min(range(len(axes)), key=lambda i: ratios[i] or 0.0)].units
    return tuple(in_units(axis, smallest, "in_one_unit") for axis in axes)


def in_suited_unit(axes: Axes) -> Axes:
    """The axes in one unit; lengths in that in which the longest is from 1 to 1000."""
    axes = in_one_unit(axes)
    if not axes or any(ratio("m", axis.units) is None for axis in axes):
        return axes
    if len({axis.units for axis in axes}) > 1:
        return axes
    longest = max(abs(float(axis.ends[1] - axis.ends[0])) or abs(axis.scale) for axis in axes)
    units = length_text(longest, axes[0].units).split()[-1]
    return tuple(in_units(axis, units, "in_suited_unit") for axis in axes)


def length_text(length: float, units: str) -> str:
    """A length in the unit that gives a number from 1 to 1000: "10 nm" for 0.01 µm."""
    if not is_length(units) or 1 <= length * (1 + 1e-9) < 1000:
        return f"{length:.6g} {units}".rstrip()
    sizes = [(ratio(other, units) or 0.0) * length for other in LENGTHS]
    fitting = [i for i, size in enumerate(sizes) if size * (1 + 1e-9) >= 1]
    i = fitting[-1] if fitting else 0
    return f"{sizes[i]:.6g} {LENGTHS[i]}"

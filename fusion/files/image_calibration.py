"""Axes as a tif can have them: one unit for both, and steps that its eight digits hold."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.cautions import CutWarning, users_line
from fusion.algebra.units import LENGTHS, in_one_unit, in_units, ratio

FINEST, FINE = 1e-3, 0.1
"""Of a step in its unit: the least that is kept, as the tags of a tif are fractions with eight
digits, and the least in the unit that is taken instead."""


def rising(images: NDArray[Any], axes: Axes) -> tuple[NDArray[Any], Axes]:
    """Images (…, row, column) turned so that positions rise, as a tif has them, and their axes."""
    turned = list(axes)
    for i, axis in enumerate(axes):
        if axis.uniform and axis.scale < 0:
            images = np.flip(images, i - len(axes))
            last = axis.offset + axis.scale * ((axis.size or 1) - 1)
            turned[i] = Axis(axis.name, -axis.scale, last, axis.units, size=axis.size)
    return images, tuple(turned)


def image_axes(axes: Axes, call: str) -> Axes:
    """The two axes of an image, in one unit; without any, and a caution, where nothing converts.

    Args:
        axes: even ones, of rows and columns.
        call: what is complained of.
    """
    y, x = in_one_unit(axes)
    if y.units != x.units:
        warnings.warn(
            f"`{call}`: {y.name} is in {y.units or 'no unit'}, {x.name} in "
            f"{x.units or 'no unit'}, and a tif has one unit for both: the steps are written "
            "without any; hspy keeps both.",
            CutWarning,
            stacklevel=users_line(),
        )
        return _without_unit(y), _without_unit(x)
    step = min(abs(y.scale), abs(x.scale))
    if ratio("m", x.units) is None or step >= FINEST:
        return y, x
    held = [unit for unit in LENGTHS if (ratio(unit, x.units) or 0.0) * step >= FINE]
    unit = held[-1] if held else LENGTHS[0]
    return in_units(y, unit, call), in_units(x, unit, call)


def _without_unit(axis: Axis) -> Axis:
    return Axis(axis.name, axis.scale, axis.offset, size=axis.size)

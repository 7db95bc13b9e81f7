"""Whether two axes mean the same places."""

from __future__ import annotations

import numpy as np

from fusion.algebra.axis import Axis
from fusion.algebra.units import ratio

TOLERANCE = 0.01
"""Of a step that may differ, and of a step by which the last place may be displaced."""


def is_plain_index(axis: Axis) -> bool:
    """Whether it is a plain index."""
    return axis.uniform and not axis.units and (axis.scale, axis.offset) == (1, 0)


def axis_differences(a: Axis, b: Axis, *, origin: bool = True) -> list[str]:
    """What differs between the places of two axes, in words; their names may be others.

    Units that convert are converted, and an axis without calibration is taken for the same.

    Args:
        a: one axis.
        b: the other.
        origin: whether they must begin at the same place.
    """
    if a.size != b.size:
        return [f"{a.size} and {b.size} entries" + _steps(a, b)]
    if is_plain_index(a) or is_plain_index(b):
        return []
    by = ratio(a.units, b.units)
    if by is None:
        return [f"in {a.units or 'no unit'} and in {b.units or 'no unit'}"]
    x, y = a.values, b.values * by
    step = float(np.abs(np.diff(x)).mean()) if len(x) > 1 else abs(a.scale)
    other = float(np.abs(np.diff(y)).mean()) if len(y) > 1 else abs(b.scale * by)
    said = []
    if abs(step - other) > TOLERANCE * step:
        said.append(f"steps of {step:g} and {other:g} {a.units}".rstrip())
    if origin and abs(x[0] - y[0]) > TOLERANCE * step:
        said.append(f"begins at {x[0]:g} and {y[0]:g} {a.units}".rstrip())
    y = y if origin else y - y[0] + x[0]
    if not said and np.abs(x - y).max() > TOLERANCE * step:
        said.append(f"positions differ by up to {np.abs(x - y).max():g} {a.units}".rstrip())
    return said


def _steps(a: Axis, b: Axis) -> str:
    if not (a.uniform and b.uniform):
        return ""
    return f" (steps of {a.scale:g} {a.units} and {b.scale:g} {b.units})"

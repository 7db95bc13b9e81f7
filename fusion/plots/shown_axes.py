"""Along which axes something is drawn: axes of one entry are none."""

from __future__ import annotations

from fusion.algebra.axis import Axes


def shown(axes: Axes) -> Axes:
    """Those of more than one entry; the last, where there are none."""
    return tuple(axis for axis in axes if (axis.size or 1) > 1) or axes[-1:]

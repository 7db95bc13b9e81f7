"""Bremsstrahlung: its energies, and how its absorption in the specimen is taken in steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.xrays.attenuation import edges_kev

Array = NDArray[np.float64]

STEP = 0.8
"""Standard deviations of the detector between two energies: their sum is smooth to 1e-10."""
APART = 0.3
"""Relative distance between two knots, between which absorption is interpolated."""
CLEAR = 1e-4
"""Share of an energy that a knot keeps off an edge."""


def cells(
    low: float, high: float, variance: Array, elements: Sequence[str]
) -> tuple[Array, Array, Array, Array]:
    """Energies in keV so close that a detector sees no gaps, and knots between which to interpolate.

    Between two edges of the elements absorption is smooth, so that a few knots serve; at an edge it
    jumps, and neither a cell nor a hat reaches over it.

    Args:
        variance: (2,): of a line at 0 keV, and what it grows by for every keV; keV².

    Returns:
        Middles of the cells (energy,), their widths (energy,), knots (knot,), and hats that add up
        to 1 (knot, energy).
    """
    edges = {edge for element in elements for edge in edges_kev(element).values()}
    ends = [low, *sorted(edge for edge in edges if low < edge < high), high]
    middles: list[Array] = []
    widths: list[Array] = []
    places: list[Array] = []
    for start, stop in zip(ends[:-1], ends[1:], strict=True):
        sigma = float(np.sqrt(variance[0] + variance[1] * start))
        border = np.linspace(start, stop, 1 + max(1, round((stop - start) / (STEP * sigma))))
        middles.append(0.5 * (border[1:] + border[:-1]))
        widths.append(np.diff(border))
        pieces = max(1, round(float(np.log(stop / start)) / APART))
        places.append(np.geomspace(start * (1 + CLEAR), stop * (1 - CLEAR), pieces + 1))
    sizes = [len(at) for at in middles]
    hats = np.zeros((sum(map(len, places)), sum(sizes)))
    row = column = 0
    for at, knots in zip(middles, places, strict=True):
        block = [np.interp(at, knots, unit) for unit in np.eye(len(knots))]
        hats[row : row + len(knots), column : column + len(at)] = block
        row, column = row + len(knots), column + len(at)
    return np.concatenate(middles), np.concatenate(widths), np.concatenate(places), hats

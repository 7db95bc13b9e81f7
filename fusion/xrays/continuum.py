"""Bremsstrahlung: its energies, and how its absorption in the specimen is taken in steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fusion.xrays.attenuation import edges_kev, mass_attenuation

Array = NDArray[np.float64]

STEP = 0.8
"""Standard deviations of the detector between two energies: their sum is smooth to 1e-10."""
LONGEST = 0.9
"""Of the logarithm of energy: the longest piece that one polynomial serves."""
THICK = 1e-4
"""g/cm² of mass thickness over the sine of the elevation, up to which absorption is as exact as
`EXACT`, a share of the continuum."""
EXACT = 2e-3
BEFORE = ("C", "Si")
"""Elements of window and detector, whose edges the continuum has, too."""
MOST = 6
"""Knots of a piece."""
LOOKS = 33
"""Energies of a piece at which the exactness is looked at."""


def cells(
    low: float, high: float, variance: Array, elements: Sequence[str]
) -> tuple[Array, Array, Array, Array]:
    """Energies so close that a detector sees no gaps, and the knots that serve for absorption.

    Between two edges of the elements absorption is smooth, so that its values at a few knots tell
    all others by polynomials in the logarithm of energy; at an edge it jumps, and neither a cell
    nor a polynomial reaches over it.

    Args:
        low, high: keV.
        variance: (2,): of a line at 0 keV, and what it grows by for every keV; keV².

    Returns:
        Middles of the cells (energy,) in keV, their widths (energy,), knots (knot,) in keV, and the
        polynomials (knot, energy) that are 1 at one knot each; they add up to 1.
    """
    edges = {edge for element in (*elements, *BEFORE) for edge in edges_kev(element).values()}
    ends = [low, *sorted(edge for edge in edges if low < edge < high), high]
    pieces: list[tuple[float, float]] = []
    for start, stop in pairwise(ends):
        number = int(np.ceil(np.log(stop / start) / LONGEST))
        pieces += pairwise(np.geomspace(start, stop, number + 1).tolist())
    looks = [_looks(start, stop) for start, stop in pieces]
    all_left = _left(elements, np.concatenate(looks))
    lefts = np.split(all_left, np.cumsum([len(at) for at in looks])[:-1], axis=1)
    made = [_piece(*piece, variance, left) for piece, left in zip(pieces, lefts, strict=True)]
    middles, widths, places, parts = zip(*made, strict=True)
    polynomials = np.zeros((sum(map(len, places)), sum(map(len, middles))))
    row = column = 0
    for part in parts:
        polynomials[row : row + part.shape[0], column : column + part.shape[1]] = part
        row, column = row + part.shape[0], column + part.shape[1]
    return np.concatenate(middles), np.concatenate(widths), np.concatenate(places), polynomials


def _looks(start: float, stop: float) -> Array:
    """Where a piece is looked at, then 1, 2 … `MOST` knots: energies that are looked up at once."""
    knots = [_chebyshev(start, stop, n) for n in range(1, MOST + 1)]
    return np.concatenate([_inside(start, stop), *knots])


def _inside(start: float, stop: float) -> Array:
    """Energies between the ends of a piece: an edge belongs to neither side."""
    return np.geomspace(start, stop, LOOKS + 2)[1:-1]


def _piece(
    start: float, stop: float, variance: Array, left: Array
) -> tuple[Array, Array, Array, Array]:
    """The same of one piece between two edges, given what leaves at its `_looks`, (element, …)."""
    sigma = float(np.sqrt(variance[0] + variance[1] * start))
    border = np.linspace(start, stop, 1 + max(1, round((stop - start) / (STEP * sigma))))
    middles = 0.5 * (border[1:] + border[:-1])
    looks, wanted, at = _inside(start, stop), left[:, :LOOKS], LOOKS
    places = _chebyshev(start, stop, 1)
    for n in range(1, MOST + 1):
        places = _chebyshev(start, stop, n)
        guess = left[:, at : at + n] @ _lagrange(places, looks)
        if (np.abs(guess - wanted) <= EXACT * wanted).all():
            break
        at += n
    return middles, np.diff(border), places, _lagrange(places, middles)


def _left(elements: Sequence[str], energies: Array) -> Array:
    """(element, energy): share of photons that leave a thick layer of an element."""
    made = np.ones((len(elements), len(energies)))
    for row, element in zip(made, elements, strict=True):
        depth = THICK * mass_attenuation(element, energies)
        row[:] = -np.expm1(-depth) / depth
    return made


def _chebyshev(start: float, stop: float, n: int) -> Array:
    """Knots between two energies, in their logarithm."""
    nodes = 0.5 * (1 - np.cos((2 * np.arange(n) + 1) * np.pi / (2 * n)))
    return start * (stop / start) ** nodes


def _lagrange(knots: Array, energies: Array) -> Array:
    """(knot, energy): polynomials in the logarithm that are 1 at one knot, 0 at all others."""
    at, nodes = np.log(energies), np.log(knots)
    made = np.ones((len(knots), len(energies)))
    for i, own in enumerate(nodes):
        for j, other in enumerate(nodes):
            if i != j:
                made[i] *= (at - other) / (own - other)
    return made

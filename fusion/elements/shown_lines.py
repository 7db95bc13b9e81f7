"""Which elements a spectrum shows: those of which a line or an edge stands out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.axis import Axis
from fusion.simulate.xrays import detector_fwhm
from fusion.xrays.table import KEV, Line, edges, is_energy_loss, lines, parse_names

Array = NDArray[np.float64]
LEAST = 16
"""Channels, below which nothing can be told: all are taken to be there."""
WINDOW = 0.06
"""Of an edge's energy, how far is looked before and behind its onset; 12 eV at least."""
APART = 3.0
"""eV to either side of an onset that are left out: resolution, and tables' uncertainty."""
STEEP = 3.0
"""Ratio of the levels to both sides of a line, from which the higher is that of another line."""
SIGMAS = 3.0
"""Of the noise, that a line or the step at an edge has to have."""
SMALL = 2e-3
"""Of the highest of a spectrum, below which nothing stands out."""


def shown_elements(
    spectra: ArrayLike,
    axis: Axis,
    elements: str | Iterable[str],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> list[str]:
    """Those of the elements that one spectrum or more show, in the order given.

    Of X-rays the strongest line of the innermost shell that the axis shows has to stand above what
    lies to its left and right, or above the lower of both beside another line; of losses an edge
    has to rise over the power law through what is before it. What another element's line or edge
    lies upon is taken to be there.

    Args:
        spectra: (channel,) or (channel, n), of components or measured.
        axis: of the channels, in eV or keV.
        elements: as for `labels`.
        metadata: of the data set, which tells X-rays from losses.
    """
    asked = list(dict.fromkeys(symbol for symbol, _ in parse_names("shown_elements", elements)))
    y = np.nan_to_num(np.asarray(spectra, dtype=float).reshape(len(np.asarray(spectra)), -1))
    if len(y) < LEAST:
        return asked
    if is_energy_loss(axis, metadata):
        energies = axis.values * (KEV[axis.units] / KEV["eV"])
        seen = {
            edge.element
            for edge in edges(elements, axis)
            if edge.major and any(_rises(column, energies, edge.energy) for column in y.T)
        }
    else:
        energies = axis.values * KEV[axis.units]
        seen = {
            line.element
            for line in _main_lines(elements, axis)
            if any(_stands_out(column, energies, line.energy) for column in y.T)
        }
    return [symbol for symbol in asked if symbol in seen]


def _main_lines(elements: str | Iterable[str], axis: Axis) -> list[Line]:
    """Of every element the strongest line of the innermost shell on the axis."""
    best: dict[str, Line] = {}
    for line in lines(elements, axis):
        other = best.get(line.element)
        if other is None or (line.shell, -line.weight) < (other.shell, -other.weight):
            best[line.element] = line
    return list(best.values())


def _stands_out(y: Array, energies: Array, at: float) -> bool:
    """Whether a line stands above the lower of what lies beside it; yes where none can tell."""
    wide = float(detector_fwhm(np.array(at), noise=0.05))
    away = energies - at
    core = np.abs(away) <= max(wide / 2, float(np.abs(away).min()))
    beside = [y[(side * away >= wide) & (side * away <= 2.5 * wide)] for side in (-1, 1)]
    beside = [side for side in beside if len(side) >= 3]
    if not beside:
        return True
    lower = min(beside, key=np.median)
    levels = [float(np.median(side)) for side in beside]
    slope = max(levels) < STEEP * min(levels)  # else a peak of another line is on one side
    level = float(np.mean(levels)) if slope else min(levels)
    noise = 1.4826 / 2**0.5 * float(np.median(np.abs(np.diff(lower))))
    sigma = noise * (1 / core.sum() + 1.6 / len(lower)) ** 0.5  # of a mean, and of a median
    return float(y[core].mean()) - level > max(SIGMAS * sigma, SMALL * float(y.max()))


def _rises(y: Array, energies: Array, onset: float) -> bool:
    """Whether a spectrum rises at an edge above what goes on before it; yes where none can tell."""
    wide = max(WINDOW * onset, 4 * APART)
    before = (energies >= onset - APART - wide) & (energies <= onset - APART)
    behind = (energies >= onset + APART) & (energies <= onset + APART + wide)
    if before.sum() < 4 or behind.sum() < 2:
        return True
    expected, noise = _power_law(energies[before], y[before], energies[behind])
    step = float((y[behind] - expected).mean())
    sigma = noise * (1 / before.sum() + 1 / behind.sum()) ** 0.5
    return step > max(SIGMAS * sigma, SMALL * float(np.abs(y).max()))


def _power_law(x: Sequence[float] | Array, y: Array, at: Array) -> tuple[Array, float]:
    """A power law through points, or a mean where they are not above 0; and their scatter."""
    if y.min() <= 0:
        return np.full(len(at), float(y.mean())), float(y.std())
    slope, height = np.polyfit(np.log(x), np.log(y), 1)
    slope = min(float(slope), 0.0)
    height = float(np.mean(np.log(y) - slope * np.log(x)))
    noise = float(np.std(y - np.exp(height + slope * np.log(x))))
    return np.exp(height + slope * np.log(at)), noise

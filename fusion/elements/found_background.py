"""What lies under lines: bremsstrahlung of any smooth course, escapes, coincidences, a shelf."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.elements.found_lines import CandidateLines, Detector, on_channels, spread
from fusion.xrays.attenuation import mass_attenuation
from fusion.xrays.continuum import cells
from fusion.xrays.response import FWHM

Array = NDArray[np.float64]

APART = 5.0
"""Widths of a line between bends of the continuum: peaks of coherent bremsstrahlung are so wide."""
BENDS = 0.1
"""Standard deviation of the second difference of its logarithm between bends."""
LOOSE = 30.0
"""Standard deviation of that logarithm: nothing is known of the height."""
SILICON_KA, SILICON_K = 1.740, 1.839
"""keV that an escaping photon takes along, and from which on silicon sends it."""
YIELD, JUMP = 0.047, 0.92
"""Photons of a vacancy in silicon's K shell; share of absorption that is by that shell."""


class Continuum:
    """Energies of the continuum, and how it may bend.

    Args:
        lines: of the candidates, whose channels these are.
        beam_energy: keV.
        elements: that stand out, at whose edges absorption jumps.
    """

    def __init__(self, lines: CandidateLines, beam_energy: float, elements: Sequence[str]) -> None:
        start = max(float(lines.channels[0]) - 0.1, 0.05)
        self.energies, widths, *_ = cells(start, lines.high, lines.variance, elements)
        self.lines, self.elements = lines, list(elements)
        self.attenuation = np.stack(
            [mass_attenuation(e, self.energies) for e in elements] or [np.zeros(len(self.energies))]
        )
        self.absorbers = np.stack(lines.response.absorbers(self.energies))
        kramers = np.maximum(beam_energy - self.energies, 0) / beam_energy / self.energies
        self.made = kramers * widths * lines.response.stopped(self.energies)
        knots = _knots(start, lines.high, lines.variance)
        self.bends = np.stack(
            [np.interp(self.energies, knots, unit) for unit in np.eye(len(knots))]
        )
        second = np.diff(np.eye(len(knots)), 2, axis=0)
        self.stiff = second.T @ second / BENDS**2 + np.eye(len(knots)) / LOOSE**2

    def shapes(self, detector: Detector) -> Array:
        """(energy, channel): shares of photons of every energy."""
        E = self.energies
        at = detector.offset + detector.gain * E, spread(self.lines.variance, detector, E)
        return on_channels(self.lines, *at, np.ones(len(E)), np.arange(len(E)), len(E))

    def level(self, counts: float) -> float:
        """The logarithm of its height, were all counts its."""
        seen = float((self.made * np.exp(-self.absorbers.sum(0))).sum())
        return float(np.log(max(counts, 1.0) / seen))


def _knots(low: float, high: float, variance: Array) -> Array:
    """keV: as far apart as lines are wide, times `APART`."""
    fine = np.linspace(low, high, 1000)
    widths = FWHM * np.sqrt(variance[0] + variance[1] * fine)
    steps = np.concatenate([[0.0], np.cumsum(np.diff(fine) / widths[1:])])
    count = max(4, round(float(steps[-1]) / APART))
    return np.interp(np.linspace(0, steps[-1], count), steps, fine)


def escape_shares(energies: Array) -> Array:
    """Share of photons that lose a silicon Ka photon through the front of a detector.

    References:
        Reed & Ware, J. Phys. E 5:582 (1972).
    """
    above = energies > SILICON_K
    mu = mass_attenuation("Si", np.where(above, energies, 2.0))
    own = float(mass_attenuation("Si", [SILICON_KA])[0])
    return np.where(above, 0.5 * YIELD * JUMP * (1 - own / mu * np.log1p(mu / own)), 0.0)


def escapes(spectrum: Array, channels: Array) -> Array:
    """(channel,): what escapes of a spectrum, moved to where it is found, as wide as it was."""
    lost = spectrum * escape_shares(np.maximum(channels, 0.1))
    return np.interp(channels + SILICON_KA, channels, lost, left=0.0, right=0.0)


def coincidences(spectrum: Array, channels: Array) -> Array:
    """(channel,): two photons that are counted as one, were half of all lost so."""
    whole = np.convolve(spectrum, spectrum)
    step = float(np.median(np.diff(channels)))
    sums = 2 * channels[0] + step * np.arange(len(whole))
    made = np.interp(channels, sums, whole, left=0.0, right=0.0)
    return made / max(float(spectrum.sum()), 1.0)


def shelf(spectrum: Array, channels: Array) -> Array:
    """(channel,): photons of which only a part of the charge is collected, any part alike."""
    step = float(np.median(np.diff(channels)))
    each = spectrum * step / np.maximum(channels, step)
    return np.cumsum(each[::-1])[::-1] - each

"""What lies under the lines: bremsstrahlung of any smooth course, escapes and coincidences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.elements.found_lines import CandidateLines
from fusion.xrays.attenuation import mass_attenuation
from fusion.xrays.continuum import cells
from fusion.xrays.line_model import SPARE
from fusion.xrays.response import REACH, shown

Array = NDArray[np.float64]

APART = 0.45
"""Of the logarithm of energy, from one bend of the continuum to the next."""
BENDS = 0.25
"""Standard deviation of the second difference of its logarithm between bends."""
SILICON_KA = 1.740
"""keV that an escaping photon takes along."""
SILICON_K = 1.839
"""keV from which on silicon sends it."""
YIELD, JUMP = 0.047, 0.92
"""Photons of a vacancy in silicon's K shell; share of absorption that is by that shell."""


class Continuum:
    """Energies of the continuum, and how a detector shows them.

    Args:
        lines: of the candidates, whose channels these are.
        beam_energy: keV.
        elements: that stand out, at whose edges absorption jumps.
    """

    def __init__(self, lines: CandidateLines, beam_energy: float, elements: Sequence[str]) -> None:
        start = max(float(lines.channels[0]) - 0.1, 0.05)
        middles, widths, *_ = cells(start, lines.high, lines.variance, elements)
        self.energies, self.lines = middles, lines
        response = lines.response
        self.window, self.dead = response.absorbers(middles)
        kramers = np.maximum(beam_energy - middles, 0) / beam_energy / middles * widths
        self.made = kramers * response.stopped(middles)
        span, end = np.log(middles / start), float(np.log(lines.high / start))
        knots = np.linspace(0, end, max(3, round(end / APART)))
        self.bends = np.stack([np.interp(span, knots, unit) for unit in np.eye(len(knots))])
        second = np.diff(np.eye(len(knots)), 2, axis=0)
        self.stiff = second.T @ second / BENDS**2 + 1e-3 * np.eye(len(knots))

    def shapes(self, offset: float, gain: float, noise: float, fano: float) -> Array:
        """(energy, channel): shares of photons of every energy."""
        energies = torch.as_tensor(self.energies)
        at = offset + gain * energies
        lines = self.lines
        variances = lines.variance[0] * noise + lines.variance[1] * fano * energies
        width = int(2 * REACH * float(variances.max()) ** 0.5 / lines.step) + 2 * SPARE
        start = ((at - lines.channels[0]) / lines.step - width / 2).floor().long()
        ones, own = torch.ones_like(at), torch.arange(len(at))
        channels = torch.as_tensor(lines.channels)
        return shown(
            at, variances, ones, own, len(at), channels, lines.step, start, width
        ).numpy()


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
    """(channel,): what escapes of a spectrum, moved to where it is found.

    A detector shows what is left of a photon of 6 keV a little less wide than the photon; the width
    of the photon is taken.
    """
    lost = spectrum * escape_shares(np.maximum(channels, 0.1))
    return np.interp(channels + SILICON_KA, channels, lost, left=0.0, right=0.0)


def coincidences(spectrum: Array, channels: Array) -> Array:
    """(channel,): two photons that are counted as one, over all pairs there are."""
    whole = np.convolve(spectrum, spectrum)
    step = float(np.median(np.diff(channels)))
    sums = 2 * channels[0] + step * np.arange(len(whole))
    made = np.interp(channels, sums, whole, left=0.0, right=0.0)
    return made / max(float(spectrum.sum()), 1.0)

"""EDXS building blocks: characteristic lines, their width in a silicon detector, continuum."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.calls import checked_call
from fusion.simulate.spectra import _checked_energies

Array = NDArray[np.float64]

LINES = {
    "C K": 0.2770,
    "N K": 0.3924,
    "O K": 0.5249,
    "Mn L": 0.6374,
    "Ni L": 0.8515,
    "Zn L": 1.0117,
    "Mg K": 1.2536,
    "Al K": 1.4867,
    "Si K": 1.7400,
    "Mn Kα": 5.8988,
    "Mn Kβ": 6.4905,
    "Ni Kα": 7.4782,
    "Ni Kβ": 8.2647,
    "Zn Kα": 8.6389,
    "Zn Kβ": 9.5720,
}
"""Energies in keV of the α₁ or β₁ line: X-Ray Data Booklet (Berkeley Laboratory), table 1-2."""


@checked_call
def detector_fwhm(energy: ArrayLike, *, noise: float = 0.045, fano: float = 0.12) -> Array:
    """Full width of a line at half maximum, √(noise² + 8 ln 2 · F ε E), ε = 3.65 eV in silicon.

    Args:
        energy: keV, any shape.
        noise: electronic noise, full width in keV; 0.045 makes 128 eV at Mn Kα.
        fano: Fano factor F, no unit.

    Returns:
        keV, of the shape of `energy`.

    References:
        Goldstein et al., Scanning Electron Microscopy and X-Ray Microanalysis, 4th ed. (2018).
    """
    return np.sqrt(noise**2 + 8 * np.log(2) * fano * 0.00365 * np.asarray(energy, dtype=float))


@checked_call
def bremsstrahlung(energy: ArrayLike, *, beam: float = 200.0, window: float = 0.35) -> Array:
    """Kramers' continuum (E_b − E)/E behind an absorbing window, exp(−(E_w/E)³); sum 1.

    Args:
        energy: keV, all > 0, shape (channel,).
        beam: E_b, energy of the beam in keV.
        window: E_w in keV; well below it the window absorbs everything.

    Returns:
        Share of the counts in every channel, shape (channel,).

    Raises:
        ValueError: if an energy is not positive.
    """
    energy = _checked_energies("bremsstrahlung", energy)
    continuum = np.maximum(beam - energy, 0.0) / energy * np.exp(-((window / energy) ** 3))
    return continuum / continuum.sum()


@checked_call
def xray_spectrum(
    energy: ArrayLike,
    lines: Iterable[tuple[float, float]],
    *,
    continuum: float = 0.3,
    noise: float = 0.045,
) -> Array:
    """Gaussian lines of an energy-dispersive detector on a bremsstrahlung.

    Args:
        energy: keV, all > 0, evenly spaced, shape (channel,).
        lines: (energy in keV, counts) of every line; `LINES` has energies.
        continuum: counts of the bremsstrahlung over the whole range.
        noise: electronic noise of the detector, full width in keV.

    Returns:
        Expected counts a channel, shape (channel,).

    Raises:
        ValueError: if an energy is not positive, or there are fewer than two channels.
    """
    energy = _checked_energies("xray_spectrum", energy)
    if energy.size < 2:
        raise ValueError(
            "`xray_spectrum`: 1 channel: give two or more, the width of one is needed."
        )
    spectrum = continuum * bremsstrahlung(energy)
    for position, counts in lines:
        sigma = detector_fwhm(position, noise=noise) / 2.3548
        density = np.exp(-0.5 * ((energy - position) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        spectrum = spectrum + counts * density * (energy[1] - energy[0])
    return spectrum

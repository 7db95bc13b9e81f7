"""EELS building blocks: power-law background, core-loss edges with near-edge structure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusion.algebra.calls import checked_call

Array = NDArray[np.float64]


@checked_call
def power_law(
    energy: ArrayLike, exponent: float, *, amplitude: float = 1.0, at: float | None = None
) -> Array:
    """Background A (E/E₀)^(−r) before an edge.

    Args:
        energy: energy losses in eV, all > 0, shape (channel,).
        exponent: r, no unit; typically 2 to 6.
        amplitude: A, the counts at E₀.
        at: E₀ in eV; by default the first energy.

    Returns:
        Counts, shape (channel,).

    Raises:
        ValueError: if an energy is not positive.

    References:
        Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011),
        section 4.4.
    """
    energy = _checked_energies("power_law", energy)
    return amplitude * (energy / (energy[0] if at is None else at)) ** -exponent


@checked_call
def core_loss_edge(
    energy: ArrayLike,
    onset: float,
    peaks: Sequence[tuple[float, float, float]] = (),
    *,
    jump: float = 1.0,
    decay: float = 3.0,
    width: float = 0.6,
    lorentzian: float = 0.3,
) -> Array:
    """A core-loss edge with near-edge fine structure, nothing before its onset.

    ½ erfc((E₀ − E)/√2σ) · [jump (E/E₀)^(−decay) + Σ_p h_p V(E; E_p, Γ_p)]: a step smoothed by the
    resolution opens a decaying tail and peaks V of height 1, η × Lorentzian + (1 − η) × Gaussian
    (pseudo-Voigt).

    Args:
        energy: energy losses in eV, all > 0, shape (channel,).
        onset: E₀ in eV.
        peaks: (position E_p in eV, height h_p in units of a jump of 1, full width at half maximum
            Γ_p in eV).
        jump: height of the tail at the onset.
        decay: exponent of the tail, no unit.
        width: full width at half maximum of the resolution, 2.355 σ, in eV.
        lorentzian: η, from 0 (Gaussian) to 1 (Lorentzian).

    Returns:
        Intensity, shape (channel,).

    Raises:
        ValueError: if an energy, the onset or a width is not positive.
    """
    from scipy.special import erfc

    energy = _checked_energies("core_loss_edge", energy)
    if min(onset, width, *(fwhm for _, _, fwhm in peaks)) <= 0:
        raise ValueError(
            f"`core_loss_edge`: onset {onset:g} eV, width {width:g} eV, peaks {list(peaks)}: "
            "the onset and all widths must be > 0."
        )
    above = jump * (energy / onset) ** -decay
    for position, height, fwhm in peaks:
        x = 2 * (energy - position) / fwhm
        shape = lorentzian / (1 + x**2) + (1 - lorentzian) * np.exp(-np.log(2) * x**2)
        above = above + height * shape
    return 0.5 * erfc((onset - energy) * 2.3548 / (np.sqrt(2) * width)) * above


@checked_call
def plasmon(energy: ArrayLike, position: float, width: float) -> Array:
    """Single scattering by a plasmon, E Γ E_p² / ((E² − E_p²)² + (E Γ)²): Drude's free electrons.

    Args:
        energy: energy losses in eV, all > 0, shape (channel,).
        position: E_p in eV.
        width: Γ in eV, the full width at half maximum where it is small.

    Returns:
        Intensity, shape (channel,).

    Raises:
        ValueError: if an energy, the position or the width is not positive.

    References:
        Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011),
        section 3.3.1.
    """
    energy = _checked_energies("plasmon", energy)
    if min(position, width) <= 0:
        raise ValueError(f"`plasmon`: position {position:g} eV, width {width:g} eV: both are > 0.")
    spread = energy * width
    return spread * position**2 / ((energy**2 - position**2) ** 2 + spread**2)


def _checked_energies(call: str, energy: ArrayLike) -> Array:
    energy = np.asarray(energy, dtype=float)
    if energy.ndim != 1 or energy.size == 0 or energy.min() <= 0:
        raise ValueError(
            f"`{call}`: energies of shape {energy.shape}, lowest {energy.min(initial=np.inf):g}: "
            "give a list of positive energies, shape (channel,)."
        )
    return energy

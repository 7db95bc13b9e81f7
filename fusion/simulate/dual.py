"""`dual_eels`: core losses and low losses of a map whose thickness varies."""

from __future__ import annotations

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.simulate.maps import grain_maps
from fusion.simulate.simulation import (
    Array,
    Simulation,
    as_matrix,
    columns,
    poisson_counts,
    scan_axes,
    seeds,
    uniform_axis,
)
from fusion.simulate.spectra import core_loss_edge, plasmon, power_law

MONOXIDE = (527.0, ((530.0, 0.6, 3.0), (541.0, 1.2, 6.0), (641.0, 2.2, 3.0), (652.0, 0.9, 3.0)))
SESQUIOXIDE = (524.5, ((529.0, 1.4, 3.0), (543.0, 0.8, 8.0), (643.5, 2.6, 4.0), (654.5, 1.3, 4.0)))
LIGHT = (531.0, ((536.0, 1.0, 4.0), (548.0, 1.5, 7.0)))
PLASMONS = ((22.0, 10.0), (23.5, 13.0), (25.5, 16.0))  # eV, position and width of each phase
EXPONENTS = (3.1, 2.8, 3.3)
RESOLUTION = 0.45  # eV, standard deviation of the zero-loss peak
WEDGE = (0.3, 1.4)  # t/λ from one side of the map to the other


@checked_call
def dual_eels(
    *,
    shape: tuple[int, int] = (30, 32),
    channels: int = 240,
    dose: float = 1.0,
    seed: int = 0,
) -> Simulation:
    """Core and low losses of three phases in a wedge, scattered once or several times.

    low ~ Poisson(e^(−t/λ) Σ_n (t/λ)ⁿ/n! pⁿ ⊗ zero loss), p the plasmon of the pixel's phases;
    core ~ Poisson(low / its sum ⊗ C Sᵀ + a power law of each phase).

    Args:
        shape: (y, x), pixels of 0.5 nm; thickness grows along x.
        channels: from 480 to 720 eV, and as many as wide from −20 eV on.
        dose: 1 is about 200 000 counts of each, edges and background, and 400 000 electrons of the
            low loss, a pixel.
        seed: of geometry and noise.

    Returns:
        Data sets "core" and "low"; truth C (pixel, 3), S (channel, 3) single scattering, both as
        they are per channel of the core loss, "t/λ" (pixel,).
    """
    from fusion.data.dataset import Dataset

    geometry, noise, noise_of_low = seeds(seed, 3)
    axis = uniform_axis("energy loss", 480.0, 720.0, channels, "eV")
    low_axis = uniform_axis("energy loss", -20.0, 220.0, channels, "eV")
    shares = grain_maps(shape, 3, seed=geometry).reshape(-1, 3)
    thickness = np.broadcast_to(np.linspace(*WEDGE, shape[1]), shape).ravel()
    C = as_matrix(shares.reshape(*shape, 3), (thickness / thickness.mean()).reshape(shape))
    edges = [core_loss_edge(axis.values, *edge) for edge in (MONOXIDE, SESQUIOXIDE, LIGHT)]
    S = columns(edges, 200_000 * dose)
    # what is lost beyond the axis has left the zero-loss peak, too
    single = columns([_loss(axis.scale, 4 * channels, *p) for p in PLASMONS], 1.0)
    plural = _plural(shares @ single.T, thickness)[:, :channels]
    N = columns([power_law(axis.values, r) for r in EXPONENTS], 200_000 * dose)
    core = _convolved(plural, C @ S.T) + C @ N.T
    zero_loss = np.exp(-0.5 * (low_axis.values / RESOLUTION) ** 2)
    low = 400_000 * dose * _convolved(plural, zero_loss / zero_loss.sum())
    counts = {"core": (core, axis, noise), "low": (low, low_axis, noise_of_low)}
    datasets = {
        name: Dataset(
            name,
            poisson_counts(np.maximum(expected, 0), seed=number).reshape(*shape, -1),
            axes=(*scan_axes(), energies),
        )
        for name, (expected, energies, number) in counts.items()
    }
    return Simulation(
        datasets, {"C": C, "S": S, "t/λ": thickness}, ("monoxide", "sesquioxide", "light oxide")
    )


def _loss(step: float, channels: int, position: float, width: float) -> Array:
    """A plasmon at 0, 1, 2 … steps of loss; nothing at 0."""
    losses = step * np.arange(1, channels)
    return np.concatenate([[0.0], plasmon(losses, position, width)])


def _plural(single: Array, thickness: Array) -> Array:
    """(pixel, loss): e^(t (p − 1)) of single scattering p of sum 1, unscattered in channel 0."""
    length = 2 * single.shape[1]  # what is scattered ever so often must not come round
    transformed = np.fft.rfft(single, length)
    made = np.exp(thickness[:, None] * (transformed - 1))
    return np.fft.irfft(made, length)[:, : single.shape[1]]


def _convolved(kernel: Array, spectra: Array) -> Array:
    length = 2 * kernel.shape[1]
    product = np.fft.rfft(kernel, length) * np.fft.rfft(spectra, length)
    return np.fft.irfft(product, length)[:, : kernel.shape[1]]

"""Scenes of one EELS map: `layers` for eq. (13), `with_background` for eq. (15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.simulate.maps import layer_maps, particle_maps, thickness
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
from fusion.simulate.spectra import core_loss_edge, power_law

if TYPE_CHECKING:
    from fusion.algebra.axis import Axis
    from fusion.data.dataset import Dataset

# Si-L2,3 and O-K as (onset, peaks) of core_loss_edge, made up in the likeness of measured edges.
SILICON = (99.8, ((101.2, 0.7, 2.2), (104.0, 0.6, 4.0), (113.0, 0.5, 16.0)))
NITRIDE = (103.4, ((106.0, 0.7, 2.6), (109.6, 0.9, 4.0), (115.0, 0.8, 8.0)))
SILICA = (105.4, ((106.3, 0.7, 1.2), (108.5, 1.6, 2.0), (115.2, 1.3, 5.0)))
OXIDE = (527.5, ((529.6, 1.5, 2.2), (540.5, 1.3, 6.5), (562.0, 0.4, 14.0)))
SURFACE = (530.0, ((532.2, 0.4, 2.5), (538.2, 1.9, 4.0), (557.5, 0.7, 12.0)))
RESIN = (530.0, ((532.0, 0.9, 1.8), (543.5, 1.1, 12.0)))


@checked_call
def layers(
    *,
    shape: tuple[int, int] = (40, 44),
    channels: int = 240,
    dose: float = 1.0,
    seed: int = 0,
) -> Simulation:
    """Si-L2,3 map of silicon, nitride and silica layers on a power law. For eq. (13).

    Three similar edges, their tails overlap everywhere: so without a further belief many pairs of
    maps and spectra fit equally well.

    Args:
        shape: (y, x), pixels of 0.5 nm.
        channels: from 80 to 140 eV.
        dose: 1 is about 30 000 core-loss counts a pixel, on 70 000 of background.
        seed: of geometry and noise.

    Returns:
        Data sets "counts" (raw) and "net" (less a power law fitted below 98 eV in every pixel; with
        its negatives); truth C (pixel, 3), S (channel, 3), background (pixel, channel), in counts.
    """
    geometry, specimen, noise = seeds(seed, 3)
    axis = uniform_axis("energy loss", 80.0, 140.0, channels, "eV")
    energy = axis.values
    C = as_matrix(layer_maps(shape, 3, seed=geometry), thickness(shape, seed=specimen))
    edges = [core_loss_edge(energy, onset, peaks) for onset, peaks in (SILICON, NITRIDE, SILICA)]
    S = columns(edges, 30_000 * dose)
    background = C.sum(1, keepdims=True) * columns([power_law(energy, 3.0)], 70_000 * dose).T
    datasets = _raw_and_net(C @ S.T + background, axis, shape, (80.0, 98.0), noise, "counts")
    truth = {"C": C, "S": S, "background": background}
    return Simulation(datasets, truth, ("silicon", "nitride", "silica"))


@checked_call
def with_background(
    *,
    shape: tuple[int, int] = (40, 44),
    channels: int = 240,
    dose: float = 1.0,
    seed: int = 0,
) -> Simulation:
    """O-K map of an oxide particle with a reduced surface in resin. For eq. (15).

    raw ~ Poisson(C (S + N)ᵀ), N a power law for each of the three; the surface is hardly pure
    anywhere.

    Args:
        shape: (y, x), pixels of 0.5 nm.
        channels: from 500 to 590 eV.
        dose: 1 is about 60 000 to 100 000 counts of each, edge and background, a pixel.
        seed: of geometry and noise.

    Returns:
        Data sets "raw" and "net" (less a power law fitted below 525 eV in every pixel; with its
        negatives); truth C (pixel, 3), S and N (channel, 3), exponents of the power laws (3,).
    """
    geometry, specimen, noise = seeds(seed, 3)
    axis = uniform_axis("energy loss", 500.0, 590.0, channels, "eV")
    energy = axis.values
    C = as_matrix(particle_maps(shape, seed=geometry), thickness(shape, seed=specimen))
    exponents = np.array([3.0, 3.5, 2.8])
    edges = [core_loss_edge(energy, onset, peaks) for onset, peaks in (OXIDE, SURFACE, RESIN)]
    S = columns(edges, dose * np.array([80_000, 80_000, 60_000]))
    N = columns(
        [power_law(energy, r) for r in exponents], dose * np.array([100_000, 80_000, 60_000])
    )
    datasets = _raw_and_net(C @ (S + N).T, axis, shape, (500.0, 525.0), noise, "raw")
    truth = {"C": C, "S": S, "N": N, "exponents": exponents}
    return Simulation(datasets, truth, ("oxide", "surface", "resin"))


def _raw_and_net(
    expected: Array,
    axis: Axis,
    shape: tuple[int, int],
    window: tuple[float, float],
    seed: int,
    name: str,
) -> dict[str, Dataset]:
    """Poisson counts of the expected (pixel, channel), and the same less a power law."""
    from fusion.data.dataset import Dataset

    counts = poisson_counts(expected, seed=seed).reshape(*shape, -1)
    raw = Dataset(name, counts, axes=(*scan_axes(), axis))
    return {name: raw, "net": raw.subtract_background(window).renamed("net")}

"""A scene of three axes, tilt × position × energy: `tilted_line`, for fig. 7."""

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.simulate.coupled import DIVALENT, TRIVALENT
from fusion.simulate.maps import layer_maps, tilt_curves
from fusion.simulate.simulation import PIXEL, Simulation, columns, poisson_counts, uniform_axis
from fusion.simulate.spectra import core_loss_edge

# Mn-L2,3 in the likeness of MnO2, beside those of Mn2+ and Mn3+
TETRAVALENT = (640.2, ((641.2, 1.6, 1.4), (643.6, 2.6, 2.2), (654.2, 1.5, 3.2)))
LEAST = 0.1  # share that every species has everywhere


@checked_call
def tilted_line(
    *, tilts: int = 21, pixels: int = 32, channels: int = 100, dose: float = 1.0, seed: int = 0
) -> Simulation:
    """EELS of a line of pixels, recorded at every tilt of the beam. For fig. 7.

    Three states of manganese from the core of a spinel particle to its rim: Mn²⁺ on tetrahedral
    and Mn³⁺ on octahedral sites, whose weights follow the tilt by channelling, and Mn⁴⁺ in a rim
    that does not channel. Counts at (tilt, position, energy) have the mean Σ_k T C S of the three,
    the same thickness and orientation all along the line. No pixel, no tilt and no channel has one
    species alone.

    Args:
        tilts: from −1.6 to 1.6, in units of the reciprocal vector g of the systematic row.
        pixels: along the line, 0.5 nm each.
        channels: Mn-L2,3, from 632 to 662 eV, background subtracted.
        dose: 1 is about 20 000 counts in every spectrum.
        seed: of the noise.

    Returns:
        Data set "eels" (tilt, position, energy loss), counts with a variance per channel; truth T
        (tilt, 3) with mean near 1, C (pixel, 3), shares, S (channel, 3), counts.
    """
    from fusion.data.dataset import Dataset

    tilt = uniform_axis("tilt", -1.6, 1.6, tilts, "g")
    position = uniform_axis("position", 0.0, PIXEL * (pixels - 1), pixels, "nm")
    loss = uniform_axis("energy loss", 632.0, 662.0, channels, "eV")
    T = tilt_curves(tilt.values, [[0.30, 0.12], [-0.25, 0.15], [0.0, 0.0]])
    maps = layer_maps((pixels, 1), 3, waviness=0.0, blur=pixels / 6)[:, 0]
    C = LEAST + (1 - 3 * LEAST) * maps
    edges = [
        core_loss_edge(loss.values, onset, peaks, jump=0.25, lorentzian=0.1)
        for onset, peaks in (DIVALENT, TRIVALENT, TETRAVALENT)
    ]
    S = columns(edges, 20_000 * dose)
    counts = poisson_counts(np.einsum("tk,pk,ek->tpe", T, C, S), seed=seed)
    variance = counts.mean((0, 1)) + 0.5
    eels = Dataset("eels", counts, axes=(tilt, position, loss), variance=variance)
    species = ("Mn²⁺, tetrahedral", "Mn³⁺, octahedral", "Mn⁴⁺, rim")
    return Simulation({"eels": eels}, {"T": T, "C": C, "S": S}, species)

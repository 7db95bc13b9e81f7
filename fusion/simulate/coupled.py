"""Scenes of several detectors on one specimen: `concurrent` and `tilt_series`, for eq. (14)."""

from collections.abc import Mapping, Sequence

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.simulate.maps import delocalise, grain_maps, thickness, tilt_curves
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
from fusion.simulate.xrays import LINES, xray_spectrum

# Edges as (onset, peaks) of core_loss_edge: Si-L2,3 in the likeness of silicon with four and with
# six oxygen neighbours and of a nitride; Mn-L2,3 in the likeness of the edges in
# Garvie & Craven, Physics and Chemistry of Minerals 21:191 (1994).
FOUR_FOLD = (105.4, ((106.3, 1.2, 1.2), (108.5, 3.2, 1.8), (115.4, 2.4, 3.4)))
SIX_FOLD = (105.6, ((107.2, 1.5, 1.4), (111.8, 3.2, 2.0), (121.0, 1.6, 4.0)))
NITRIDE = (103.0, ((104.6, 2.2, 1.8), (109.9, 0.8, 2.0), (113.5, 2.2, 3.0)))
DIVALENT = (638.6, ((639.9, 4.0, 1.4), (641.6, 1.0, 2.0), (644.0, 0.5, 2.0), (651.6, 0.8, 2.6)))
TRIVALENT = (639.4, ((641.0, 1.3, 1.8), (642.6, 2.4, 2.6), (653.2, 1.3, 3.2)))

# counts of every X-ray line: a pixel of `concurrent`, a tilt of `tilt_series`
SILICA_LINES = {"O K": 80, "Si K": 60}
MAGNESIUM_LINES = {"N K": 50, "Mg K": 45, "Si K": 55}
ALUMINIUM_LINES = {"N K": 50, "Al K": 45, "Si K": 55}
MANGANESE = {"O K": 5000, "Mn L": 2000, "Mn Kα": 5500, "Mn Kβ": 750}  # with its share of the oxygen
TETRAHEDRAL = MANGANESE | {"Zn L": 3500, "Zn Kα": 5000, "Zn Kβ": 700}
OCTAHEDRAL = {line: 2.2 * counts for line, counts in MANGANESE.items()} | {
    "Ni L": 1700,
    "Ni Kα": 2500,
    "Ni Kβ": 350,
}


@checked_call
def concurrent(
    *,
    shape: tuple[int, int] = (40, 44),
    channels: int = 240,
    dose: float = 1.0,
    delocalisation: float = 1.2,
    seed: int = 0,
) -> Simulation:
    """EELS, EDXS and an ADF image of one scan; none tells all four phases apart. For eq. (14).

    Two forms of silica have the same X-ray lines and differ in Si-L2,3 alone; two nitrides have the
    same Si-L2,3 and differ in one X-ray line alone. EELS sees the delocalised maps C + N, EDXS and
    ADF see C.

    Args:
        shape: (y, x), pixels of 0.5 nm.
        channels: of each spectrum; EELS from 90 to 150 eV, EDXS from 0.1 to 2.5 keV.
        dose: 1 is about 4000 core-loss counts on 5000 of background and 170 X-ray counts a pixel.
        delocalisation: standard deviation of the EELS signal, pixels.
        seed: of geometry and noise.

    Returns:
        Data sets "eels" (counts less their expected background), "edxs" (counts), both with a
        variance per channel, and "adf" (counts, an image); truth C and N (pixel, 4), S_eels and
        S_edxs (channel, 4), S_adf (1, 4).
    """
    from fusion.data.dataset import Dataset

    geometry, specimen, *noise = seeds(seed, 5)
    loss = uniform_axis("energy loss", 90.0, 150.0, channels, "eV")
    photon = uniform_axis("energy", 0.1, 2.5, channels, "keV")
    maps = grain_maps(shape, 4, grains=14, seed=geometry)
    t = thickness(shape, seed=specimen)
    C, delocalised = as_matrix(maps, t), as_matrix(delocalise(maps, delocalisation), t)
    S_eels = edges(loss.values, (FOUR_FOLD, SIX_FOLD, NITRIDE, NITRIDE), 4000 * dose, decay=5.0)
    elements = (SILICA_LINES, SILICA_LINES, MAGNESIUM_LINES, ALUMINIUM_LINES)
    S_edxs = dose * line_spectra(photon.values, elements, continuum=15.0)
    S_adf = dose * np.array([[400.0, 640.0, 470.0, 480.0]])

    background = C.sum(1, keepdims=True) * columns([power_law(loss.values, 3.0)], 5000 * dose).T
    eels = poisson_counts(delocalised @ S_eels.T + background, seed=noise[0])
    edxs = poisson_counts(C @ S_edxs.T, seed=noise[1])
    adf = poisson_counts(C @ S_adf.T, seed=noise[2])
    datasets = (
        Dataset(
            "eels",
            (eels - background).reshape(*shape, -1),
            axes=(*scan_axes(), loss),
            variance=eels.mean(0) + 0.5,
        ),
        Dataset(
            "edxs",
            edxs.reshape(*shape, -1),
            axes=(*scan_axes(), photon),
            variance=edxs.mean(0) + 0.02,
        ),
        Dataset("adf", adf.reshape(shape), axes=scan_axes(), signal=0, variance=adf.mean() + 0.5),
    )
    truth = {"C": C, "N": delocalised - C, "S_eels": S_eels, "S_edxs": S_edxs, "S_adf": S_adf}
    phases = ("silica, four-fold", "silica, six-fold", "nitride with Mg", "nitride with Al")
    return Simulation({data.name: data for data in datasets}, truth, phases)


@checked_call
def tilt_series(
    *, tilts: int = 65, channels: int = 240, dose: float = 1.0, seed: int = 0
) -> Simulation:
    """EELS and EDXS of a spinel with two sites against the tilt of the beam. For eq. (14).

    Channelling makes the weights of the sites depend on the tilt. The tetrahedral site holds Mn²⁺
    and Zn, the octahedral one Mn³⁺ and Ni. EDXS sees the site weights C; EELS, less localised, sees
    C + N with weaker and distorted oscillations. The weights are never near zero, so non-negativity
    alone does not identify the spectra: add what is known, for instance the lines that a site
    cannot have.

    Args:
        tilts: from −1.6 to 1.6, in units of the reciprocal vector g of the systematic row.
        channels: of each spectrum; EELS (Mn-L2,3) from 632 to 662 eV, EDXS from 0.2 to 10.2 keV.
        dose: 1 is about 100 000 EELS and 60 000 X-ray counts a tilt.
        seed: of the noise.

    Returns:
        Data sets "eels" and "edxs" (tilt, channel), counts with a variance per channel; truth C and
        N (tilt, 2), S_eels and S_edxs (channel, 2).
    """
    from fusion.data.dataset import Dataset

    loss = uniform_axis("energy loss", 632.0, 662.0, channels, "eV")
    photon = uniform_axis("energy", 0.2, 10.2, channels, "keV")
    tilt = uniform_axis("tilt", -1.6, 1.6, tilts, "g")
    C = tilt_curves(tilt.values, [[0.30, 0.12], [-0.25, 0.15]])
    eels_weights = tilt_curves(tilt.values, [[0.18, 0.04], [-0.14, 0.10]], width=0.30)
    S_eels = edges(loss.values, (DIVALENT, TRIVALENT), 50_000 * dose)
    S_edxs = dose * line_spectra(photon.values, (TETRAHEDRAL, OCTAHEDRAL), continuum=2500.0)
    noise = seeds(seed, 2)
    eels = poisson_counts(eels_weights @ S_eels.T, seed=noise[0])
    edxs = poisson_counts(C @ S_edxs.T, seed=noise[1])
    datasets = {
        "eels": Dataset("eels", eels, axes=(tilt, loss), variance=eels.mean(0) + 0.5),
        "edxs": Dataset("edxs", edxs, axes=(tilt, photon), variance=edxs.mean(0) + 0.5),
    }
    truth = {"C": C, "N": eels_weights - C, "S_eels": S_eels, "S_edxs": S_edxs}
    return Simulation(datasets, truth, ("tetrahedral", "octahedral"))


def edges(
    energy: Array, phases: Sequence[tuple[float, tuple]], counts: float, *, decay: float = 3.0
) -> Array:
    """Core-loss spectra with these counts, (channel, K): high white lines on a low tail."""
    spectra = [
        core_loss_edge(energy, onset, peaks, jump=0.25, decay=decay, lorentzian=0.1)
        for onset, peaks in phases
    ]
    return columns(spectra, counts)


def line_spectra(energy: Array, phases: Sequence[Mapping[str, float]], continuum: float) -> Array:
    """X-ray spectra, (channel, K), of the lines of every phase by their names in `LINES`."""
    positions = ([(LINES[name], counts) for name, counts in lines.items()] for lines in phases)
    return np.stack([xray_spectrum(energy, p, continuum=continuum) for p in positions], axis=1)

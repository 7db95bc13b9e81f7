"""A scene of four detectors on one scan, one of them in four segments."""

from __future__ import annotations

import numpy as np

from fusion.algebra.calls import checked_call
from fusion.simulate.coupled import (
    ALUMINIUM_LINES,
    FOUR_FOLD,
    MAGNESIUM_LINES,
    NITRIDE,
    SILICA_LINES,
    SIX_FOLD,
    edges,
    line_spectra,
)
from fusion.simulate.maps import grain_maps, thickness
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
from fusion.simulate.spectra import plasmon, power_law

PLASMONS = ((22.4, 14.0), (30.5, 16.0), (24.6, 11.0), (24.6, 11.0))
"""(energy, width) in eV of the phases below, made up in the likeness of silicas and nitrides."""
EDGES = (FOUR_FOLD, SIX_FOLD, NITRIDE, NITRIDE)
XRAYS = (SILICA_LINES, SILICA_LINES, MAGNESIUM_LINES, ALUMINIUM_LINES)
SEGMENTS = np.array([1.15, 0.9, 1.25, 0.7])
"""Solid angles of the segments, their mean 1: the last one is shadowed by the holder."""


@checked_call
def detectors(
    *, shape: tuple[int, int] = (28, 32), channels: int = 120, dose: float = 1.0, seed: int = 0
) -> Simulation:
    """EELS low loss and core loss, EDXS in four segments, and an ADF image of one scan.

    Two silicas differ in EELS alone, two nitrides in EDXS alone. The last X-ray segment drops out
    for the last third of the scan, its counts there are 0; a particle of dust has fallen on a few
    pixels, which are too bright in all detectors.

    Args:
        shape: (y, x), pixels of 0.5 nm.
        channels: of each spectrum; low loss from 5 to 50 eV, core loss from 90 to 150 eV, EDXS from
            0.1 to 2.5 keV.
        dose: 1 is about 4000 core-loss counts on 5000 of background, 20 000 of the plasmons, and
            170 X-ray counts a segment and pixel.
        seed: of geometry and noise.

    Returns:
        Data sets "low_loss", "core_loss", "edxs" (segment, y, x, energy) and "adf" (an image), all
        counts; truth C (pixel, 4), "S_low_loss", "S_core_loss", "S_edxs" of all segments together,
        "S_adf" (1, 4), "g_edxs" (4, 1) shares of the segments, and as 0 or 1 of every pixel "dust"
        and "dead" (segment, y, x).
    """
    geometry, specimen, *noise = seeds(seed, 6)
    low = uniform_axis("energy loss", 5.0, 50.0, channels, "eV")
    core = uniform_axis("energy loss", 90.0, 150.0, channels, "eV")
    photon = uniform_axis("energy", 0.1, 2.5, channels, "keV")
    C = as_matrix(grain_maps(shape, 4, grains=14, seed=geometry), thickness(shape, seed=specimen))
    background = power_law(core.values, 3.0)
    truth = {
        "C": C,
        "S_low_loss": columns([plasmon(low.values, *p) for p in PLASMONS], 20_000 * dose),
        "S_core_loss": edges(core.values, EDGES, 4000 * dose, decay=5.0)
        + columns([background], 5000 * dose),
        "S_edxs": 4 * dose * line_spectra(photon.values, XRAYS, continuum=15.0),
        "S_adf": dose * np.array([[400.0, 640.0, 470.0, 480.0]]),
        "g_edxs": SEGMENTS[:, None] / SEGMENTS.sum(),
        "dust": _dust(shape),
        "dead": np.zeros((4, *shape)),
    }
    truth["dead"][3, -(shape[0] // 3) :] = 1
    means = {name: C @ truth[f"S_{name}"].T for name in ("low_loss", "core_loss", "edxs", "adf")}
    bright = 1 + 2 * truth["dust"].reshape(-1, 1)
    means = {name: bright * mean for name, mean in means.items()}
    means["edxs"] = (truth["g_edxs"][:, :, None] * means["edxs"]).reshape(4, *shape, -1)
    means["edxs"] = means["edxs"] * (1 - truth["dead"])[..., None]
    return Simulation(
        _noisy_datasets(means, shape, (low, core, photon), noise),
        truth,
        ("silica, four-fold", "silica, six-fold", "nitride with Mg", "nitride with Al"),
    )


def _dust(shape: tuple[int, int]) -> Array:
    """1 where the dust lies, (y, x)."""
    y, x = np.indices(shape)
    return ((y - 0.3 * shape[0]) ** 2 + (x - 0.7 * shape[1]) ** 2 < 5).astype(float)


def _noisy_datasets(means: dict[str, Array], shape: tuple[int, int], axes: tuple, noise: list[int]):
    """Counts of the means, with axes."""
    from fusion.algebra.axis import Axis
    from fusion.data.dataset import Dataset

    low, core, photon = axes
    axes_of = {
        "low_loss": (*scan_axes(), low),
        "core_loss": (*scan_axes(), core),
        "edxs": (Axis("segment", offset=1), *scan_axes(), photon),
        "adf": scan_axes(),
    }
    datasets = {}
    for (name, axes_of_one), seed in zip(axes_of.items(), noise, strict=True):
        front = (4, *shape) if name == "edxs" else shape
        size = front if name == "adf" else (*front, -1)
        counts = poisson_counts(means[name], seed=seed).reshape(size)
        datasets[name] = Dataset(name, counts, axes=axes_of_one, signal=int(name != "adf"))
    return datasets

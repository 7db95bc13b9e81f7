"""A small map of MgO and Al2O3, by a simulator that owes the package nothing, and its fit."""

from __future__ import annotations

from functools import cache

import numpy as np

import fusion as fu
from benchmarks.science.edxs_simulator import (
    Instrument,
    Specimen,
    atomic_k,
    bremsstrahlung,
    characteristic,
    molar_masses,
)
from fusion.elements import KFactors
from fusion.losses import Poisson

ELEMENTS = ("O", "Mg", "Al")
CHANNELS = 0.2 + 0.01 * np.arange(230)
INSTRUMENT = Instrument(elevation=22.0, offset=0.004, gain=0.9991)
SHAPE = (8, 12)
PHASES = {"MgO": (50.0, 50.0, 0.0), "Al2O3": (60.0, 0.0, 40.0)}
TRUTH = np.array(list(PHASES.values()))
"""(phase, element) at.%."""


def amounts():
    """(pixel, element) mol/cm²: pure phases at either side, mixed between, of uneven thickness."""
    x = np.linspace(-0.3, 1.3, SHAPE[1]).clip(0, 1)
    share = np.broadcast_to(np.stack([x, 1 - x], 1), (*SHAPE, 2)).reshape(-1, 2)
    thickness = np.repeat(3e-5 * (1 + 0.3 * np.sin(np.arange(SHAPE[0]))), SHAPE[1])
    per_gram = TRUTH / (TRUTH @ molar_masses(ELEMENTS))[:, None]
    return thickness, thickness[:, None] * (share @ per_gram)


def counts(mean, grid=0.0):
    """Counts (y, x, channel), so many a pixel, with silicon of a grid, the same everywhere."""
    x = _shape(grid)
    return np.random.default_rng(0).poisson(x * mean / x.sum(1).mean()).reshape(*SHAPE, -1)


@cache
def _shape(grid):
    """(pixel, channel): what is expected, of any number of counts."""
    _, n = amounts()
    elements = ELEMENTS
    if grid:
        elements, n = (*ELEMENTS, "Si"), np.column_stack([n, np.full(len(n), grid * n.mean())])
    specimen = Specimen(elements, n)
    continuum = bremsstrahlung(INSTRUMENT, specimen, CHANNELS)
    return characteristic(INSTRUMENT, specimen, CHANNELS) + continuum


def dataset(mean, grid=0.0):
    detector = {"EDS": {"elevation_angle": 22.0}}
    microscope = {"TEM": {"beam_energy": 200.0, "Detector": detector}}
    metadata = {"Signal": {"signal_type": "EDS_TEM"}, "Acquisition_instrument": microscope}
    axes = ["y", "x", fu.Axis("energy", 0.01, 0.2, "keV")]
    return fu.Dataset("edxs", counts(mean, grid), axes=axes, metadata=metadata)


def k_factors(error=0.0, others=()):
    return KFactors(atomic_k(INSTRUMENT, (*ELEMENTS, *others), CHANNELS, "Al"), error=error)


@cache
def fitted(mean=2000, error=0.0, grid=0.0):
    data, others = dataset(mean, grid), ("Si",) if grid else ()
    k = k_factors(error, others)
    model = fu.models.Compositions(data, ELEMENTS, 2, k_factors=k, others=others)
    return fu.fit(model, Poisson(data), starts=1, progress=False)

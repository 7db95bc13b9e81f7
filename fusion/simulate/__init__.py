"""Spectrum images with a known truth: building blocks, scenes for eqs. (13)–(15) and fig. 7.

Everything is made from formulas and a seed: no data file, no noise but Poisson's.

    scene = concurrent(seed=1)
    eels, edxs = scene.datasets["eels"], scene.datasets["edxs"]
    scene.truth["C"]                                             # (pixel, K)

`python -m fusion.simulate -o FILE.npz` writes the EELS map of `layers` as an example.
"""

from fusion.simulate.coupled import concurrent, tilt_series
from fusion.simulate.detectors import detectors
from fusion.simulate.dual import dual_eels
from fusion.simulate.eels import layers, with_background
from fusion.simulate.maps import (
    delocalise,
    grain_maps,
    layer_maps,
    particle_maps,
    thickness,
    tilt_curves,
)
from fusion.simulate.simulation import Simulation, poisson_counts
from fusion.simulate.spectra import core_loss_edge, plasmon, power_law
from fusion.simulate.tilted import tilted_line
from fusion.simulate.wobbled import wobbled
from fusion.simulate.xrays import LINES, bremsstrahlung, detector_fwhm, xray_spectrum

__all__ = [
    "Simulation",
    "layers",
    "with_background",
    "concurrent",
    "detectors",
    "dual_eels",
    "tilt_series",
    "wobbled",
    "tilted_line",
    "power_law",
    "plasmon",
    "core_loss_edge",
    "LINES",
    "xray_spectrum",
    "detector_fwhm",
    "bremsstrahlung",
    "grain_maps",
    "layer_maps",
    "particle_maps",
    "thickness",
    "delocalise",
    "tilt_curves",
    "poisson_counts",
]

"""HyperSpy's signals of planted maps and spectra; tests are skipped where it is missing."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

from fusion.losses import Gaussian, Poisson

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # both warn of their own imports
    hs = pytest.importorskip("hyperspy.api", reason='needs pip install "sdfusion[hyperspy]"')
    exspy = pytest.importorskip("exspy", reason='needs pip install "sdfusion[hyperspy]"')
    from fusion.estimators import ScaledDataWarning, Unmixer  # noqa: F401, one for the tests

    hs.preferences.General.show_progressbar = False
    logging.getLogger("hyperspy").setLevel(logging.ERROR)  # of graphical elements not installed

K, CHANNELS = 3, 40
SCANS = {
    "map": {"y": (8, 0.5, "nm"), "x": (7, 0.5, "nm")},
    "line": {"x": (48, 0.25, "nm")},
    "tilt": {"tilt": (3, 2.0, "mrad"), "y": (5, 0.5, "nm"), "x": (4, 0.5, "nm")},
}
ENERGY = {"EELS": ("Energy loss", 0.5, 95.0, "eV"), "EDS_TEM": ("Energy", 0.05, 0.2, "keV")}


def truth(pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps with nearly pure pixels, and spectra of one peak each: only one answer is right."""
    random = np.random.default_rng(3)
    C = random.dirichlet(np.full(K, 0.3), pixels)
    x = np.linspace(0, 1, CHANNELS)[:, None]
    S = np.exp(-0.5 * ((x - np.array([0.2, 0.5, 0.8])) / 0.08) ** 2)
    return C, S


def build(scan: str = "map", kind: str = "EELS", *, counts: float = 400, dtype="float64", **pixels):
    """A signal of planted maps and spectra with counting noise, and these."""
    axes = [
        {"name": name, "size": n, "scale": step, "offset": 1.0, "units": unit, "navigate": True}
        for name, (n, step, unit) in (pixels or SCANS[scan]).items()
    ]
    name, step, offset, unit = ENERGY[kind]
    energy = {"name": name, "size": CHANNELS, "scale": step, "offset": offset, "units": unit}
    shape = [axis["size"] for axis in axes]
    C, S = truth(int(np.prod(shape)))
    data = np.random.default_rng(4).poisson(counts * C @ S.T).reshape(*shape, CHANNELS)
    make = exspy.signals.EELSSpectrum if kind == "EELS" else exspy.signals.EDSTEMSpectrum
    signal = make(data.astype(dtype), axes=[*axes, energy | {"navigate": False}])
    signal.metadata.General.title = "Grün 粒 α"
    signal.set_microscope_parameters(beam_energy=200)
    return signal, counts * C, S


def options(kind: str) -> dict:
    """Of `decomposition`, for data as they were measured: EDS signals scale and mask by default."""
    return {"print_info": False} | (
        {} if kind == "EELS" else {"normalize_poissonian_noise": False, "navigation_mask": None}
    )


def estimator(kind: str = "EELS", components: int = K, **changes) -> Unmixer:
    return Unmixer(components, likelihood=Gaussian if kind == "EELS" else Poisson,
                   starts=2, **changes)  # fmt: skip

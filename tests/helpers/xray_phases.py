"""Two phases of three elements as X-ray spectra, and a fit of counts of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.constraints import Fixed
from fusion.elements import Detector
from fusion.elements.xray_detector import shell_spectra
from fusion.losses import Poisson
from fusion.simulate.xrays import bremsstrahlung
from fusion.xrays.table import atomic_mass

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')
EDXS = fu.Axis("energy", 0.02, 0.2, "keV", size=500)
EELS = fu.Axis("energy loss", 0.5, 380.0, "eV", size=1000)
K = {"O Ka": 1.9, "Mn Ka": 1.25, "Ni Ka": 1.4}
PHASES = {"oxide": {"O": 50, "Mn": 50}, "alloy": {"Mn": 30, "Ni": 70}}  # atomic %


def planted(axis: fu.Axis = EDXS) -> np.ndarray:
    """Spectra (channel, phase) of the phases, on a continuum, K and L lines; sum 1."""
    shown, made = shell_spectra(axis, ["O", "Mn", "Ni"], Detector()), []
    for atoms in PHASES.values():
        s = np.zeros(axis.size or 0)
        for line, k in K.items():
            element = line.split()[0]
            amount = atoms.get(element, 0) * atomic_mass(element) / k
            s += amount * (shown[f"{element} K"] + 0.5 * shown.get(f"{element} L", 0.0))
        made.append(0.8 * s / s.sum() + 0.2 * bremsstrahlung(axis.values))
    return np.stack(made, 1)


def truth() -> np.ndarray:
    """Atomic % (phase, element)."""
    return np.array([[atoms.get(e, 0) for e in ("O", "Mn", "Ni")] for atoms in PHASES.values()])


class Known(fu.Model):
    """Maps that are known, spectra that are not."""

    def __init__(self, data: fu.Dataset, C: np.ndarray) -> None:
        super().__init__()
        self.C = fu.Factor((data.pixels, C.shape[1]), Fixed(torch.from_numpy(C)))
        self.S = fu.Factor((data.channels, C.shape[1]))

    def forward(self):
        return {"edxs": fu.cp(self.C, self.S)}


@cache
def fitted() -> fu.Result:
    """A fit of both phases, 60 pixels of 2000 counts."""
    rng = np.random.default_rng(0)
    C = 2000 * rng.dirichlet([0.7, 0.7], 60)
    data = fu.Dataset("edxs", rng.poisson(C @ planted().T), axes=["x", EDXS])
    return fu.fit(Known(data, C), Poisson(data), starts=1, progress=False)

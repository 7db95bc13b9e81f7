"""Pure spectra where no pixel is pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fusion as fu
from benchmarks.science.line import Line, angles, within
from fusion.losses import Poisson
from fusion.models import NMF


def geometry(data: Path) -> Iterator[Line]:
    """Three phases on top of each other, no pixel pure, 1000 counts a pixel."""
    file = np.load(data / "espm_simulated_edxs/AlFeSi3N4_multilayer.npz")
    edxs = fu.Dataset("edxs", file["counts_dose1000"].astype(float))
    truth = file["phases"].T
    model, loss = NMF(edxs, 3), 1.0 * Poisson(edxs)
    told = {"starts": 1, "progress": False}
    for name, init, bar in (
        ("VCA", fu.VCA(), None),
        ("SSS + VCA", fu.VCA(points=fu.SSS()), 6.0),
        ("SSS + SPA", fu.SPA(points=fu.SSS()), 6.0),
        ("SSS + N-FINDR", fu.NFINDR(points=fu.SSS()), 6.0),
    ):
        found = angles(fu.fit(model, loss, init=init, max_steps=0, **told).factors["S"], truth)
        yield within(f"AlFeSi3N4, dose 1000: {name}", found, bar)
    found = angles(fu.fit(model, loss, progress=False).factors["S"], truth)
    yield within("AlFeSi3N4, dose 1000: KL-NMF, best of ten", found, None)

"""Equations (13) to (15) of the review and ARD as a user writes them, on data with known truth."""

from __future__ import annotations

from typing import Any

import numpy as np

import fusion as fu
from fusion.constraints import Free, NonNegative, PowerLaw, UnitColumns
from fusion.losses import ARD, Frobenius, Gaussian, SoftOrthogonality, SquaredNorm
from fusion.models import NMF

from .case import Case as _Case

Arrays = dict[str, np.ndarray]


def _energy_map(name: str, array: np.ndarray, energy: np.ndarray, **options: Any) -> fu.Dataset:
    axis = fu.Axis("energy", values=energy, units="eV")
    return fu.Dataset(name, array.astype(float), axes=("y", "x", axis), **options)


class Equation13(_Case):
    """NMF with soft orthogonality."""

    def data(self) -> Arrays:
        return self.read("figure_cases/fig3_sim")

    def call(self, data: Arrays) -> fu.Result:
        si = _energy_map("si", data["bgsub"], data["energy"])
        loss = Frobenius(si) + 0.05 * SoftOrthogonality("C")
        return fu.fit(NMF(si, 3), loss, starts=self.starts, seed=0, progress=False)


class ArdFromTen(Equation13):
    """The number of components, from ten."""

    def call(self, data: Arrays) -> fu.Result:
        edges = _energy_map("edges", data["counts"] - data["background"], data["energy"])
        loss = Gaussian(edges) + ARD("C") + 0.05 * SoftOrthogonality("C")
        return fu.fit(NMF(edges, 10), loss, starts=self.starts, seed=0, progress=False)


class _Concurrent(fu.Model):
    """EELS sees the maps C + N, EDXS sees C."""

    def __init__(self, eels: fu.Dataset, edxs: fu.Dataset, K: int) -> None:
        super().__init__()
        self.C = fu.Factor((eels.pixels, K), NonNegative(), UnitColumns())
        self.N = fu.Factor((eels.pixels, K), Free())
        self.S1 = fu.Factor((eels.channels, K))
        self.S2 = fu.Factor((edxs.channels, K))

    def forward(self) -> dict[str, Any]:
        return {"eels": fu.cp(self.C + self.N, self.S1), "edxs": fu.cp(self.C, self.S2)}


class Equation14(_Case):
    """Soft coupling of two detectors, in a model of the user's own."""

    def data(self) -> Arrays:
        return self.read("figure_cases/joint_sim")

    def call(self, data: Arrays) -> fu.Result:
        losses, counts = data["eels"].astype(float), data["edxs"].astype(float)
        eels = _energy_map("eels", losses - data["eels_bg"], data["eels_eV"],
                           variance=losses.mean((0, 1)) + 0.5)  # fmt: skip
        edxs = _energy_map("edxs", counts, data["edxs_keV"], variance=counts.mean((0, 1)) + 0.02)
        loss = Frobenius(eels) + Frobenius(edxs) + SquaredNorm("N", 0.002)
        model = _Concurrent(eels, edxs, 3)
        return fu.fit(model, loss, starts=self.starts, seed=0, progress=False)


class _Raw(fu.Model):
    """Raw data from spectra S + N, subtracted data from S, one set of maps C."""

    def __init__(self, raw: fu.Dataset, K: int) -> None:
        super().__init__()
        self.C = fu.Factor((raw.pixels, K), NonNegative(), UnitColumns())
        self.S = fu.Factor((raw.channels, K))
        self.N = fu.Factor((raw.channels, K), PowerLaw(raw.channels))

    def forward(self) -> dict[str, Any]:
        return {"raw": fu.cp(self.C, self.S + self.N), "net": fu.cp(self.C, self.S)}


class Equation15(_Case):
    """The background inside the model."""

    def data(self) -> Arrays:
        arrays = self.read("figure_cases/fig9_sim")
        E, counts = arrays["energy"], arrays["counts"].astype(float)
        before = E <= 518
        logs = np.log(np.maximum(counts[..., before].reshape(-1, before.sum()), 1)).T
        slope, offset = np.polyfit(np.log(E[before]), logs, 1)
        background = np.exp(offset[:, None] + slope[:, None] * np.log(E)).reshape(counts.shape)
        return {"energy": E, "raw": counts, "net": counts - background}

    def call(self, data: Arrays) -> fu.Result:
        raw, net = (_energy_map(name, data[name], data["energy"]) for name in ("raw", "net"))
        loss = Frobenius(raw) + Frobenius(net) + 0.002 * SoftOrthogonality("C")
        return fu.fit(_Raw(raw, 3), loss, starts=self.starts, seed=0, progress=False)

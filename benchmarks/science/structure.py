"""Beliefs and facts about factors: what each brings where it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fusion as fu
from benchmarks.science.line import Line, angles, within
from fusion.constraints import Fixed, Simplex
from fusion.losses import Frobenius, SpatialSmoothness, TotalVariation

TOLD = {"progress": False}
WEIGHTS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Of which the best is told, for both penalties alike."""


class Closed(fu.Model):
    """Abundances that add up to one in every pixel."""

    def __init__(self, data: fu.Dataset, K: int) -> None:
        super().__init__()
        self.C = fu.Factor((data.pixels, K), Simplex())
        self.S = fu.Factor((data.channels, K))
        self.name = data.name

    def forward(self):
        return {self.name: fu.cp(self.C, self.S)}


class Maps(fu.Model):
    """Maps of spectra that are known."""

    def __init__(self, data: fu.Dataset, spectra: np.ndarray) -> None:
        super().__init__()
        self.C = fu.Factor((data.pixels, spectra.shape[1]))
        self.S = fu.Factor((data.channels, spectra.shape[1]), Fixed(spectra))
        self.name = data.name

    def forward(self):
        return {self.name: fu.cp(self.C, self.S)}


def structure(data: Path) -> Iterator[Line]:
    """Backgrounds by compression, closure, edges."""
    yield from _backgrounds(data / "figure_cases/fig3_sim.npz")
    yield from _closure(data / "hsi_unmixing/samson.npz")
    yield from _edges(data / "figure_cases/fig3_sim.npz")


def _backgrounds(path: Path) -> Iterator[Line]:
    """The background behind the edge, extrapolated from 90 to 98 eV, against the true one."""
    file = np.load(path)
    energy, true = file["energy"], file["background"].astype(float)
    axis = fu.Axis("energy loss", energy[1] - energy[0], energy[0], units="eV")
    raw = fu.Dataset("raw", file["counts"].astype(float), axes=("y", "x", axis))
    behind, first = energy > 98, None
    for components in (None, 1, 2, 3, 4, 6):
        net = raw.subtract_background((90.0, 98.0), components=components).numpy()
        found = raw.numpy() - net
        error = np.linalg.norm((found - true)[..., behind]) / np.linalg.norm(true[..., behind])
        bias = found[..., behind].sum() / true[..., behind].sum() - 1
        passed = None if first is None or components != 3 else bool(error < 0.5 * first)
        first = error if first is None else first
        name = "pixel by pixel" if components is None else f"{components} components"
        bar = "–" if passed is None else "half the error of pixel by pixel"
        measured = f"{100 * error:.1f} % of the background, bias {100 * bias:+.1f} %"
        yield Line(f"fig3_sim, background: {name}", bar, measured, passed)


def _closure(path: Path) -> Iterator[Line]:
    """A scene of rock, trees and water in uneven light: closure does not hold there by itself."""
    file = np.load(path)
    scene = fu.Dataset("scene", file["Y"].astype(float))
    truth = file["M_gt"]
    for name, model in (("free amounts", fu.models.NMF(scene, 3)), ("closure", Closed(scene, 3))):
        result = fu.fit(model, 1.0 * Frobenius(scene), **TOLD)
        yield within(f"Samson, {name}", angles(result.factors["S"], truth), None)


def _edges(path: Path) -> Iterator[Line]:
    """Maps of layers, the true spectra known, with white noise as strong as the signal."""
    file = np.load(path)
    C, S = file["C"].reshape(3, -1).T.astype(float), file["S"].T
    C /= C.max()
    signal = (C @ S.T).reshape(file["counts"].shape)
    level = np.sqrt(np.mean(signal**2))
    data = fu.Dataset(
        "net", signal + level * np.random.default_rng(0).standard_normal(signal.shape)
    )
    fit = level**-2 * Frobenius(data)
    for name, penalties in (
        ("least squares", [0.0 * SpatialSmoothness("C")]),
        ("smoothness", [w * SpatialSmoothness("C") for w in WEIGHTS]),
        ("total variation", [w * TotalVariation("C") for w in WEIGHTS]),
    ):
        made = [fu.fit(Maps(data, S), fit + p, starts=1, **TOLD).factors["C"] for p in penalties]
        error = min(np.linalg.norm(found - C) / np.linalg.norm(C) for found in made)
        yield Line(f"fig3_sim, maps of known spectra: {name}", "–", f"{100 * error:.1f} %", None)

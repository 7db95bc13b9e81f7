"""A stand-in for fits of compositions: answers made of the truth, noise and a fault."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.science.edxs_scenes import CHANNELS, Scene, simulated
from benchmarks.science.edxs_simulator import Instrument, Specimen, molar_masses

PHASES = {"SrTiO3": {"Sr": 1.0, "Ti": 1.0, "O": 3.0}, "MgO": {"Mg": 1.0, "O": 1.0}}
INSTRUMENT = Instrument(offset=0.004, gain=0.9991)
SHAPE = (6, 5)
SIGMAS = {"atomic": 0.25, "offset": 0.08e-3, "gain": 3e-5, "thickness": 0.03, "scale": 0.02}


@dataclass(frozen=True)
class Fault:
    """What is wrong with an answer; by default nothing.

    Attributes:
        oxygen: added to its at.%; claimed: standard errors over the true ones.
        offset: keV, added; gain: added.
        thickness: share by which mass thickness is too large; scale: its interval over the true.
        refuses: what k factors are refused with.
    """

    oxygen: float = 0.0
    claimed: float = 1.0
    offset: float = 0.0
    gain: float = 0.0
    thickness: float = 0.0
    scale: float = 1.0
    refuses: str = ""


class StandIn:
    """Answers of the package, made of the truth and of noise of a known size."""

    def __init__(self, scene: Scene, fault: Fault) -> None:
        self.scene, self.fault = scene, fault
        self.rng = np.random.default_rng(5)
        self.k: list[dict[str, Any]] = []

    def k_factors(self, values, *, kind, error):
        if self.fault.refuses:
            raise ValueError(f"\n{self.fault.refuses} | first\nsecond")
        assert kind == "atomic"
        self.k.append(dict(values))
        return values

    def compositions(self, data, *, elements, K, k_factors):
        return SimpleNamespace(data=data, elements=elements, K=K)

    def fit(self, model, loss, *, seed, progress):
        scene, fault, rng = self.scene, self.fault, self.rng
        order = rng.permutation(model.K)
        truth = scene.atomic[order][:, [scene.elements.index(e) for e in model.elements]]
        atomic = truth + SIGMAS["atomic"] * rng.standard_normal(truth.shape)
        atomic[:, model.elements.index("O")] += fault.oxygen
        error = np.full(atomic.shape, fault.claimed * SIGMAS["atomic"])
        half = 1.959964 * error
        made = SimpleNamespace(
            elements=model.elements,
            atomic=atomic,
            atomic_errors=error,
            atomic_intervals=np.stack([atomic - half, atomic + half], -1),
        )
        masses = scene.amounts.T @ (scene.atomic / 100 @ molar_masses(scene.elements))
        off = 1 + SIGMAS["scale"] * rng.standard_normal()
        noise = 1 + SIGMAS["thickness"] * rng.standard_normal(masses.size)
        scale = 3.0 * off
        width = 1.959964 * SIGMAS["scale"] * scale * fault.scale
        made.detector = self._detector(model.data.channels[0])
        made.mass_thickness = masses * off * noise * (1 + fault.thickness)
        made.mass_thickness_mean = scale
        made.mass_thickness_interval = (scale - width, scale + width)
        return SimpleNamespace(composition=lambda: made)

    def _detector(self, axis):
        stretch = axis.scale / 0.01
        shift = axis.offset - stretch * 0.1
        wrong = self.rng.standard_normal(2) * [SIGMAS["offset"], SIGMAS["gain"]]
        return SimpleNamespace(
            offset=shift + stretch * INSTRUMENT.offset + wrong[0] + self.fault.offset,
            gain=stretch * INSTRUMENT.gain + wrong[1] + self.fault.gain,
            offset_error=self.fault.claimed * SIGMAS["offset"],
            gain_error=self.fault.claimed * SIGMAS["gain"],
        )


def small_scene() -> Scene:
    """30 pixels of 90 counts."""
    rng = np.random.default_rng(0)
    return simulated(rng, PHASES, SHAPE, 90.0, INSTRUMENT, Specimen.escaping)


def write_cases(folder: Path, scene: Scene) -> None:
    """Files of the names and entries of the shared ones."""
    (folder / "physics_cases").mkdir()
    k = scene.k_factors
    held = {
        "energy": CHANNELS,
        "data": scene.counts,
        "elements": np.array(scene.elements),
        "phases": np.array(list(PHASES)),
        "atomic_fraction": scene.atomic / 100,
        "k_names": np.array(list(k)),
        "k_atomic_vs_SiKa": np.array(list(k.values())),
        "beam_energy_kev": 200.0,
        "elevation_deg": 22.0,
    }
    more = {"offset_kev": 0.004, "gain": 0.9991, "amount": scene.amounts.reshape(-1, *SHAPE)}
    np.savez(folder / "physics_cases/edxs_phases.npz", **held, **more)
    np.savez(folder / "physics_cases/fused_adf.npz", **held)
    mean = scene.counts.reshape(-1, 1000).mean(0)
    parts = {"left": np.ones((30, 1)), "right": mean[None], "shape": np.array([*SHAPE, 1000])}
    np.savez(folder / "physics_cases/edxs_phases_expected.npz", **parts)

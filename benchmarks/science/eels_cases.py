"""The shared pair of core and low loss with its truth, and what was found on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fusion as fu
from fusion.losses import dual_eels_loss

Array = NDArray[np.float64]
Measured = tuple[str, bool | None]

SEED = 24
WEIGHT = 20.0
"""Of the overlap of maps; as the how-to page has it."""


@dataclass(frozen=True)
class Pair:
    """Core and low loss of one map.

    Attributes:
        core: counts, their variance that of a pixel times that of a channel; low: counts.
        S: (channel, component) truth, unit columns; C: (pixel, component) as counted, so that
            C Sᵀ are the counts of single scattering; t: (pixel,) t/λ.
    """

    core: fu.Dataset
    low: fu.Dataset
    S: Array
    C: Array
    t: Array


class Runs:
    """What was found on the shared data; nothing is fitted before a row asks for it.

    Args:
        data: the folder that holds physics_cases/.
        draws: how many.
    """

    def __init__(self, data: Path, draws: int) -> None:
        self.data, self.draws = data, draws

    @cached_property
    def file(self) -> dict[str, Any]:
        with np.load(self.data / "physics_cases/dual_eels.npz") as file:
            return {name: file[name] for name in file.files}

    def pair(self, core: NDArray[Any], low: NDArray[Any], binned: int = 1) -> Pair:
        """Arrays like those of the file as data sets; the core loss binned."""
        file = self.file
        gain, readout = float(file["gain"]), float(file["readout"])
        step = float(np.diff(file["energy"]).mean())
        scan = [fu.Axis(name, float(file["pixel_nm"]), units="nm") for name in ("y", "x")]
        loss = fu.Axis("energy loss", step, float(file["energy"][0]), "eV")
        low_loss = fu.Axis("energy loss", step, float(file["low_energy"][0]), "eV")
        data = fu.Dataset("core", core, axes=[*scan, loss]).bin(energy_loss=binned)
        counts = data.numpy().reshape(data.matrix_shape)
        of_channels = gain * counts.mean(0) + binned * readout**2
        variance = (counts.mean(1)[:, None] / counts.mean() * of_channels).reshape(data.shape)
        S = file["S"].T.reshape(-1, binned, len(file["S"])).sum(1)
        norms = np.linalg.norm(S, axis=0)
        C = file["C"].reshape(len(file["C"]), -1).T.astype(float)
        return Pair(
            data.with_variance(variance),
            fu.Dataset("low", low, axes=[*scan, low_loss]),
            S / norms,
            gain * C * norms,
            file["t_over_lambda"].ravel().astype(float),
        )

    def measured(self, binned: int = 1) -> Pair:
        """The file itself."""
        return self.pair(self.file["core"], self.file["low"], binned)

    @cached_property
    def fine(self) -> Pair:
        return self.measured()

    @cached_property
    def coarse(self) -> Pair:
        return self.measured(binned=2)

    @cached_property
    def default(self) -> fu.Result:
        """The default call at 0.5 eV."""
        return fitted(self.fine)


def model_of(pair: Pair) -> fu.models.DualEELS:
    """Three components."""
    return fu.models.DualEELS(pair.core, pair.low, K=3)


def fitted(pair: Pair, weight: float = WEIGHT, **options: Any) -> fu.Result:
    """The default call, or another."""
    return fu.fit(model_of(pair), loss_of(pair, weight), progress=False, **options)


def loss_of(pair: Pair, weight: float = WEIGHT) -> fu.Loss:
    """As the how-to page has it."""
    return dual_eels_loss(pair.core, overlap=weight)


def said_angles(found: Array) -> str:
    """In degrees."""
    return " / ".join(f"{angle:.2f}" for angle in found) + "°"

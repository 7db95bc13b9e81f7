"""The tilt series of `fig8_sim`: eq. (14) of a spinel, and what is known about one. Fig. 8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fusion as fu
from fusion.answers.matching import spectral_angle
from fusion.constraints import Constraint, Fixed, Free, NonNegative, UnitColumns
from fusion.losses import Frobenius, Smoothness, SoftOrthogonality, SquaredNorm, term

Array = np.ndarray
OXYGEN = {"O K": 0.525}
METALS = {
    "Mn L": 0.637,
    "Ni L": 0.852,
    "Mn Kα": 5.899,
    "Mn Kβ": 6.490,
    "Ni Kα": 7.478,
    "Ni Kβ": 8.265,
}
"""keV: X-Ray Data Booklet, table 1-2."""
CATIONS = slice(0, 2)
"""Components of the tetrahedral and the octahedral site; the third is oxygen, only in EDXS."""


@dataclass(frozen=True)
class Series:
    """EELS and EDXS of 65 tilts; `raw` with its bremsstrahlung; truth W, C, S_eels, S_edxs."""

    eels: fu.Dataset
    edxs: fu.Dataset
    raw: fu.Dataset
    truth: Mapping[str, Array]

    def in_order(self, result: fu.Result) -> dict[str, Array]:
        """Factors in the order of the truth that makes the sum of all angles least.

        A cation is one component of both data sets, so both are put in one order.
        """
        found = {name: result[name] for name in ("C", "S_eels", "S_edxs")}
        found["W"] = result.model.seen().detach().numpy()  # type: ignore[union-attr, operator]
        orders = [order for order in permutations(range(3)) if order[2] == 2]

        def ordered(order: tuple[int, ...]) -> dict[str, Array]:
            return {name: F[:, list(order[: F.shape[1]])] for name, F in found.items()}

        def apart(order: tuple[int, ...]) -> float:
            F = ordered(order)
            return sum(spectral_angle(F[name], T).sum() for name, T in self.truth.items())

        return ordered(min(orders, key=apart))


def load(path: Path) -> Series:
    """The data sets, less the constant offset of the camera and the simulated bremsstrahlung."""
    file = np.load(path)
    tilt = fu.Axis("tilt", values=file["tilt_g400"], units="g400")
    loss = fu.Axis("energy loss", values=file["eels_eV"], units="eV")
    photon = fu.Axis("energy", values=file["edxs_keV"], units="keV")
    counts, xrays = file["eels"].astype(float), file["edxs"].astype(float)
    noise = xrays.mean(0) + 0.02
    return Series(
        fu.Dataset(
            "eels", counts - file["eels_offset"], axes=(tilt, loss), variance=counts.mean(0) + 0.5
        ),
        fu.Dataset("edxs", xrays - file["edxs_bg"], axes=(tilt, photon), variance=noise),
        fu.Dataset("edxs", xrays, axes=(tilt, photon), variance=noise),
        {
            "W": file["C_eels"].T,
            "C": file["C_edxs"].T,
            "S_eels": file["S_eels"].T,
            "S_edxs": file["S_edxs"].T,
        },
    )


NONE = Fixed([[0.0]])


class Spinel(fu.Model):
    """EDXS sees the weights C of three sites, EELS (1 − d) C + d mean(C) + N of two. Eq. (14).

    Args:
        eels: Mn-L2,3 against the tilt.
        edxs: X-ray lines against the tilt.
        on_spectra: facts about the X-ray spectra.
        damping: a fact about d, by how much delocalisation damps the curves; default: d = 0.
        background: a fact about a spectrum with the same weight at all tilts; default: none.
    """

    def __init__(
        self,
        eels: fu.Dataset,
        edxs: fu.Dataset,
        *on_spectra: Constraint,
        damping: Constraint = NONE,
        background: Constraint | None = None,
    ) -> None:
        super().__init__()
        self.C = fu.Factor((edxs.pixels, 3), NonNegative(), UnitColumns())
        self.N = fu.Factor((eels.pixels, 2), Free())
        self.d = fu.Factor((1, 1), damping)
        self.S_eels = fu.Factor((eels.channels, 2))
        self.S_edxs = fu.Factor((edxs.channels, 3), NonNegative(), *on_spectra)
        nothing = Fixed(np.zeros((edxs.matrix_shape[1], 1)))
        self.B = fu.Factor((edxs.channels, 1), nothing if background is None else background)

    def seen(self) -> torch.Tensor:
        """What EELS sees, (tilt, 2)."""
        C = self.C[:, CATIONS]
        return C - self.d * (C - C.mean(0)) + self.N

    def forward(self) -> dict[str, Any]:
        flat = torch.ones_like(self.C[:, :1])
        return {
            "eels": fu.cp(self.seen(), self.S_eels),
            "edxs": fu.cp(self.C, self.S_edxs) + fu.cp(flat, self.B),
        }


def known_lines(energy: Array, *, cations: bool) -> Fixed:
    """Zeros where a site has no line: oxygen has O-K alone, a cation has none of its.

    Args:
        energy: keV.
        cations: whether the lines of the cations are known as well.
    """

    def near(lines: Mapping[str, float]) -> Array:
        return np.any([abs(energy - E) < 0.1 + 0.02 * E for E in lines.values()], axis=0)

    oxygen = np.where(near(OXYGEN), np.nan, 0.0)
    metal = np.where(near(METALS) if cations else energy > 0.5, np.nan, 0.0)
    metal[energy < 0.57] = 0.0  # below it Mn-L has nothing left, O-K all
    return Fixed(np.stack([metal, metal, oxygen], axis=1))


@term
def same_atoms(model: Spinel, energy: torch.Tensor, spread: float) -> torch.Tensor:
    """EELS and EDXS count the same Mn: the ratio of the two is equal on both sites, to `spread`."""
    near = (energy - METALS["Mn Kα"]).abs() < 0.2
    mn_L = model.seen().sum(0) * model.S_eels.sum(0)
    mn_K = model.C[:, CATIONS].sum(0) * model.S_edxs[near][:, CATIONS].sum(0)
    ratio = torch.log(mn_L.clamp_min(1e-3) / mn_K.clamp_min(1e-3))
    return 0.5 * ((ratio[0] - ratio[1]) / spread).square()


def knowledge(series: Series) -> dict[str, tuple[fu.Model, Any]]:
    """(model, loss) of (14) with what is known, one thing at a time and together."""
    eels, edxs, raw = series.eels, series.edxs, series.raw
    energy = edxs.channels[0].values
    fits = Frobenius(eels) + Frobenius(edxs)
    weak = fits + SquaredNorm("N", 0.02)
    smooth = 1e4 * (Smoothness("C", order=2) + Smoothness("N", order=2))  # curvature 0.01 a step
    apart = 3e-4 * SoftOrthogonality("S_eels")
    atoms = same_atoms(torch.from_numpy(energy), 0.1)
    lines, oxygen = (known_lines(energy, cations=cations) for cations in (True, False))
    plain, with_lines = Spinel(eels, edxs), Spinel(eels, edxs, lines)
    own = Spinel(eels, raw, lines, background=NonNegative())
    damped = Spinel(eels, edxs, damping=NonNegative())
    damped.d = [[0.4]]  # a guess
    return {
        "nothing known": (plain, weak),
        "smooth curves": (plain, weak + smooth),
        "oxygen: O-K alone": (Spinel(eels, edxs, oxygen), weak),
        "lines of every site": (with_lines, weak),
        "lines, bremsstrahlung fitted": (
            own,
            Frobenius(eels) + Frobenius(raw) + SquaredNorm("N", 0.02),
        ),
        "EELS spectra apart (SO)": (plain, weak + apart),
        "EELS curves damped": (damped, fits + SquaredNorm("N", 0.005)),
        "same Mn in both": (plain, weak + atoms),
        "lines, smooth": (with_lines, weak + smooth),
        "lines, smooth, SO": (with_lines, weak + smooth + apart),
        ALL: (with_lines, weak + smooth + apart + atoms),
    }


ALL = "lines, smooth, SO, same Mn"

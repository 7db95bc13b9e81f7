"""Files and words of a fit of EELS with plural scattering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fusion.answers.result import Result
from fusion.answers.whole_files import atomic_write
from fusion.cli.findings import Findings
from fusion.models import DualEELS
from fusion.plots import plot_plural_scattering
from fusion.prepare.relative_thickness import RelativeThickness


class ScatteringFindings(Findings):
    """Where the edges begin, and t/λ: its spread in words, every pixel of it in thickness.npz.

    In scattering.png the low loss, and spectra with and without plural scattering.

    Args:
        result: of `DualEELS`.
        low: lines of the low loss, which the result has not: what was done to it before.
    """

    def __init__(self, result: Result, low: tuple[str, ...] = ()) -> None:
        assert isinstance(result.model, DualEELS)
        self.result, self.model, self.low = result, result.model, low
        self.thickness: RelativeThickness = self.model.relative_thickness()

    def text(self) -> str:
        out = int((~self.model.used).sum())
        told = [
            f"spectra without plural scattering, edges from {self.model.onset:.5g} eV; "
            f"low loss of {self.model.D.shape[1]} kernels",
            str(self.thickness),
        ]
        told += [f"  left out         {out} pixels, without thickness and amounts"] if out else []
        return "\n".join([*told, *self.low])

    def write(self, folder: Path) -> None:
        with atomic_write(folder / "thickness.npz") as file:
            np.savez_compressed(file, values=self.thickness.values, errors=self.thickness.errors)
        drawn = plot_plural_scattering(self.result)
        drawn.savefig(folder / "scattering.png", format="png", dpi=150)

    def report(self) -> dict[str, Any]:
        """The same for machines, `--json`."""
        values, used = self.thickness.values, self.model.used
        return {
            "onset_eV": self.model.onset,
            "kernels": int(self.model.D.shape[1]),
            "zero_loss_eV": [float(end) for end in self.thickness.zero_loss],
            "thickness_mean": float(np.nanmean(values)),
            "thickness_range": [float(np.nanmin(values)), float(np.nanmax(values))],
            "thickness_error": float(np.nanmedian(self.thickness.errors)),
            "pixels_left_out": int((~used).sum()),
        }

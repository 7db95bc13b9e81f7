"""Several detectors on one scan, some of them in segments."""

from __future__ import annotations

from math import prod

from fusion.algebra.calls import checked_call, in_call
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import NonNegative, UnitColumns, UnitNorm
from fusion.data.dataset import Dataset
from fusion.data.scan import Scan
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_datasets, check_rank, identifier


class Detectors(Model):
    """X_d ≈ C S_dᵀ; segment i of a detector in segments sees g_i C S_dᵀ.

    All see the same maps C (pixel, K). A data set with axes before those of the scan, such as
    (segment, y, x, energy), is of one detector in segments: they share the spectra "S_<name>"
    (channel, K), and each has its share "g_<name>" (segment, 1) of the counts; shares add up to 1,
    so that the spectra are those of all segments together. An image counts as one channel.

    The spectra of the first data set have unit columns, so that C holds its amounts: put a
    detector first that sees every component.

    Args:
        datasets: one or more of one scan: `Scan` says what that is.
        K: number of components.

    Attributes:
        gains: {data set name: factor name} of the detectors in segments.

    Raises:
        ValueError: if the data sets are no one scan, or K is below 1 or above the pixels or all
            channels together.
    """

    @checked_call
    def __init__(self, *datasets: Dataset, K: int) -> None:
        super().__init__()
        call = f"Detectors({', '.join(map(in_call, datasets))}, K={K!r})"
        check_datasets(call, datasets)
        scan = Scan(*datasets)
        pixels, channels = prod(scan.shape), sum(d.matrix_shape[1] for d in datasets)
        check_rank(call, K, min(pixels, channels), f"{pixels} pixels, {channels} channels in all")
        self.spectra = {d.name: f"S_{identifier(d.name)}" for d in datasets}
        self.interchangeable = ("C", *self.spectra.values())
        self.gains: dict[str, str] = {}
        self.C = Factor((scan.axes, K), NonNegative())
        for data in datasets:
            scale = [UnitColumns()] if data is datasets[0] else []
            spectra = Factor((data.channels or 1, K), NonNegative(), *scale)
            setattr(self, self.spectra[data.name], spectra)
            if before := data.pixels[: -len(scan.axes)]:
                self.gains[data.name] = f"g_{identifier(data.name)}"
                shares = Factor((before, 1), NonNegative(), UnitNorm(1))
                setattr(self, self.gains[data.name], shares)

    def forward(self) -> dict[str, Prediction]:
        K, predictions = self.C.shape[1], {}
        for data, name in self.spectra.items():
            factors = [self.C, getattr(self, name)]
            if data in self.gains:
                factors.insert(0, getattr(self, self.gains[data]).expand(-1, K))
            predictions[data] = cp(*factors)
        return predictions

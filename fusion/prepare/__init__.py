"""Steps before the fit: methods of `Dataset` that return a new one and enter `history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fusion.algebra.calls import checked_call
from fusion.algebra.waiting import waiting
from fusion.data.preparing import Preparing, Window

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset


@checked_call
def drifts(data: Dataset, *, progress: bool = True, **window: Window) -> Any:
    """How far the spectrum of every pixel has drifted, in channels, of the shape of the pixels.

    Positive where the feature lies at a higher channel than in the median pixel, which is 0. The
    drift s is that of the best fit a·R(x − s) + b to the spectrum in the window, a ≥ 0, by weighted
    least squares; R is the mean of the aligned spectra, found by turns with s. Drifts up to half
    the window are looked for. A pixel in which the feature does not stand out from the noise, or
    which is masked, has the drift of the nearest one in which it does.

    Args:
        data: spectra.
        progress: whether a line says that it is at work, as in `fit`.
        window: the energies that hold the feature, `energy=(-5, 5)`; default: all.

    Raises:
        ValueError: as in `Dataset.align`.
    """
    from fusion.prepare.energy_drift import drifts

    with waiting("drifts", progress):
        return drifts(data, window)


__all__ = ["Preparing", "drifts"]

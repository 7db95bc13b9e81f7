"""The zero-loss peak of low-loss spectra: where it lies, where it ends, what it holds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.cautions import ClaimWarning, users_line
from fusion.algebra.units import in_units
from fusion.data.dataset import Dataset, check_dataset

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

NEAR = 10.0
"""eV around 0 in which the peak is looked for."""
VALLEY = 10.0
"""eV behind the peak in which its end is looked for: the valley before the first plasmon."""
TAIL = 0.75
"""Share of the losses behind which a power law is fitted."""
SLOWEST = 0.5
"""By how much its exponent is taken to be above 1 at least, or the tail would hold ever more."""
LEAST = 1e-12
"""Gain over the highest value, at least: where spectra have no noise, as those of one sum."""
SLOWEST_FALL = 2.0
"""Exponent of a tail; what falls slower at the end of the axis is still the plasmons."""
TAKEN_OFF = 8
"""Components that are taken off before the noise is looked at."""
EQUAL = 0.01
"""Share of the pixels that may have one and the same highest value, or the peak was cut off."""
AT_LEAST = 4
"""Such pixels that may be chance."""


@dataclass(frozen=True)
class ZeroLoss:
    """Where the zero-loss peak is.

    Attributes:
        first: its first channel; stop: the first one behind it.
        centre: its centre of mass in the mean spectrum, in eV of the data's axis.
        start, end: eV, the outer edges of its channels.
    """

    first: int
    stop: int
    centre: float
    start: float
    end: float


class LowLoss:
    """Low-loss spectra, parted in elastic and inelastic.

    Args:
        call: what is complained of.
        low: with one uniform energy axis that holds the zero loss.
        window: eV, from where to where the zero-loss peak goes; None: it is looked for.

    Attributes:
        energies: (channel,) eV; step: eV.
        spectra: (pixel, channel), float64, zero where masked.
        seen: (pixel,) whether a pixel is not masked and counted anything.
        zero: where the zero-loss peak is.

    Raises:
        ValueError: if the data are no such spectra, or the zero loss is not among them.
    """

    def __init__(self, call: str, low: Dataset, window: tuple[float, float] | None = None) -> None:
        self.low, axis = check_dataset(call, low), None
        if low.signal == 1:
            axis = in_units(low.channels[0], "eV", call)
        if axis is None or not axis.uniform or axis.scale <= 0:
            raise ValueError(
                f"`{call}`: {low.name!r} has no uniform energy axis that rises: give spectra on "
                "one, `data.with_axes(…)`."
            )
        self.energies, self.step = axis.values, axis.scale
        self.spectra = low.matrix.double().numpy().copy()
        known = np.ones(len(self.spectra), dtype=bool)
        if low.mask is not None:
            hidden = low.mask.expand(low.shape).numpy().reshape(self.spectra.shape)
            self.spectra[hidden], known = 0.0, ~hidden.any(1)
            if not known.any() and not hidden.all(1).all():
                raise ValueError(
                    f"`{call}`: {int(hidden.any(0).sum())} channels of {low.name!r} are masked: "
                    "every electron of a low loss counts: give it without that mask, bad channels "
                    "filled from beside them."
                )
        self.seen = known & (self.spectra.sum(1) > 0)
        if not self.seen.any():
            raise ValueError(f"`{call}`: no pixel of {low.name!r} counted anything.")
        self.zero = self._found(call) if window is None else self._given(call, window)

    @cached_property
    def mean(self) -> Array:
        """(channel,) mean spectrum of what is seen."""
        return self.spectra[self.seen].mean(0)

    @property
    def elastic(self) -> Array:
        """(pixel,) counts of the zero-loss peak."""
        return self.spectra[:, self.zero.first : self.zero.stop].sum(1)

    @property
    def total(self) -> Array:
        """(pixel,) counts from the peak on; what lies before it is noise."""
        return self.spectra[:, self.zero.first :].sum(1)

    @cached_property
    def clipped(self) -> Bools:
        """(pixel,) whether the peak was cut off: many pixels have one highest value."""
        top = self.spectra.max(1)
        equal = (top == top.max()) & self.seen
        many = equal.sum() > max(AT_LEAST, EQUAL * self.seen.sum())
        same = np.ptp(self.spectra[self.seen], axis=0).max() == 0  # a simulation without noise
        return equal if many and not same else np.zeros_like(self.seen)

    @cached_property
    def gain(self) -> float:
        """Variance over mean of the counts: what one electron counts, by noise between pixels."""
        X = self.spectra[self.seen]
        X = X[:, self.mean > 0]
        if min(X.shape) <= 2 * TAKEN_OFF or (X < 0).all():
            return 1.0
        rows, columns = X.sum(1) / X.sum(), np.maximum(X.sum(0), 0)
        expected = rows[:, None] * columns
        scaled = X / np.sqrt(np.maximum(expected, expected.max() * 1e-12))
        squares = np.linalg.eigvalsh(scaled.T @ scaled)[: -TAKEN_OFF or None]
        left = (X.shape[0] - TAKEN_OFF) * (X.shape[1] - TAKEN_OFF)
        return float(max(squares.sum() / left, LEAST * X.max()))

    @cached_property
    def beyond(self) -> Array:
        """(pixel,) counts that lost more than the axis shows, if a power law goes on there.

        It is fitted to the last quarter of the mean spectrum; a pixel has as much as its own last
        quarter over that of the mean.
        """
        loss = self.energies + self.step / 2 - self.zero.centre
        tail = loss > TAIL * loss[-1]
        far = loss >= (1 + TAIL) / 2 * loss[-1]
        near = tail & ~far
        if (
            loss[-1] <= 0
            or not near.any()
            or min(self.mean[near].mean(), self.mean[far].mean()) <= 0
        ):
            return np.zeros(len(self.spectra))
        places = loss[near].mean(), loss[far].mean()
        heights = self.mean[near].mean(), self.mean[far].mean()
        power = np.log(heights[0] / heights[1]) / np.log(places[1] / places[0])
        at_end = heights[1] * (places[1] / loss[-1]) ** power
        rest = at_end * loss[-1] / self.step / max(power - 1, SLOWEST)
        return rest * np.maximum(self.spectra[:, tail].sum(1), 0) / self.mean[tail].sum()

    @cached_property
    def falls(self) -> bool:
        """Whether the losses fall at the end of the axis as a tail does, so that `beyond` tells."""
        loss = self.energies + self.step / 2 - self.zero.centre
        if loss[-1] <= 0:
            return False
        middle = (1 + TAIL) / 2 * loss[-1]
        near, far = self.mean[(loss > TAIL * loss[-1]) & (loss <= middle)], self.mean[loss > middle]
        if not near.size or not far.size or far.mean() <= 0:
            return True
        steep = (1 + 3 * TAIL) / (3 + TAIL)  # places of the two halves
        return bool(near.mean() / far.mean() >= steep**-SLOWEST_FALL)

    def say_where_it_ends(self, call: str) -> None:
        """A caution where the axis ends before the losses fall."""
        if not self.falls:
            warnings.warn(
                f"`{call}`: {self.low.name!r} ends at {self.energies[-1]:g} eV, where the losses "
                "do not yet fall as a tail does: how many electrons lost more cannot be told, and "
                "t/λ and edges far behind an onset are not to be trusted: record more of it.",
                ClaimWarning,
                stacklevel=users_line(),
            )

    @property
    def share_beyond(self) -> float:
        """Of all electrons, how many are taken to have lost more than the axis shows."""
        rest = self.beyond[self.seen].mean()
        return float(rest / (self.mean[self.zero.first :].sum() + rest))

    def _given(self, call: str, window: tuple[float, float]) -> ZeroLoss:
        low, high = _pair(call, window)
        inside = np.flatnonzero((self.energies >= low) & (self.energies <= high))
        if not inside.size:
            raise ValueError(
                f"`{call}`: no channel of {self.low.name!r} from {low:g} to {high:g} eV: it runs "
                f"from {self.energies[0]:g} to {self.energies[-1]:g} eV."
            )
        near = np.flatnonzero(np.abs(self.energies) <= NEAR)
        peak = float(self.energies[near[self.mean[near].argmax()]]) if near.size else np.nan
        if near.size and not low <= peak <= high <= peak + 2 * VALLEY:
            raise ValueError(
                f"`{call}`: zero_loss=({low:g}, {high:g}): the peak of {self.low.name!r} is at "
                f"{peak:g} eV: give where it begins, and where it ends in the valley before the "
                "first plasmon."
            )
        return self._at(int(inside[0]), int(inside[-1]) + 1)

    def _found(self, call: str) -> ZeroLoss:
        near = np.flatnonzero(np.abs(self.energies) <= NEAR)
        peak = int(near[self.mean[near].argmax()]) if near.size else -1
        inside = 0 < peak < len(self.mean) - 1
        if not inside or self.mean[peak] <= max(self.mean[peak - 1], self.mean[peak + 1]):
            raise ValueError(
                f"`{call}`: no peak within {NEAR:g} eV of 0 in {self.low.name!r}, which runs from "
                f"{self.energies[0]:g} to {self.energies[-1]:g} eV: the low loss has to hold the "
                "zero loss, all of its peak: correct the calibration, `align`, or give where it is."
            )
        reach = max(2, round(VALLEY / self.step))
        valley = self.mean[peak + 1 : peak + 1 + reach]
        stop = peak + 1 + int(valley.argmin())
        first = max(0, 2 * peak - stop + 1)
        if first == 0 and self.mean[0] > 0.05 * self.mean[peak]:
            raise ValueError(
                f"`{call}`: {self.low.name!r} begins at {self.energies[0]:g} eV, within the "
                "zero-loss peak: what is missing of it cannot be known."
            )
        return self._at(first, stop)

    def _at(self, first: int, stop: int) -> ZeroLoss:
        counts = np.maximum(self.mean[first:stop], 0)
        centre = float((counts * self.energies[first:stop]).sum() / max(counts.sum(), 1e-300))
        half = self.step / 2
        return ZeroLoss(
            first, stop, centre, self.energies[first] - half, self.energies[stop - 1] + half
        )


def _pair(call: str, window: object) -> tuple[float, float]:
    """The ends of a window, lower first."""
    try:
        low, high = (float(end) for end in window)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not low < high:
        raise ValueError(
            f"`{call}`: zero_loss={window!r}: give (from, to) in eV, the lower end first: (-3, 4)."
        )
    return low, high

"""Where the zero-loss peak of every pixel lies, and how wide it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.calls import checked_call, in_call
from fusion.algebra.cubic import cubic
from fusion.algebra.display import Display, Facts, Shown
from fusion.data.dataset import Dataset
from fusion.prepare.zero_loss import LowLoss

Array = NDArray[np.float64]

STEPS = 12
"""Gauss–Newton steps of every pixel at most."""
STILL = 1e-4
"""Of a channel and of the width: the last step of all pixels."""
NARROWEST, WIDEST = 0.3, 3.0
"""Times the mean width, between which the width of a pixel is looked for."""
ROUNDS = 3
"""Times that the mean peak is made again at most."""
ALIKE = 0.05
"""Of a channel and of the width: differences that do not blur the mean peak."""
FINE = 20
"""Points a channel at which the mean peak is looked up."""


@dataclass(frozen=True, eq=False, repr=False)
class ZeroLossPeak(Shown):
    """The zero-loss peak of every pixel; NaN where nothing was counted.

    Attributes:
        position: eV on the axis of the data, of the shape of the scan; position_errors: standard
            deviations.
        width: full width at half maximum, eV; width_errors: likewise.
    """

    position: Array
    position_errors: Array
    width: Array
    width_errors: Array

    def _display(self) -> Display:
        told = []
        for name, values, errors in (
            ("position", self.position, self.position_errors),
            ("width (FWHM)", self.width, self.width_errors),
        ):
            low, middle, high = np.nanquantile(values, [0.05, 0.5, 0.95])
            error = np.nanmedian(errors)
            told.append(
                (name, f"{middle:.3g} eV, in 90 % {low:.3g} to {high:.3g} eV, each ± {error:.2g}")
            )
        return Display("zero-loss peak", (Facts(told),))


@checked_call
def zero_loss_peak(low: Dataset, *, zero_loss: tuple[float, float] | None = None) -> ZeroLossPeak:
    """Position and width of the zero-loss peak of every pixel, to parts of a channel.

    The mean peak, displaced, stretched and scaled, is fitted to the counts of every pixel. `align`
    takes the drift off the data; this says what there is.

    Args:
        low: low-loss spectra with the zero loss, without background of the detector.
        zero_loss: from where to where the peak goes, in eV; None: it is looked for.

    Returns:
        Positions and widths of the shape of the scan, with errors by the noise of counts, whose
        variance over mean is measured between pixels. The drift must be smaller than the peak is
        wide: `low.align(energy_loss=(-5, 5))` first, else.

    Raises:
        ValueError: if the spectra have no zero-loss peak, or begin within it, or it has fewer than
            five channels.

    Example:
        >>> energy = fu.Axis("energy loss", scale=0.25, offset=-5, units="eV")
        >>> x = -5 + 0.25 * np.arange(200)
        >>> peaks = [np.exp(-0.5 * ((x - at) / 0.6) ** 2) for at in (-0.1, 0.1)]
        >>> low = fu.Dataset("low", 1e4 * np.array(peaks), axes=["x", energy])
        >>> np.abs(fu.zero_loss_peak(low).position - [-0.1, 0.1]).max() < 1e-3
        np.True_
    """
    call = f"zero_loss_peak({in_call(low)})"
    spectra = LowLoss(call, low, zero_loss)
    part = slice(spectra.zero.first, spectra.zero.stop)
    x, counts = spectra.energies[part], spectra.spectra[:, part]
    if len(x) < 5:
        raise ValueError(
            f"`{call}`: the zero-loss peak of {low.name!r} has {len(x)} channels of "
            f"{spectra.step:g} eV: its width cannot be told from so few."
        )
    seen = spectra.seen & (spectra.elastic > 0)
    place, width, errors = _fitted(x, counts[seen], spectra.step, spectra.gain)
    shape = low.shape[:-1]
    made = []
    for values in (place, errors[:, 0], width, errors[:, 1]):
        full = np.full(len(seen), np.nan)
        full[seen] = values
        made.append(full.reshape(shape))
    return ZeroLossPeak(*made)


def _fitted(x: Array, counts: Array, step: float, gain: float) -> tuple[Array, Array, Array]:
    """(position, width, (pixel, 2) their errors), eV, of every spectrum.

    The mean peak is made again of peaks that are brought to one place and one width.
    """
    mean = counts.mean(0)
    place, width, errors = _by_peak(x, counts, mean, step, gain)
    for _ in range(ROUNDS):
        centre, typical = np.median(place), np.median(width)
        at = place[:, None] + (x - centre) * (width / typical)[:, None]
        place, width, errors = _by_peak(
            x, counts, _aligned_mean(counts, (at - x[0]) / step), step, gain
        )
        if max(np.ptp(place - centre) / step, np.ptp(width) / typical) < ALIKE:
            break
    return place, width, errors


def _by_peak(
    x: Array, counts: Array, mean: Array, step: float, gain: float
) -> tuple[Array, Array, Array]:
    """The same by one mean peak P.

    y ≈ a P((x − s) / w) by Gauss–Newton steps on (a, s, w), with the weights of a P.
    """
    from scipy.interpolate import CubicSpline

    centre, fwhm = _top_and_width(x, mean)
    profile = CubicSpline(x - centre, mean)
    slope = profile.derivative()
    a = counts.sum(1) / mean.sum()
    s, w = np.zeros(len(counts)), np.ones(len(counts))
    inverse = np.zeros((len(counts), 3, 3))
    for _ in range(STEPS):
        u = (x - centre - s[:, None]) / w[:, None]
        inside = (u >= x[0] - centre) & (u <= x[-1] - centre)
        held = u.clip(x[0] - centre, x[-1] - centre)
        P, dP = np.maximum(profile(held), 0), np.where(inside, slope(held), 0.0)
        by_place = -a[:, None] * dP / w[:, None]
        J = np.stack([P, by_place, u * by_place], 2)
        variance = np.maximum(a[:, None] * P, 1e-3 * mean.max() * a[:, None] + 1e-300)
        weighted = J / variance[:, :, None]
        inverse = np.linalg.inv(weighted.transpose(0, 2, 1) @ J)
        moved = (inverse @ (weighted.transpose(0, 2, 1) @ (counts - a[:, None] * P)[:, :, None]))[
            :, :, 0
        ]
        a = np.maximum(a + moved[:, 0], 0.1 * a)
        s = s + moved[:, 1].clip(-fwhm / 2, fwhm / 2)
        w = (w + moved[:, 2]).clip(np.maximum(w / 1.5, NARROWEST), np.minimum(1.5 * w, WIDEST))
        if max(np.abs(moved[:, 1]).max() / step, np.abs(moved[:, 2]).max()) < STILL:
            break
    errors = np.sqrt(gain * np.stack([inverse[:, 1, 1], inverse[:, 2, 2] * fwhm**2], 1))
    return centre + s, fwhm * w, errors


def _aligned_mean(counts: Array, places: Array) -> Array:
    """The mean of spectra read at these channels, (pixel, channel), by cubics."""
    n, whole = counts.shape[1], np.floor(places).astype(int)
    t, rows = places - whole, np.arange(len(counts))[:, None]
    total = np.zeros(n)
    for step in (-1, 0, 1, 2):
        weight = cubic(torch.from_numpy(t - step)).numpy()
        total += (weight * counts[rows, (whole + step).clip(0, n - 1)]).sum(0)
    return np.maximum(total / len(counts), 1e-6 * counts.mean(0).max())


def _top_and_width(x: Array, mean: Array) -> tuple[float, float]:
    """Centre between the flanks at half maximum, and their distance, of the mean peak."""
    from scipy.interpolate import CubicSpline

    fine = np.linspace(x[0], x[-1], FINE * len(x))
    y = CubicSpline(x, mean)(fine)
    above = np.flatnonzero(y >= y.max() / 2)
    left, right = fine[above[0]], fine[above[-1]]
    return float(left + right) / 2, float(right - left)

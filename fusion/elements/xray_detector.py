"""A detector of X-rays: how it shows lines, and what spectra tell of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.data.dataset import Dataset
from fusion.xrays.table import KEV, Line, lines

Array = NDArray[np.float64]

MN_KA = 5.9
"""keV of the line by which the resolution of a detector is given."""
LIMITS = ((0.11, 0.25), (0.02, 0.09), (-0.02, 0.02), (0.995, 1.005))
"""Of a detector's width, noise, offset and gain: between which they are looked for."""
APART = 8.0
"""Widths of a line between the knots of a background."""
LEAST = 0.02
"""Weight of a shell's lines on an axis below which it is left out."""
TAIL = 2.0
"""Standard deviations by which a line beyond the end of an axis still reaches onto it."""


@dataclass(frozen=True)
class Detector:
    """How an energy-dispersive detector shows a line: as a Gaussian, here, of this width.

    Attributes:
        width: full width at half maximum at Mn Ka, keV; its square grows with the energy.
        noise: full width at 0 keV, from the electronics, keV.
        offset: keV; gain: a line of energy E lies at offset + gain·E on the axis.
    """

    width: float = 0.13
    noise: float = 0.045
    offset: float = 0.0
    gain: float = 1.0

    def fwhm(self, energy: Any) -> Any:
        """Full width of a line of this energy, keV."""
        grown = self.width**2 - self.noise**2
        return np.sqrt(self.noise**2 + grown * np.maximum(energy, 0.0) / MN_KA)

    def profile(self, axis: Axis, line: Line) -> Array:
        """The line over the channels of an axis, its sum 1 if none of it lies outside."""
        from scipy.special import ndtr

        x = axis.values * KEV[axis.units]
        half = np.abs(np.gradient(x)) / 2
        total = np.zeros_like(x)
        for energy, share in line.parts:
            sigma = float(self.fwhm(energy)) / 2.3548
            at = x - self.offset - self.gain * energy
            total += share * (ndtr((at + half) / sigma) - ndtr((at - half) / sigma))
        return total

    def __str__(self) -> str:
        return (
            f"detector, as the spectra show it: width {1e3 * self.width:.0f} eV at Mn Ka, "
            f"{1e3 * self.noise:.0f} eV at 0 keV, offset {1e3 * self.offset:+.1f} eV, gain "
            f"{self.gain:.4f}"
        )


USUAL = Detector()
"""130 eV at Mn Ka."""


def shell_spectra(axis: Axis, elements: Sequence[str], detector: Detector) -> dict[str, Array]:
    """{"Fe K": (channel,)}: the lines of a shell together, 1 in its strongest one."""
    spectra: dict[str, Array] = {}
    weights: dict[str, float] = {}
    for line in lines(elements, reach(axis)):
        name = f"{line.element} {line.shell}"
        spectra[name] = spectra.get(name, 0.0) + line.weight * detector.profile(axis, line)
        weights[name] = weights.get(name, 0.0) + line.weight * share_on(axis, line)
    return {name: s for name, s in spectra.items() if weights[name] >= LEAST}


def reach(axis: Axis) -> tuple[float, float]:
    """(low, high) in keV between which a line has a tail on the axis."""
    x = axis.values * KEV[axis.units]
    low, high = float(x.min()), float(x.max())
    sigmas = [float(USUAL.fwhm(at)) / 2.3548 for at in (low, high)]
    return low - TAIL * sigmas[0], high + TAIL * sigmas[1]


def share_on(axis: Axis, line: Line) -> float:
    """Which share of a line lies on the axis."""
    return float(USUAL.profile(axis, line).sum())


def linear_background(axis: Axis) -> dict[str, Array]:
    """A background: straight from knot to knot, {name: (channel,)}; of hats, 1 at one knot each."""
    x = axis.values * KEV[axis.units]
    at = [float(x.min())]
    while at[-1] < x.max():
        at.append(at[-1] + APART * float(Detector().fwhm(at[-1])))
    if len(at) > 2 and x.max() - at[-2] < (at[-2] - at[-3]) / 2:
        del at[-2]
    at[-1] = float(x.max())
    hats = np.eye(len(at))
    return {f"background {i + 1}": np.interp(x, at, hat) for i, hat in enumerate(hats)}


def values_and_variances(spectra: Dataset) -> tuple[Array, Array]:
    """(values, variances), (n, channel); counts have themselves as variance, others may be NaN."""
    x = spectra.matrix.cpu().double().numpy()
    if spectra.variance is not None:
        variance = spectra.variance.expand(spectra.shape).reshape(x.shape).cpu().double().numpy()
    else:
        variance = np.maximum(x, 0.0) if is_counts(x) else np.full_like(x, np.nan)
    return x, variance


def is_counts(x: Array) -> bool:
    """Whether these are counts."""
    return bool((x >= 0).all() and (x == np.round(x)).all() and x.max(initial=0.0) > 1)


def fit_detector(
    spectra: Dataset, elements: Sequence[str], background: Mapping[str, Array]
) -> Detector:
    """The detector with which the sum of all spectra is met best, weighed as counts are."""
    from scipy.optimize import minimize, nnls

    axis, start = spectra.axes[-1], Detector()
    total = np.maximum(np.nan_to_num(values_and_variances(spectra)[0]).sum(0), 0)
    weight = 1 / np.sqrt(np.maximum(total, 1e-3 * total.max()))
    back = list(background.values())
    scale = np.array([0.01, 0.01, 0.004, 0.001])  # of steps, about what an axis is off
    x0 = np.array([start.width, start.noise, start.offset, start.gain])

    def misfit(steps: Array) -> float:
        S = [*shell_spectra(axis, elements, Detector(*(x0 + scale * steps))).values(), *back]
        return float(nnls(np.stack(S, 1) * weight[:, None], total * weight)[1])

    low, high = ((np.array(ends) - x0) / scale for ends in zip(*LIMITS, strict=True))
    options = {"xatol": 0.02, "fatol": 1e-5 * misfit(np.zeros(4)), "maxfev": 250}
    best = minimize(
        misfit,
        np.zeros(4),
        method="Nelder-Mead",
        bounds=list(zip(low, high, strict=True)),
        options=options,
    )
    return Detector(*(float(v) for v in x0 + scale * best.x))

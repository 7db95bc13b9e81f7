"""How much of every X-ray line a spectrum holds: by a fit of lines on a background, or windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.axis import Axis
from fusion.dataset import Dataset
from fusion.elements.table import KEV, Line, lines

Array = NDArray[np.float64]

MN_KA = 5.9
"""keV of the line by which the resolution of a detector is given."""
LIMITS = ((0.11, 0.25), (0.02, 0.09), (-0.02, 0.02), (0.995, 1.005))
"""Of a detector's width, noise, offset and gain: between which they are looked for."""
APART = 8.0
"""Widths of a line between the knots of a background."""
SEEN = 0.03
"""Share of another line in the windows of one from which on it is said."""
LEAST = 0.02
"""Weight of a shell's lines on an axis below which it is left out."""


@dataclass(frozen=True)
class Detector:
    """How an energy-dispersive detector shows a line: as a Gaussian, here, of this width.

    Attributes:
        width: full width at half maximum at Mn Ka, keV; its square grows with the energy.
        noise: full width at no energy, from the electronics, keV.
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
            f"{1e3 * self.noise:.0f} eV at no energy, offset {1e3 * self.offset:+.1f} eV, gain "
            f"{self.gain:.4f}"
        )


@dataclass(frozen=True, eq=False)
class Intensities:
    """Intensities of lines, background aside.

    Attributes:
        lines: names, one a column.
        values: (n, line) of n spectra, in the unit of the spectra, summed over channels.
        rows: (n, line, channel) what every channel adds to them.
        covariance: (n, line, line), of noise that is independent from channel to channel; NaN
            where it is not known.
        messages: what else a user should know.
    """

    lines: tuple[str, ...]
    values: Array
    rows: Array
    covariance: Array
    messages: tuple[str, ...] = ()

    @property
    def errors(self) -> Array:
        """Standard errors, (n, line)."""
        return np.sqrt(self.covariance.diagonal(axis1=1, axis2=2))


class Measure(ABC):
    """A way to read intensities off spectra."""

    @abstractmethod
    def __call__(
        self, spectra: Dataset, wanted: Sequence[str], others: Sequence[str]
    ) -> Intensities:
        """Intensities of the wanted lines.

        Args:
            spectra: (n, channel), axis in keV or eV; their variance, if it is known.
            wanted: names of lines, "Fe Ka".
            others: elements that are in the spectra, too.
        """


@dataclass(frozen=True)
class Fitted(Measure):
    """By non-negative least squares: Gaussian lines of every shell in fixed ratio, on a background.

    Counts are fitted by their likelihood. The lines of one shell of one element are one spectrum,
    so that those of another that overlap a part of them are told apart.

    Args:
        detector: widths and places of the lines; default: that with which the sum of the spectra
            is met best.
        background: {name: (channel,) spectrum ≥ 0}, of which any mixture is the background;
            default: piecewise linear, knots eight widths of a line apart.
    """

    detector: Detector | None = None
    background: Mapping[str, Any] | None = None

    def __call__(
        self, spectra: Dataset, wanted: Sequence[str], others: Sequence[str]
    ) -> Intensities:
        axis = spectra.axes[-1]
        told = _wanted(axis, wanted)
        elements = [*dict.fromkeys([line.element for line in told]), *others]
        back = dict(knots(axis) if self.background is None else self.background)
        detector = self.detector or _detector(spectra, elements, back)
        said = () if self.detector else (str(detector),)
        return _fit(spectra, shells(axis, elements, detector) | back, told, said)


@dataclass(frozen=True)
class Windows(Measure):
    """By windows: the sum over a line, less a straight line between windows at its sides.

    For lines that stand alone. The share of the line that lies outside its window, or under the
    background's, is put back.

    Args:
        detector: widths and places of the lines.
        width: of the window, in full widths of the line.
        sides: {line: ((low, high), (low, high))} in keV, where the windows of the background
            are to lie; default: half a width wide, a width beside the window.
    """

    detector: Detector = Detector()
    width: float = 2.0
    sides: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = field(
        default_factory=dict
    )

    def __call__(
        self, spectra: Dataset, wanted: Sequence[str], others: Sequence[str]
    ) -> Intensities:
        axis = spectra.axes[-1]
        told = _wanted(axis, wanted)
        rows = np.stack([self._row(axis, line) for line in told])
        x, variance = _numbers(spectra)
        every = np.broadcast_to(rows, (len(x), *rows.shape))
        said = tuple(text for line in told for text in self._alone(axis, line, wanted, others))
        return Intensities(tuple(wanted), x @ rows.T, every, _spread(every, variance), said)

    def _alone(
        self, axis: Axis, line: Line, wanted: Sequence[str], others: Sequence[str]
    ) -> Iterator[str]:
        """Which other lines lie in the windows of one."""
        elements = [*(name.partition(" ")[0] for name in wanted), *others]
        for other in lines(elements, axis, least=0.02):
            if other.name != line.name:
                seen = abs(float(self._row(axis, line) @ self.detector.profile(axis, other)))
                if seen > SEEN:
                    yield (
                        f"{other.name} lies in the windows of {line.name}, which count "
                        f"{100 * seen:.0f} % of it: give other `sides`, or measure by `Fitted()`"
                    )

    def _row(self, axis: Axis, line: Line) -> Array:
        """What every channel adds to the net intensity."""
        energy = axis.values * KEV[axis.units]
        wide = float(self.detector.fwhm(line.energy))
        half = self.width / 2 * wide
        near, far = half + wide, half + 1.5 * wide
        e = self.detector.offset + self.detector.gain * line.energy
        low, high = self.sides.get(line.name, ((e - far, e - near), (e + near, e + far)))
        inside = np.abs(energy - e) <= half
        parts = [(energy >= a) & (energy <= b) for a, b in (low, high)]
        for where, (a, b) in zip((inside, *parts), ((e - half, e + half), low, high), strict=True):
            if not where.any():
                raise ValueError(
                    f"`Windows`: {line.name}: no channel lies from {a:.3f} to {b:.3f} keV, the "
                    f"axis goes from {energy.min():.3f} to {energy.max():.3f}: give its `sides`, "
                    "or crop less."
                )
        middle = [float(energy[part].mean()) for part in parts]
        share = (float(energy[inside].mean()) - middle[0]) / (middle[1] - middle[0])
        row = inside.astype(float)
        for part, weight in zip(parts, (1 - share, share), strict=True):
            row -= inside.sum() * weight * part / part.sum()
        return row / float(row @ self.detector.profile(axis, line))


def shells(axis: Axis, elements: Sequence[str], detector: Detector) -> dict[str, Array]:
    """{"Fe K": (channel,)}: the lines of a shell together, 1 in its strongest one."""
    made: dict[str, Array] = {}
    weights: dict[str, float] = {}
    for line in lines(elements, axis):
        name = f"{line.element} {line.shell}"
        made[name] = made.get(name, 0.0) + line.weight * detector.profile(axis, line)
        weights[name] = weights.get(name, 0.0) + line.weight
    return {name: s for name, s in made.items() if weights[name] >= LEAST}


def knots(axis: Axis) -> dict[str, Array]:
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


def _wanted(axis: Axis, names: Sequence[str]) -> list[Line]:
    """The lines of these names.

    Raises:
        ValueError: if one is no line, or not on the axis.
    """
    made = []
    for name in names:
        found = [line for line in lines(name) if line.name == name]
        if not found:
            there = ", ".join(line.name for line in lines(name.partition(" ")[0], axis))
            raise ValueError(f"`{name}`: is no line; there are {there} on this axis.")
        x = axis.values * KEV[axis.units]
        if not x.min() <= found[0].energy <= x.max():
            raise ValueError(
                f"`{name}`: lies at {found[0].energy:.3f} keV, the axis goes from {x.min():.3f} "
                f"to {x.max():.3f} keV: take another line of it."
            )
        made += found
    return made


def _numbers(spectra: Dataset) -> tuple[Array, Array]:
    """(values, variances), (n, channel); counts have themselves as variance, others may be NaN."""
    x = spectra.matrix.cpu().double().numpy()
    if spectra.variance is not None:
        variance = spectra.variance.expand(spectra.shape).reshape(x.shape).cpu().double().numpy()
    else:
        variance = np.maximum(x, 0.0) if _counts(x) else np.full_like(x, np.nan)
    return x, variance


def _counts(x: Array) -> bool:
    return bool((x >= 0).all() and (x == np.round(x)).all() and x.max(initial=0.0) > 1)


def _detector(
    spectra: Dataset, elements: Sequence[str], background: Mapping[str, Array]
) -> Detector:
    """The detector with which the sum of all spectra is met best, weighed as counts are."""
    from scipy.optimize import minimize, nnls

    axis, start = spectra.axes[-1], Detector()
    total = np.maximum(np.nan_to_num(_numbers(spectra)[0]).sum(0), 0)
    weight = 1 / np.sqrt(np.maximum(total, 1e-3 * total.max()))
    back = list(background.values())
    scale = np.array([0.01, 0.01, 0.004, 0.001])  # of steps, about what an axis is off
    x0 = np.array([start.width, start.noise, start.offset, start.gain])

    def misfit(steps: Array) -> float:
        S = [*shells(axis, elements, Detector(*(x0 + scale * steps))).values(), *back]
        return float(nnls(np.stack(S, 1) * weight[:, None], total * weight)[1])

    low, high = ((np.array(ends) - x0) / scale for ends in zip(*LIMITS, strict=True))
    options = {"xatol": 0.02, "fatol": 1e-5 * misfit(np.zeros(4)), "maxfev": 250}
    found = minimize(
        misfit,
        np.zeros(4),
        method="Nelder-Mead",
        bounds=list(zip(low, high, strict=True)),
        options=options,
    )
    return Detector(*(float(v) for v in x0 + scale * found.x))


def _fit(
    spectra: Dataset, references: Mapping[str, Array], told: Sequence[Line], said: tuple[str, ...]
) -> Intensities:
    """Amounts of the references by `fusion.mlls`, as intensities of the lines told."""
    from fusion.losses import Poisson
    from fusion.mlls import mlls

    x, variance = _numbers(spectra)
    counted = spectra.variance is None and _counts(x)
    fit = mlls(Poisson(spectra) if counted else spectra, references)
    at = [fit.names.index(f"{line.element} {line.shell}") for line in told]
    scale = np.array([line.weight for line in told])
    rows = []
    for i in range(len(x)):
        free, m = ~fit.at_zero[i], fit.spectra @ fit.maps[i]
        if counted:
            variance[i] = np.maximum(m, 1e-6 * m.max())
        elif spectra.variance is None:
            variance[i] = np.square(x[i] - m).sum() / max(len(m) - int(free.sum()), 1)
        rows.append([_row(fit.spectra, 1 / variance[i], free, j) for j in at])
    every = np.array(rows) * scale[:, None]
    kept = tuple(m for m in fit.messages if "background" not in m)
    return Intensities(
        tuple(line.name for line in told),
        fit.maps[:, at] * scale,
        every,
        _spread(every, variance),
        said + kept,
    )


def _row(S: Array, w: Array, free: NDArray[np.bool_], j: int) -> Array:
    """What every channel adds to amount j beside the free ones, as if it were free itself."""
    some = np.flatnonzero(free | (np.arange(len(free)) == j))
    weighted = S[:, some].T * w
    return np.linalg.solve(weighted @ S[:, some], weighted)[some.tolist().index(j)]


def _spread(rows: Array, variance: Array) -> Array:
    """Covariance of rows · x, (n, line, line), x independent from channel to channel."""
    return np.einsum("nae,ne,nbe->nab", rows, variance, rows)

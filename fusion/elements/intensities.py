"""How much of every X-ray line a spectrum holds: by a fit of lines on a background, or windows."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.cautions import CutWarning, users_line
from fusion.algebra.display import Display, Notes, Shown, Table
from fusion.data.dataset import Dataset
from fusion.elements.xray_detector import (
    USUAL,
    Detector,
    fit_detector,
    is_counts,
    linear_background,
    reach,
    share_on,
    shell_spectra,
    values_and_variances,
)
from fusion.xrays.table import KEV, Line, lines

Array = NDArray[np.float64]

SEEN = 0.03
"""Share of another line in the windows of one from which on it is said."""


@dataclass(frozen=True, eq=False, repr=False)
class Intensities(Shown):
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

    def _display(self) -> Display:
        pairs = np.stack([self.values, self.errors], -1)
        rows = [
            (str(i + 1), *(f"{v:.4g} ± {e:.2g}" if np.isfinite(e) else f"{v:.4g}" for v, e in row))
            for i, row in enumerate(pairs)
        ]
        title = f"intensities of {', '.join(self.lines)}"
        return Display(title, (Table(("spectrum", *self.lines), rows), Notes(self.messages)))

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
        targets = _lines_of(axis, wanted, reach(axis))
        elements = [*dict.fromkeys([line.element for line in targets]), *others]
        back = dict(linear_background(axis) if self.background is None else self.background)
        detector = self.detector or fit_detector(spectra, elements, back)
        notes = () if self.detector else (str(detector),)
        notes += tuple(_tails(axis, targets))
        return _fit_lines(spectra, shell_spectra(axis, elements, detector) | back, targets, notes)


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

    detector: Detector = USUAL
    width: float = 2.0
    sides: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = field(
        default_factory=dict
    )

    def __call__(
        self, spectra: Dataset, wanted: Sequence[str], others: Sequence[str]
    ) -> Intensities:
        axis = spectra.axes[-1]
        targets = _lines_of(axis, wanted, _ends(axis))
        rows = np.stack([self._net_row(axis, line) for line in targets])
        x, variance = values_and_variances(spectra)
        every = np.broadcast_to(rows, (len(x), *rows.shape))
        notes = tuple(
            text for line in targets for text in self._overlaps(axis, line, wanted, others)
        )
        return Intensities(tuple(wanted), x @ rows.T, every, _covariance(every, variance), notes)

    def _overlaps(
        self, axis: Axis, line: Line, wanted: Sequence[str], others: Sequence[str]
    ) -> Iterator[str]:
        """Which other lines lie in the windows of one."""
        elements = [*(name.partition(" ")[0] for name in wanted), *others]
        for other in lines(elements, axis, least=0.02):
            if other.name != line.name:
                seen = abs(float(self._net_row(axis, line) @ self.detector.profile(axis, other)))
                if seen > SEEN:
                    yield (
                        f"{other.name} lies in the windows of {line.name}, which count "
                        f"{100 * seen:.0f} % of it: give other `sides`, or measure by `Fitted()`"
                    )

    def _net_row(self, axis: Axis, line: Line) -> Array:
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


def _ends(axis: Axis) -> tuple[float, float]:
    """Lowest and highest energy of an axis, keV."""
    x = axis.values * KEV[axis.units]
    return float(x.min()), float(x.max())


def _tails(axis: Axis, wanted: Sequence[Line]) -> Iterator[str]:
    """A caution for every line that lies beyond the end of the axis."""
    low, high = _ends(axis)
    for line in wanted:
        if not low <= line.energy <= high:
            text = (
                f"{line.name}: lies at {line.energy:.3f} keV, the axis goes from {low:.3f} to "
                f"{high:.3f} keV: its intensity rests on the {100 * share_on(axis, line):.0f} % of "
                "it that lie there, and on the width of the line"
            )
            warnings.warn(f"`composition`: {text}.", CutWarning, stacklevel=users_line())
            yield text


def _lines_of(axis: Axis, names: Sequence[str], within: tuple[float, float]) -> list[Line]:
    """The lines of these names.

    Raises:
        ValueError: if one is no line, or not within these energies.
    """
    chosen = []
    for name in names:
        same = [line for line in lines(name) if line.name == name]
        if not same:
            there = ", ".join(line.name for line in lines(name.partition(" ")[0], axis))
            raise ValueError(f"`{name}`: is no line; there are {there} on this axis.")
        if not within[0] <= same[0].energy <= within[1]:
            low, high = _ends(axis)
            raise ValueError(
                f"`{name}`: lies at {same[0].energy:.3f} keV, the axis goes from {low:.3f} "
                f"to {high:.3f} keV: take another line of it."
            )
        chosen += same
    return chosen


def _fit_lines(
    spectra: Dataset,
    references: Mapping[str, Array],
    wanted: Sequence[Line],
    notes: tuple[str, ...],
) -> Intensities:
    """Amounts of the references by `fusion.mlls`, as intensities of the lines told."""
    from fusion.losses import Poisson
    from fusion.references.mlls import mlls

    x, variance = values_and_variances(spectra)
    counted = spectra.variance is None and is_counts(x)
    fit = mlls(Poisson(spectra) if counted else spectra, references)
    at = [fit.names.index(f"{line.element} {line.shell}") for line in wanted]
    scale = np.array([line.weight for line in wanted])
    rows = []
    for i in range(len(x)):
        free, m = ~fit.at_zero[i], fit.spectra @ fit.maps[i]
        if counted:
            variance[i] = np.maximum(m, 1e-6 * m.max())
        elif spectra.variance is None:
            variance[i] = np.square(x[i] - m).sum() / max(len(m) - int(free.sum()), 1)
        rows.append([_estimator(fit.spectra, 1 / variance[i], free, j) for j in at])
    every = np.array(rows) * scale[:, None]
    kept = tuple(m for m in fit.messages if "background" not in m)
    return Intensities(
        tuple(line.name for line in wanted),
        fit.maps[:, at] * scale,
        every,
        _covariance(every, variance),
        notes + kept,
    )


def _estimator(S: Array, w: Array, free: NDArray[np.bool_], j: int) -> Array:
    """What every channel adds to amount j beside the free ones, as if it were free itself."""
    some = np.flatnonzero(free | (np.arange(len(free)) == j))
    weighted = S[:, some].T * w
    return np.linalg.solve(weighted @ S[:, some], weighted)[some.tolist().index(j)]


def _covariance(rows: Array, variance: Array) -> Array:
    """Covariance of rows · x, (n, line, line), x independent from channel to channel."""
    return np.einsum("nae,ne,nbe->nab", rows, variance, rows)

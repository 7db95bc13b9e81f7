"""How far compositions, a detector and a thickness are from the truth: NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]
QUANTILE = 1.959964


@dataclass(frozen=True)
class Found:
    """What was found, in NumPy; `nan` or empty where the answer has nothing to say.

    Attributes:
        elements: of the columns.
        atomic: (component, element), at.%.
        errors: of the same shape, at.%.
        intervals: (component, element, 2), at.%, of 95 %.
        offset: keV; gain: a line of energy E is found at offset + gain·E on the given axis.
        offset_error: keV, standard; gain_error: the same of the gain.
        mass_thickness: (pixel,), g/cm².
        scale: of all of it; scale_interval: (low, high) of 95 %, in the unit of the scale.
        seconds: by the clock; processor: seconds of the processor.
    """

    elements: tuple[str, ...]
    atomic: Array
    errors: Array
    intervals: Array
    offset: float = np.nan
    gain: float = np.nan
    offset_error: float = np.nan
    gain_error: float = np.nan
    mass_thickness: Array | None = None
    scale: float = np.nan
    scale_interval: tuple[float, float] = (np.nan, np.nan)
    seconds: float = np.nan
    processor: float = np.nan

    def of(self, elements: Sequence[str], rows: Sequence[int]) -> tuple[Array, Array, Array]:
        """`atomic`, `errors` and `intervals` of these components and elements, in their order."""
        missing = [element for element in elements if element not in self.elements]
        if missing:
            raise ValueError(f"no at.% of {', '.join(missing)}: only of {', '.join(self.elements)}")
        columns = [self.elements.index(element) for element in elements]
        part = np.ix_(rows, columns)
        return self.atomic[part], self.errors[part], self.intervals[part]


@dataclass(frozen=True)
class Against:
    """At.% in the order of the truth, beside it.

    Attributes:
        truth: (phase, element), at.%.
        atomic, errors, intervals: what was found, of the same phases and elements.
    """

    truth: Array
    atomic: Array
    errors: Array
    intervals: Array

    @property
    def off(self) -> Array:
        """(phase, element): found less true, at.%."""
        return self.atomic - self.truth

    @property
    def worst(self) -> float:
        """Largest error, at.%; infinite where something found is not a number."""
        return float(np.nan_to_num(np.abs(self.off), nan=np.inf).max())

    @property
    def inside(self) -> Array:
        """(phase, element): whether the interval holds the truth."""
        low, high = np.moveaxis(self.intervals, -1, 0)
        return (low <= self.truth) & (self.truth <= high)


def against(found: Found, elements: Sequence[str], truth: Any) -> Against:
    """Components put in the order of the phases, by the closest compositions.

    Args:
        found: as many components as there are phases.
        elements: of the columns of the truth.
        truth: (phase, element), at.%.

    Raises:
        ValueError: if an element of the truth or a component is missing.
    """
    truth = np.asarray(truth, dtype=float)
    if len(found.atomic) != len(truth):
        raise ValueError(f"{len(found.atomic)} components, for {len(truth)} phases")
    atomic, _, _ = found.of(elements, range(len(truth)))
    apart = np.abs(np.nan_to_num(atomic)[None] - truth[:, None]).sum(-1)
    rows = linear_sum_assignment(apart)[1]
    return Against(truth, *found.of(elements, rows))


def coverage(draws: Sequence[Against]) -> Array:
    """(phase, element): share of draws whose interval holds the truth; `nan` where that is 0."""
    share = np.mean([draw.inside for draw in draws], axis=0)
    return np.where(draws[0].truth > 0, share, np.nan)


def bias(draws: Sequence[Against]) -> Array:
    """(phase, element): mean error over the mean claimed one; `nan` where the truth is 0."""
    off = np.mean([draw.off for draw in draws], axis=0)
    claimed = np.mean([draw.errors for draw in draws], axis=0)
    claimed = np.where(draws[0].truth > 0, claimed, np.nan)
    return off / claimed


def relative_rms(found: Any, truth: Any) -> tuple[float, float, float]:
    """Root mean square of found/true − 1, as it is and after the best one scale; that scale."""
    ratio = np.asarray(found, dtype=float) / np.asarray(truth, dtype=float)
    scale = float(ratio.sum() / (ratio**2).sum())
    rms = [float(np.sqrt(np.mean((s * ratio - 1) ** 2))) for s in (1.0, scale)]
    return rms[0], rms[1], scale


def scale_holds(found: Found, truth: Array, seen: NDArray[np.bool_]) -> bool:
    """Whether the interval of the mass thickness' scale holds that by which the sum is right.

    Args:
        found: its mass thickness goes with its scale.
        truth: (pixel,), g/cm².
        seen: (pixel,), of which pixels.
    """
    if found.mass_thickness is None:
        raise ValueError("no mass thickness")
    wanted = found.scale * truth[seen].sum() / found.mass_thickness[seen].sum()
    low, high = found.scale_interval
    return bool(low <= wanted <= high)


def within_errors(off: float, error: float) -> bool:
    """Whether what it is off lies inside the interval of 95 %; not where there is no error."""
    return bool(abs(off) <= QUANTILE * error)

"""Detectors that looked at one scan together: checked to have the same pixels, changed as one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from fusion.axis import Axis
from fusion.dataset import Dataset
from fusion.signals.incoming import from_hyperspy
from fusion.units import ratio

TOLERANCE = 0.01
"""Of a step that may differ, and of a pixel by which the last may be displaced."""


class Scan(Mapping[str, Dataset]):
    """Data sets that were measured together: `Scan(eels=s, edxs=e, adf=image)`, read like a dict.

    All have the same pixels: number, step, offset and unit along every axis of the scan are
    compared, to a hundredth of a pixel; nm and µm are converted. Where one detector has other
    pixels (binned, shifted, blurred) of the same field of view, keep its data set as it is and let
    the model see it through `fusion.resample`.

    Args:
        signals: HyperSpy signals or data sets, by the names that models and results will have.

    Raises:
        ValueError: saying what differs.

    Warns:
        UserWarning: if an axis is calibrated in some of them only; it is taken for the same.
    """

    def __init__(self, **signals: Any) -> None:
        if not signals:
            raise ValueError("`Scan()`: no signal is given: name one or more, `Scan(eels=s)`.")
        self._sets = {
            name: each.renamed(name)
            if isinstance(each, Dataset)
            else from_hyperspy(each, name=name)
            for name, each in signals.items()
        }
        for (_, first), (_, second) in pairwise(self._sets.items()):
            _compare(first, second)

    def __getitem__(self, name: str) -> Dataset:
        return self._sets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)

    def crop(self, **ranges: Any) -> Scan:
        """A part of the scan, the same of all: as `Dataset.crop`, axes of the scan only."""
        return Scan(**{name: each.crop(**self._of_scan(ranges)) for name, each in self.items()})

    def bin(self, **factors: int) -> Scan:
        """Sums of neighbouring pixels of all: as `Dataset.bin`, axes of the scan only."""
        return Scan(**{name: each.bin(**self._of_scan(factors)) for name, each in self.items()})

    def masked(self, mask: Any) -> Scan:
        """With pixels left out of all: (ny, nx) in the array's order, or a HyperSpy signal."""
        mask = np.asarray(mask.data if hasattr(mask, "axes_manager") else mask)
        pixels = tuple(axis.size for axis in next(iter(self.values())).pixels)
        if mask.shape != pixels:
            raise ValueError(f"`Scan.masked`: a mask of shape {mask.shape} for pixels {pixels}.")
        whole = {name: mask.reshape(*pixels, *(1,) * each.signal) for name, each in self.items()}
        return Scan(**{name: each.masked(whole[name]) for name, each in self.items()})

    def _of_scan(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        known = [axis.name for axis in next(iter(self.values())).pixels]
        for name in given:
            if name not in known:
                raise ValueError(
                    f"`Scan`: no axis {name!r} that all share; they have {', '.join(known)}: "
                    "change the energies of each data set by itself."
                )
        return given

    def __repr__(self) -> str:
        return f"Scan({', '.join(map(repr, self._sets.values()))})"


def _compare(first: Dataset, second: Dataset) -> None:
    """Complain of pixels that are not the same."""
    one, two = first.pixels, second.pixels
    said = []
    if len(one) != len(two):
        said.append(f"{len(one)} axes ({_names(one)}) and {len(two)} ({_names(two)})")
    for a, b in zip(one, two, strict=False):
        said += [f"{a.name}: {text}" for text in _differences(a, b)]
        if not said and _bare(a) != _bare(b):
            bare = first if _bare(a) else second
            warnings.warn(
                f"`Scan`: {a.name} of {bare.name!r} has no calibration: taken for the same as in "
                f"{(second if bare is first else first).name!r}.",
                UserWarning,
                stacklevel=4,
            )
    if said:
        raise ValueError(
            f"`Scan`: {first.name!r} and {second.name!r} do not have the same pixels: "
            f"{'; '.join(said)}: crop or bin them to one field of view, correct the calibration, "
            "or keep them as they are and let the model see one through `fusion.resample`."
        )


def _names(axes: Any) -> str:
    return ", ".join(axis.name for axis in axes) or "none"


def _bare(axis: Axis) -> bool:
    """Whether it is a plain index."""
    return axis.uniform and not axis.units and (axis.scale, axis.offset) == (1, 0)


def _differences(a: Axis, b: Axis) -> list[str]:
    """What differs between two axes of a scan, in words."""
    if a.size != b.size:
        return [f"{a.size} and {b.size} entries" + _steps(a, b)]
    if _bare(a) or _bare(b):
        return []
    by = ratio(a.units, b.units)
    if by is None:
        return [f"in {a.units or 'no unit'} and in {b.units or 'no unit'}"]
    x, y = a.values, b.values * by
    step = float(np.abs(np.diff(x)).mean()) if len(x) > 1 else abs(a.scale)
    other = float(np.abs(np.diff(y)).mean()) if len(y) > 1 else abs(b.scale * by)
    said = []
    if abs(step - other) > TOLERANCE * step:
        said.append(f"steps of {step:g} and {other:g} {a.units}")
    if abs(x[0] - y[0]) > TOLERANCE * step:
        said.append(f"begins at {x[0]:g} and {y[0]:g} {a.units}")
    if not said and np.abs(x - y).max() > TOLERANCE * step:
        said.append(f"positions differ by up to {np.abs(x - y).max():g} {a.units}")
    return said


def _steps(a: Axis, b: Axis) -> str:
    if not (a.uniform and b.uniform):
        return ""
    return f" (steps of {a.scale:g} {a.units} and {b.scale:g} {b.units})"

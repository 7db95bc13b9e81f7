"""Data sets of several detectors on one scan, checked to be so, and prepared together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any

import numpy as np

from fusion.axis import Axes, Axis
from fusion.dataset import Dataset

SAME = 1e-3
"""Share of a step by which scales and offsets may differ and still be one."""


class Scan(Mapping[str, Dataset]):
    """What several detectors saw at the same places: a dictionary of data sets by name.

    All have the same axes of the scan, last among their pixels. A data set may have others before
    them, such as the segments of a detector, `(segment, y, x, energy)`. Crop, bin and mask them
    together; each step makes a new scan:

        scan = fu.Scan(low_loss, core_loss, edxs, adf)
        scan = scan.crop(y=(0, 12)).bin(y=2, x=2).masked(dust)

    Args:
        datasets: with names of their own.

    Raises:
        ValueError: if there is none, two have one name, or they do not share the axes of the scan:
            saying what differs.
    """

    def __init__(self, *datasets: Dataset) -> None:
        call = f"Scan({', '.join(map(str, datasets))})"
        for data in datasets:
            if not isinstance(data, Dataset):
                raise ValueError(
                    f"`{call}`: {type(data).__name__} is no data set: give `Dataset`s."
                )
        names = [data.name for data in datasets]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"`{call}`: names {names}: give one data set or more, each with a name of its own "
                "(`data.renamed('…')`)."
            )
        self._datasets = dict(zip(names, datasets, strict=True))
        self.axes: Axes = min((data.pixels for data in datasets), key=len)
        """Those of the scan."""
        if not self.axes:
            raise ValueError(f"`{call}`: a data set has no pixels: a scan has one axis or more.")
        owner = next(data for data in datasets if data.pixels == self.axes)
        for data in datasets:
            if said := _differences(self.axes, data.pixels[-len(self.axes) :]):
                raise ValueError(
                    f"`{call}`: {owner.name!r} and {data.name!r} are no one scan: {said}: crop or "
                    "bin one of them, or correct its axes."
                )

    def __getitem__(self, name: str) -> Dataset:
        if name not in self._datasets:
            raise KeyError(f"no data set {name!r}; there are {', '.join(self._datasets)}")
        return self._datasets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along every axis of the scan."""
        return tuple(axis.size or 1 for axis in self.axes)

    def crop(self, **ranges: Any) -> Scan:
        """The same part of all, as `Dataset.crop`: `crop(y=(0, 12), x=slice(0, 32))`.

        Raises:
            ValueError: if an axis is none of the scan, or nothing lies in the range.
        """
        self._check("crop", ranges)
        return Scan(*(data.crop(**ranges) for data in self.values()))

    def bin(self, **factors: int) -> Scan:
        """Sums of neighbours in all, as `Dataset.bin`: `bin(y=2, x=2)`.

        Raises:
            ValueError: if an axis is none of the scan, or a length does not divide.
        """
        self._check("bin", factors)
        return Scan(*(data.bin(**factors) for data in self.values()))

    def masked(self, mask: Any) -> Scan:
        """The same pixels left out of all; True = excluded.

        Args:
            mask: of the shape of the scan.

        Raises:
            ValueError: if it has another shape.
        """
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != self.shape:
            raise ValueError(
                f"`Scan.masked`: a mask of shape {mask.shape}, the scan has {self.shape} "
                f"({', '.join(axis.name for axis in self.axes)}): give one of that shape."
            )
        made = []
        for data in self.values():
            full = np.broadcast_to(mask, tuple(axis.size or 1 for axis in data.pixels))
            made.append(data.masked(full.copy()))
        return Scan(*made)

    def replaced(self, *datasets: Dataset) -> Scan:
        """With these in place of those of the same names; new names are added.

        `scan.replaced(scan["eels"].crop(energy=(500, 560)))`
        """
        return Scan(*(self._datasets | {data.name: data for data in datasets}).values())

    def _check(self, call: str, told: Mapping[str, Any]) -> None:
        """Complain of an axis that is none of the scan."""
        names = [axis.name for axis in self.axes]
        for name in told:
            if name.replace("_", " ") not in names:
                raise ValueError(
                    f"`Scan.{call}({name}=…)`: the axes of the scan are {', '.join(names)}: "
                    f"prepare others one by one, `scan.replaced(scan['…'].{call}({name}=…))`."
                )

    def __repr__(self) -> str:
        return "Scan(\n  " + ",\n  ".join(map(repr, self.values())) + "\n)"


def _differences(first: Axes, other: Axes) -> str:
    """What two lists of axes differ in, in words; empty where they are one."""
    if len(first) != len(other):
        return f"{len(first)} and {len(other)} axes of pixels"
    said = [text for a, b in zip(first, other, strict=True) for text in _differ(a, b)]
    return "; ".join(said)


def _differ(a: Axis, b: Axis) -> Iterator[str]:
    """What two axes differ in."""
    for what in ("name", "size", "units"):
        mine, other = getattr(a, what), getattr(b, what)
        if mine != other:
            yield f"{what} of {a.name} {mine!r} and {other!r}"
    if a.size == b.size and a.uniform and b.uniform:
        slack = SAME * abs(a.scale)
        for what, least in (("scale", slack / max((a.size or 1) - 1, 1)), ("offset", slack)):
            mine, other = getattr(a, what), getattr(b, what)
            if not isclose(mine, other, rel_tol=0, abs_tol=least):
                yield f"{what} of {a.name} {mine:g} and {other:g} {a.units}".rstrip()
    elif a.size == b.size and not np.allclose(a.values, b.values, rtol=0, atol=SAME * abs(a.scale)):
        yield f"positions along {a.name}"

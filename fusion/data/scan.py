"""Data sets of several detectors on one scan, checked to be so, and prepared together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.axis_differences import axis_differences, is_plain_index
from fusion.algebra.calls import checked_call, in_call
from fusion.algebra.cautions import ScaleWarning, users_line
from fusion.algebra.display import Display, Shown
from fusion.algebra.units import ratio
from fusion.data.dataset import Dataset
from fusion.data.dataset_display import scan_display


class Scan(Shown, Mapping[str, Dataset]):
    """What several detectors saw at the same places, read like a dictionary by name.

    All have the axes of the scan last among those of their pixels: number, step, offset and unit
    are compared, to a hundredth of a step; nm and µm are converted. A data set may have other axes
    before them, such as the segments of a detector, (segment, y, x, energy). Crop, bin and mask
    them together; each step makes a new scan:

        scan = fu.Scan(low_loss, core_loss, eels=signal)
        scan = scan.crop(y=(0, 12)).bin(y=2, x=2).masked(dust)

    Where a detector has other pixels (binned, shifted, blurred) of the same field of view, keep its
    data set as it is and let the model see it through `fusion.resample`.

    Args:
        datasets: data sets, with names of their own.
        signals: data sets or HyperSpy signals by the names that models and results will have.

    Raises:
        ValueError: if there is none, two have one name, or they do not share the axes of the scan:
            saying what differs.

    Warns:
        ScaleWarning: if an axis is calibrated in some of them only; it is taken for the same.
    """

    @checked_call
    def __init__(self, *datasets: Dataset, **signals: Any) -> None:
        given = [*datasets, *(_as_dataset(name, signal) for name, signal in signals.items())]
        call = f"Scan({', '.join(map(in_call, given))})"
        for data in given:
            if not isinstance(data, Dataset):
                raise ValueError(
                    f"`{call}`: {type(data).__name__} has no name: give data sets, or signals by "
                    "name, `Scan(eels=signal)`."
                )
        names = [data.name for data in given]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"`{call}`: names {names}: give one data set or more, each with a name of its own "
                "(`data.renamed('…')`)."
            )
        self._datasets = dict(zip(names, given, strict=True))
        self.axes: Axes = min((data.pixels for data in given), key=len)
        """Those of the scan."""
        if not self.axes:
            raise ValueError(f"`{call}`: a data set has no pixels: a scan has one axis or more.")
        owner = next(data for data in given if data.pixels == self.axes)
        for data in given:
            _check_same_pixels(owner, data, len(self.axes))

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

    def bin(self, *, progress: bool = True, **factors: int) -> Scan:
        """Sums of neighbours in all, as `Dataset.bin`: `bin(y=2, x=2)`.

        Args:
            progress: whether a line says that it is at work, as in `fit`.
            factors: for an axis by its name, how many neighbours are summed.

        Raises:
            ValueError: if an axis is none of the scan, or a length does not divide.
        """
        self._check("bin", factors)
        return Scan(*(data.bin(progress=progress, **factors) for data in self.values()))

    @checked_call
    def masked(self, mask: Any) -> Scan:
        """The same pixels left out of all; True = excluded.

        Args:
            mask: of the shape of the scan, in the array's order; or a HyperSpy signal.

        Raises:
            ValueError: if it has another shape.
        """
        mask = np.asarray(mask.data if hasattr(mask, "axes_manager") else mask, dtype=bool)
        if mask.shape != self.shape:
            raise ValueError(
                f"`Scan.masked`: a mask of shape {mask.shape}, the scan has {self.shape} "
                f"({', '.join(axis.name for axis in self.axes)}): give one of that shape."
            )
        masked_datasets = []
        for data in self.values():
            full = np.broadcast_to(mask, tuple(axis.size or 1 for axis in data.pixels))
            masked_datasets.append(data.masked(full.copy()))
        return Scan(*masked_datasets)

    @checked_call
    def align(self, *names: str, progress: bool = True, **window: Any) -> Scan:
        """Drift of energies taken off what one spectrometer recorded: both ranges of dual EELS.

        `scan.align("low", "core", energy_loss=(-5, 5))`: the drift of every pixel is looked for in
        the first, as `Dataset.align` does, and taken off all that are named, by as many eV.

        Args:
            names: of the data set with the feature, and of those that drifted with it.
            progress: whether a line says that it is at work, as in `fit`.
            window: the energies that hold the feature, `energy_loss=(-5, 5)`; default: all.

        Raises:
            ValueError: as `Dataset.align`; if none is named, or their axes have no common unit.
            KeyError: if there is no data set of such a name.
        """
        from fusion.prepare.scan_drift import align

        return align(self, names, window, progress)

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

    def _display(self) -> Display:
        return scan_display(self)


def _as_dataset(name: str, signal: Any) -> Dataset:
    """A data set of this name from what was given."""
    if isinstance(signal, Dataset):
        return signal.renamed(name)
    return Dataset.from_hyperspy(signal, name=name)


def _check_same_pixels(owner: Dataset, data: Dataset, axes: int) -> None:
    """Complain of places that are not the same."""
    one, before, two = owner.pixels, data.pixels[:-axes], data.pixels[-axes:]
    pairs = zip(one, two, strict=True)
    said = [f"{a.name}: {text}" for a, b in pairs for text in _place_differences(a, b)]
    if any(axis.units and ratio(one[0].units, axis.units) is not None for axis in before):
        said = [f"{axes} axes ({_names(one)}) and {axes + len(before)} ({_names(data.pixels)})"]
    if said:
        raise ValueError(
            f"`Scan`: {owner.name!r} and {data.name!r} do not have the same pixels: "
            f"{'; '.join(said)}: crop or bin them to one field of view, correct the calibration, "
            "or keep them as they are and let the model see one through `fusion.resample`."
        )
    for a, b in zip(one, two, strict=True):
        if is_plain_index(a) != is_plain_index(b):
            bare, other = (owner, data) if is_plain_index(a) else (data, owner)
            warnings.warn(
                f"`Scan`: {a.name} of {bare.name!r} has no calibration: taken for the same as in "
                f"{other.name!r}.",
                ScaleWarning,
                stacklevel=users_line(),
            )


def _place_differences(a: Axis, b: Axis) -> list[str]:
    """What differs between two axes of a scan, in words; they have one name."""
    return [f"the other is called {b.name}"] if a.name != b.name else axis_differences(a, b)


def _names(axes: Axes) -> str:
    return ", ".join(axis.name for axis in axes) or "none"

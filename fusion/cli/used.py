"""What an answer is of: every data set with its file, its size, its energies and its loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusion.algebra.axis import Axis
from fusion.cli.chosen_files import Chosen
from fusion.data.dataset import Dataset


def used_lines(chosen: Sequence[Chosen], losses: Mapping[str, str]) -> list[str]:
    """A line for each data set, and one for what was left out of each file."""
    lines = [
        f"{each.data.name}: {each.path}{_stored(each)}, {described(each.data)}, "
        f"{losses[each.data.name]}"
        for each in chosen
    ]
    left = {each.path: ", ".join(each.left) for each in chosen if each.left}
    return [*lines, *(f"left out of {path} (--signal): {names}" for path, names in left.items())]


def used_report(chosen: Sequence[Chosen], losses: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The same for machines, by the name of the data set."""
    return {
        each.data.name: {
            "file": str(each.path),
            "name_in_file": each.stored,
            "loss": losses[each.data.name],
            "axes": [_axis_report(axis) for axis in each.data.axes],
            "left_out": list(each.left),
        }
        for each in chosen
    }


def described(data: Dataset) -> str:
    """Shape, and from where to where its spectra run: "5 × 6 × 12, energy 90 to 101 eV"."""
    shape = " × ".join(map(str, data.shape))
    return ", ".join([shape, *(f"{axis.name} {extent(axis)}" for axis in data.channels)])


def extent(axis: Axis) -> str:
    """ "90 to 101 eV"."""
    low, high = sorted((float(axis.values[0]), float(axis.values[-1])))
    return f"{low:.5g} to {high:.5g} {axis.units}".rstrip()


def _stored(each: Chosen) -> str:
    """Its name in the file, where it goes by another."""
    return "" if each.stored == each.data.name else f' "{each.stored}"'


def _axis_report(axis: Axis) -> dict[str, Any]:
    low, high = sorted((float(axis.values[0]), float(axis.values[-1])))
    return {"name": axis.name, "size": axis.size, "first": low, "last": high, "unit": axis.units}

"""What the pixels of data sets make: an image, a stack of them, a line, or a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.units import in_one_unit, in_suited_unit, is_length
from fusion.report.averaging import binned, bins_for
from fusion.report.data_parts import Array, DataPart

MAPS = 1_200_000  # values of all maps of one group that a page holds


@dataclass(frozen=True, eq=False)
class Group:
    """Data sets of one scan, whose pixels are pointed at together.

    Attributes:
        axes: navigation axes that have more than one entry, at most the last two of them an image.
        full: navigation shape, as in the data.
        bins: how many pixels are averaged in a map, along every navigation axis.
        parts: positions of the data sets.
    """

    axes: Axes
    full: tuple[int, ...]
    bins: tuple[int, ...]
    parts: list[int]

    @property
    def kind(self) -> str:
        """ "image", "line" or "point"."""
        return ("point", "line", "image")[min(len(self.axes), 2)]

    def last(self, along: Sequence[int]) -> tuple[int, int]:
        """Of one number for every navigation axis those of a map's (rows, columns)."""
        long = [i for i, n in enumerate(self.full) if n > 1][-2:]
        rows, columns = [1, 1, *(along[i] for i in long)][-2:]
        return rows, columns

    @property
    def grid(self) -> tuple[int, int, int]:
        """(images, rows, columns) of the maps."""
        shape = binned(self.full, self.bins)
        rows, columns = self.last(shape)
        return prod(shape) // (rows * columns), rows, columns

    def entry(self) -> dict[str, Any]:
        """For the page: where the pixels are, and how a map is drawn."""
        lead, rows, columns = self.grid
        entry: dict[str, Any] = {"kind": self.kind, "lead": lead, "rows": rows, "columns": columns}
        entry["leads"] = _stack_labels(self.axes[:-2])
        entry["equal"], entry["length"] = self.equal, self.length
        entry["full"], entry["bins"] = list(self.full), list(self.last(self.bins))
        if self.axes:
            entry["x"] = _axis_entry(self.axes[-1], columns)
        if len(self.axes) > 1:
            entry["y"] = _axis_entry(self.axes[-2], rows)
        return entry

    @property
    def equal(self) -> bool:
        """Whether a map is drawn with equal lengths along both axes."""
        if len(self.axes) < 2 or not all(axis.uniform for axis in self.axes[-2:]):
            return False
        y, x = self.axes[-2:]
        shape = abs((y.size or 1) * y.scale) / abs((x.size or 1) * x.scale)
        return y.units == x.units and 1 / 12 < shape < 12

    @property
    def length(self) -> bool:
        """Whether both axes of a map are lengths, so that a scale bar says it all."""
        return self.equal and all(is_length(axis.units) for axis in self.axes[-2:])


def groups(parts: Sequence[DataPart]) -> list[Group]:
    """Data sets with the same pixels together, in the order of the result."""
    scans: list[tuple[tuple[int, ...], Axes, list[int]]] = []
    for i, part in enumerate(parts):
        shape = tuple(axis.size or 1 for axis in part.pixels)
        same = next((g for g in scans if g[0] == shape and _same_places(g[1], part.pixels)), None)
        if same is None:
            scans.append((shape, part.pixels, [i]))
        else:
            same[2].append(i)
    result = []
    for shape, axes, members in scans:
        columns = sum(_map_count(parts[i]) for i in members)
        bins = bins_for(shape, (), max(MAPS // max(columns, 1), 1))
        long = tuple(axis for axis in axes if (axis.size or 1) > 1)
        result.append(Group((*long[:-2], *in_suited_unit(long[-2:])), shape, bins, members))
    return result


def _map_count(part: DataPart) -> int:
    return 2 + (0 if part.left is None else part.left.shape[1])


def _same_places(axes: Axes, others: Axes) -> bool:
    """Whether pixels lie at the same places, names aside."""
    return all(
        a.units == b.units and np.allclose(a.values, b.values)
        for one, other in zip(axes, others, strict=True)
        for a, b in (in_one_unit((one, other)),)
    )


def _axis_entry(axis: Axis, n: int) -> dict[str, Any]:
    """Where the first entry begins and the last ends; an index where the steps are not equal."""
    x = axis.values
    if not axis.uniform:
        return {"name": axis.name, "units": "", "label": f"{axis.name} (pixel)",
                "first": -0.5, "last": len(x) - 0.5, "values": [float(v) for v in x]}  # fmt: skip
    return {
        "name": axis.name,
        "units": axis.units,
        "label": axis.label,
        "first": float(x[0] - axis.scale / 2),
        "last": float(x[-1] + axis.scale / 2),
    }


def _stack_labels(axes: Axes) -> list[str]:
    """What each image of a stack is: "tilt −60 °"."""
    if not axes:
        return []
    places = np.meshgrid(*(axis.values for axis in axes), indexing="ij")
    columns: list[Array] = [p.ravel() for p in places]
    return [
        ", ".join(
            f"{a.name} {v:g} {a.units}".strip().replace("-", "−")
            for a, v in zip(axes, values, strict=True)
        )
        for values in zip(*columns, strict=True)
    ]

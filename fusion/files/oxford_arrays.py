"""Arrays of an h5oina file, which have a row per pixel, as maps and images."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.data.dataset import Dataset
from fusion.files.calibration import complete_axes
from fusion.files.contents import StoredDataset
from fusion.files.stored_array import StoredArray

SLACK = 0.25
"""Of a step, by which a position may differ from its place in the map."""
ROW_BY_ROW = (
    "the file has no positions of pixels, and the specification of h5oina does not say their "
    "order: row by row is taken"
)


@dataclass(frozen=True)
class Pixels:
    """The pixels of an acquisition.

    Args:
        path: of the file.
        shape: (rows, columns); (columns,) of a line scan; () of a single spectrum.
        axes: of the pixels, in µm.
        order: for every pixel of the map its row in the arrays; None where that is row by row.
        cautions: what a user should hear of them.
        notes: what else stands in the history.
    """

    path: Path
    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    order: NDArray[np.int64] | None
    cautions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, header: Any, data: Any) -> Pixels:
        """As a header tells; their order as their positions tell, which may lie among the data.

        Raises:
            ValueError: if their number is none.
        """
        columns, rows = (int(np.ravel(header[f"{key} Cells"][()])[0]) for key in "XY")
        if columns < 1 or rows < 1:
            raise ValueError(
                f"{path}: {header.name}: {columns} × {rows} cells: is the file whole? Export it "
                "again."
            )
        shape = (rows, columns) if rows > 1 else (columns,) if columns > 1 else ()
        names = ("y", "x")[2 - len(shape) :]
        steps = {key: float(np.ravel(header[f"{key.upper()} Step"][()])[0]) for key in names}
        axes = tuple(
            Axis(key, steps[key], units="µm") if steps[key] > 0 else Axis(key) for key in names
        )
        if len(shape) < 2:
            return cls(path, shape, axes, None)
        if data is None:  # electron images, which never have positions
            return cls(path, shape, axes, None, notes=(ROW_BY_ROW,))
        return cls(path, shape, axes, *_order(path, data, shape, steps))


def _order(
    path: Path, data: Any, shape: tuple[int, ...], steps: dict[str, float]
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Where in the arrays every pixel is, by the positions X and Y.

    Raises:
        ValueError: if positions are not those of a map.
    """
    if "X" not in data or "Y" not in data or min(steps.values()) <= 0:
        return None, (ROW_BY_ROW,)
    place = []
    for key, n in (("Y", shape[0]), ("X", shape[1])):
        at = np.ravel(data[key][()]).astype(float) / steps[key.lower()]
        at -= at.min() if at.size else 0.0
        index = np.rint(at)
        right = at.size == prod(shape) and (np.abs(at - index) < SLACK).all()
        if not (right and index.max() < n):
            raise ValueError(
                f"{path}: {data.name}: the positions {key} are not those of a map of "
                f"{shape[1]} × {shape[0]} cells"
            )
        place.append(index.astype(np.int64))
    flat = place[0] * shape[1] + place[1]
    if np.array_equal(flat, np.arange(flat.size)):
        return None, ()
    if np.unique(flat).size != flat.size:
        raise ValueError(f"{path}: {data.name}: two pixels are at one position")
    return np.argsort(flat), ()


def _checked(pixels: Pixels, where: str, array: StoredArray, *, channels: bool) -> None:
    """Complain of an array that has not one row per pixel."""
    rows, rest = array.shape[0], array.shape[1:]
    fits = len(rest) == 1 if channels else rest in ((), (1,))
    if rows != prod(pixels.shape) or not fits:
        size = " × ".join(map(str, reversed(pixels.shape))) or "1"
        raise ValueError(
            f"{pixels.path}: {where} has shape {array.shape}, its header tells {size} cells: is "
            f'the file whole? Export it again, or open the array, dataset="{where}".'
        )


def spectra(
    name: str,
    pixels: Pixels,
    where: str,
    energy: Axis,
    metadata: dict[str, Any],
    *,
    lazy: bool,
) -> StoredDataset:
    """Spectra, which stay in the file until they are needed."""
    array = StoredArray(pixels.path, where)
    _checked(pixels, where, array, channels=True)
    shape = (*pixels.shape, array.shape[1])
    axes = complete_axes([*pixels.axes, energy], shape, 1)

    def read() -> Dataset:
        rows = array.lazy(chunks=_rows(pixels, array)) if lazy else array[...]
        rows = rows if pixels.order is None else rows[pixels.order]
        values = rows.reshape(shape)
        return Dataset(name, values, axes=axes, metadata=metadata, history=pixels.cautions)

    return StoredDataset(name, shape, array.dtype, axes, read, cautions=pixels.cautions)


def _rows(pixels: Pixels, array: StoredArray) -> tuple[int, int]:
    """Sizes of blocks: of whole rows of the map, about 32 MB."""
    columns = pixels.shape[-1] if pixels.shape else 1
    row = columns * array.shape[1] * array.dtype.itemsize
    return columns * max(1, 2**25 // max(row, 1)), array.shape[1]


def image(
    name: str, pixels: Pixels, where: str, metadata: dict[str, Any], made_from: str
) -> StoredDataset:
    """An image; pixels outside the acquired area, NaN in the file, are masked."""
    array = StoredArray(pixels.path, where)
    _checked(pixels, where, array, channels=False)
    shape = pixels.shape or (1,)
    axes = complete_axes(list(pixels.axes) or [Axis("x")], shape, 0)
    history = [*pixels.cautions, *pixels.notes, *([made_from] if made_from else [])]

    def read() -> Dataset:
        values = array[...].reshape(-1)
        values = (values if pixels.order is None else values[pixels.order]).reshape(shape)
        outside = np.isnan(values) if values.dtype.kind == "f" else np.zeros(shape, bool)
        return Dataset(
            name,
            values,
            axes=axes,
            signal=0,
            mask=outside if outside.any() else None,
            metadata=metadata,
            history=history,
        )

    return StoredDataset(
        name,
        shape,
        array.dtype,
        axes,
        read,
        signal=0,
        made_from=made_from,
        cautions=pixels.cautions,
    )

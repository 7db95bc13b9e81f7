"""An array of an HDF5 file or zarr folder by its path, as a data set."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fusion.algebra.axis import Axis
from fusion.algebra.unit_names import SPECTRAL
from fusion.data.dataset import Dataset
from fusion.files import told_axes
from fusion.files.array_header import ArrayHeader
from fusion.files.calibration import axis_at, complete_axes, readable, slug
from fusion.files.contents import StoredDataset, free_name
from fusion.files.signal_axes import FAINT_NAME, FULL_NAME
from fusion.files.stored_array import StoredArray, kind_of

WORDS = ("energy", "wavelength", "wavenumber")
"""What runs along a spectral axis, and the options that tell it."""
UNITS = {"ev": "eV", "kev": "keV", "nm": "nm"}


def at_path(
    path: Path,
    *,
    dataset: str | Sequence[str],
    name: str | None = None,
    axes: Sequence[Axis | str] | None = None,
    lazy: bool | None = None,
    segments: bool = False,
    **options: Any,
) -> list[StoredDataset]:
    """The arrays at these paths of a file.

    Args:
        path: of the HDF5 file or zarr folder.
        dataset: path of the array in it; or several.
        name: of the data set; by default the last word of its path.
        axes: an `Axis` or a name for every axis of the array, in the order of the file.
        lazy: False: it is read now; otherwise where it is needed.
        segments: is not asked for here.
        options: one of energy, wavelength, wavenumber: positions along the spectral axis, as an
            array, an `Axis` or a path in the file.

    Raises:
        ValueError: if there is no such array or option, or the positions or axes do not fit.
    """
    call = f"load({path.name!r}, dataset={dataset!r}, …)"
    unknown = [option for option in options if option not in WORDS]
    if unknown or len(options) > 1:
        raise ValueError(
            f"`{call}`: {', '.join(options)}: of an array by its path there are axes and one of "
            f"{', '.join(WORDS)}: leave the others out."
        )
    word = next(iter(options), "")
    paths = [dataset] if isinstance(dataset, str) else list(dataset)
    given = slug(path.stem) or "data"
    names = [slug(where.rpartition("/")[2]) or given for where in paths]
    names = [n if names.count(n) == 1 else slug(p) for n, p in zip(names, paths, strict=True)]
    given_names: list[str] = []
    for base in [name] if name is not None and len(paths) == 1 else names:
        given_names.append(free_name(base, given_names))
    found = zip(given_names, paths, strict=True)
    read_now = lazy is False or (lazy is None and find_spec("dask") is None)
    return [
        _stored(call, path, n, where, axes, word, options.get(word), read_now=read_now)
        for n, where in found
    ]


def _stored(
    call: str,
    path: Path,
    name: str,
    where: str,
    axes: Sequence[Axis | str] | None,
    word: str,
    positions: Any,
    *,
    read_now: bool,
) -> StoredDataset:
    """One of them."""
    array = StoredArray(path, where)
    header = ArrayHeader(where, array.shape, array.dtype)
    if array.dtype.kind not in "buif" or not header.shape or 0 in header.shape:
        raise ValueError(f"{path}: {header}: give the path of an array of real numbers.")
    told = _with_given(call, header, _told(path, where, array.ndim), axes)
    spectral = _spectral_axis(told)
    if positions is not None:
        axis = _positions(call, path, word, positions)
        spectral = _place_of(call, header, axis, told, spectral)
        told[spectral] = axis
    order = [i for i in range(array.ndim) if i != spectral]
    order += [] if spectral is None else [spectral]
    signal = 0 if spectral is None else 1
    ordered = [told[i] or Axis("") for i in order]
    shape = tuple(array.shape[i] for i in order)
    complete = complete_axes(ordered, shape, signal)
    complete = tuple(readable(a, spectral=i >= len(shape) - signal) for i, a in enumerate(complete))

    def read() -> Dataset:
        values = array[...] if read_now else array.lazy()
        values = values if order == sorted(order) else values.transpose(order)
        return Dataset(name, values, axes=complete, signal=signal, history=[f"{where} of the file"])

    return StoredDataset(name, shape, array.dtype, complete, read, signal=signal)


def _told(path: Path, where: str, n: int) -> list[Axis | None]:
    """What the file tells of the axes; zarr tells nothing."""
    if path.is_dir():
        return [None] * n
    kind = kind_of(path)
    with kind.opened(path) as file:
        return told_axes.told_axes(path, file, kind.array_at(path, file, where))


def _with_given(
    call: str, header: ArrayHeader, told: list[Axis | None], axes: Sequence[Axis | str] | None
) -> list[Axis | None]:
    """The axes that are given; a name alone keeps the calibration that the file tells."""
    if axes is None:
        return told
    axes = [axes] if isinstance(axes, str | Axis) else list(axes)
    if len(axes) != len(told):
        raise ValueError(
            f"`{call}`: {len(axes)} axes for an array of {len(told)} ({header.size_text}): give "
            "one for every array axis, in the order of the file."
        )
    return [
        each if isinstance(each, Axis) else _renamed(known, each)
        for each, known in zip(axes, told, strict=True)
    ]


def _renamed(axis: Axis | None, name: str) -> Axis:
    if axis is None:
        return Axis(name)
    values = None if axis.uniform else axis.values
    return Axis(name, axis.scale, axis.offset, axis.units, values)


def _spectral_axis(told: Sequence[Axis | None]) -> int | None:
    """Which axis is spectral: by its unit or name, else the last of which nothing is told."""
    known = [i for i, axis in enumerate(told) if axis is not None and _is_spectral(axis)]
    unknown = [i for i, axis in enumerate(told) if axis is None]
    return next((some[-1] for some in (known, unknown) if some), None)


def _is_spectral(axis: Axis) -> bool:
    return axis.units in SPECTRAL or bool(
        FULL_NAME.search(axis.name) or FAINT_NAME.search(axis.name)
    )


def _positions(call: str, path: Path, word: str, positions: Any) -> Axis:
    """The axis at positions that are given: an axis, an array, or a path in the file."""
    if isinstance(positions, Axis):
        return positions
    units = ""
    if isinstance(positions, str):
        where, kind = positions, kind_of(path)
        with kind.opened(path) as root:
            positions, units = told_axes.positions_in(path, root, where)
        units = units or UNITS.get(where.replace("/", "_").rpartition("_")[2].lower(), "")
    try:
        values = np.asarray(positions, dtype=float)
        if values.ndim != 1 or not values.size:
            raise ValueError(f"an array of shape {values.shape}")
        return axis_at(word, values, units).sized(values.size)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{call}`: {word}: {error}: give an array of one axis, an `Axis`, or a path in the "
            "file."
        ) from error


def _place_of(
    call: str,
    header: ArrayHeader,
    axis: Axis,
    told: Sequence[Axis | None],
    spectral: int | None,
) -> int:
    """Which array axis the positions belong to: the spectral one, else the only that fits."""
    n, shape = axis.size, header.shape
    if spectral is None and axis.size is None:
        return len(shape) - 1
    if spectral is not None and n in (None, shape[spectral]):
        return spectral
    fitting = [i for i, size in enumerate(shape) if size == n]
    known = spectral is not None and told[spectral] is not None
    if len(fitting) == 1 and not known:
        return fitting[0]
    if spectral is None and fitting and fitting[-1] == len(shape) - 1:
        return fitting[-1]
    raise ValueError(
        f"`{call}`: {n} positions for an array of {header.size_text}: give one for every channel; "
        'where channels are not the last axis, say so: axes=["energy", "y", "x"].'
    )

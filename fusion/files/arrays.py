"""NumPy's own files: npz and npy.

Names that are read beside an array `map`: its energies `map_energy`, `map_eV`, `map_keV`, `energy`,
`…_eV`, `…_keV`; their unit `energy_units` (`map_energy_units`); the step of the scan `pixel_size`,
one number or one per axis, in `pixel_units`; or `nav_axes`, a text "('y', 0.5, 'nm')" per axis.
"""

from __future__ import annotations

import ast
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.memory import asked_bytes, out_of_memory
from fusion.algebra.unit_names import unit
from fusion.data.dataset import Dataset
from fusion.files.calibration import axis_at, axis_name, complete_axes, slug
from fusion.files.contents import StoredDataset, first_line, listed

RESULT = {"meta", "losses", "loss_history"}  # what `Result.save` always writes
ENERGY = re.compile(r"(?:^|_)(?:energy|ev|kev)$", re.IGNORECASE)
DAMAGE = (
    *(ValueError, EOFError, RuntimeError, TypeError, SyntaxError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)
"""What NumPy and zip raise of files that are cut off or changed."""
MOST_PACKED = 1100  # times its size that a zip file may hold: who asks for more is damaged
UNIT = re.compile(r"(?:^|_)(ev|kev|nm)$", re.IGNORECASE)


@dataclass(frozen=True)
class ArrayHeader:
    """What an array is, before it is read."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def numeric(self) -> bool:
        """Whether it could be measured: integers or floats."""
        return self.dtype.kind in "iuf" and 0 not in self.shape

    def __str__(self) -> str:
        why = {"O": ", which only pickle could read", "c": ", not real"}.get(self.dtype.kind, "")
        return f"{self.name} {self.shape} {self.dtype}{why}"


@dataclass(frozen=True)
class AxisArrays:
    """What is told of the axes: numeric arrays of one axis; numbers and texts."""

    vectors: dict[str, NDArray[Any]] = field(default_factory=dict)
    texts: dict[str, NDArray[Any]] = field(default_factory=dict)


def in_npz(path: Path, **_: Any) -> list[StoredDataset]:
    """The data sets of an npz: the array `data`, and all others of two axes or more.

    Raises:
        ValueError: if it is no npz, a saved result, or holds no such array.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] != b"PK":
        raise ValueError(
            f"{path}: not an npz file: write one with `numpy.savez({path.name!r}, data=map)`."
        )
    with _one_line_errors(path):
        headers = _headers(path)
    names = {header.name for header in headers}
    if names >= RESULT:
        raise ValueError(
            f"{path}: a result that `Result.save` wrote, not data: read it with "
            "`fu.Result.load`, draw it with `sdfusion plot`."
        )
    candidates = [header for header in headers if header.numeric and len(header.shape) >= 2]
    if not candidates:
        raise ValueError(
            f"{path}: no numeric array of two axes or more in it, but {listed(headers)}: "
            "save the map as one array of real numbers."
        )
    with _one_line_errors(path):
        extras = _axis_arrays(path, headers)
    single = len(candidates) == 1
    return [_stored(path, each, extras, single or each.name == "data") for each in candidates]


def in_npy(path: Path, **_: Any) -> list[StoredDataset]:
    """The data set of an npy file, named as the file.

    Raises:
        ValueError: if it holds no array of numbers.
    """
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{path}: not an npy file: write one with `numpy.save`.")
        file.seek(0)
        with _one_line_errors(path):
            header = _header(slug(path.stem) or "data", file)
    if not header.numeric or not header.shape:
        raise ValueError(
            f"{path}: no numeric array of one axis or more in it, but {header}: "
            "save the map as one array of real numbers."
        )
    return [_stored(path, header, AxisArrays(), True)]


def _stored(path: Path, header: ArrayHeader, extras: AxisArrays, default: bool) -> StoredDataset:
    scan = _scan_axes(extras, len(header.shape) - 1)
    energy = _energy_axis(path, header, extras, strict=default)
    axes = complete_axes([*scan, energy], header.shape, 1)

    def read() -> Dataset:
        with _one_line_errors(path):
            array = np.load(path, allow_pickle=False)
            if not isinstance(array, np.ndarray):
                with array as file:
                    array = file[header.name]
        return Dataset(header.name, array, axes=axes)

    return StoredDataset(header.name, header.shape, header.dtype, axes, read, default)


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    """What goes wrong inside a file, as one line."""
    try:
        yield
    except DAMAGE as error:
        asked = asked_bytes(str(error)) if isinstance(error, MemoryError) else None
        if asked is not None and asked <= MOST_PACKED * path.stat().st_size:
            raise out_of_memory(f"load({str(path)!r})", error) from error
        raise ValueError(
            f"{path}: cannot be read ({first_line(error)}): cut off or damaged? "
            "Copy or save it again."
        ) from error


def _headers(path: Path) -> list[ArrayHeader]:
    with zipfile.ZipFile(path) as file:
        members = [name for name in file.namelist() if name.endswith(".npy")]
        headers = []
        for name in members:
            with file.open(name) as member:
                headers.append(_header(name.removesuffix(".npy"), member))
    return headers


def _header(name: str, file: IO[bytes]) -> ArrayHeader:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version > (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return ArrayHeader(name, shape, dtype)


def _axis_arrays(path: Path, headers: list[ArrayHeader]) -> AxisArrays:
    """The arrays of one axis, the numbers and the texts, all of them short."""
    small = [h for h in headers if h.numeric or h.dtype.kind == "U"]
    small = [h for h in small if len(h.shape) <= 1 and 0 not in h.shape]
    with np.load(path, allow_pickle=False) as file:
        values = {h.name: file[h.name] for h in small}
    vectors = {name: v for name, v in values.items() if v.ndim == 1 and v.dtype.kind in "iuf"}
    return AxisArrays(vectors, {name: v for name, v in values.items() if name not in vectors})


def _energy_axis(path: Path, header: ArrayHeader, extras: AxisArrays, *, strict: bool) -> Axis:
    """The axis of the channels; without a name where nothing is told of it.

    Raises:
        ValueError: if it is strict and `energy` has another length.
    """
    size = header.shape[-1]
    fitting = [name for name, vector in extras.vectors.items() if vector.size == size]
    name = _energy_name(header.name, fitting, extras)
    if name is None:
        if strict and "energy" in extras.vectors:
            raise ValueError(
                f"{path}: energy is of shape {extras.vectors['energy'].shape}, {header.name} has "
                f"{size} channels: give one energy for every channel."
            )
        return Axis("")
    ending = UNIT.search(name)
    unit_text = extras.texts.get(f"{name}_units")
    if unit_text is None and ENERGY.search(name):
        unit_text = extras.texts.get("energy_units", ending and ending[1])
    units = unit(unit_text if unit_text is not None else ending and ending[1])
    bare = "energy" if ENERGY.search(name) else axis_name(UNIT.sub("", name)) or name
    return axis_at(bare, extras.vectors[name], units)


def _energy_name(data: str, fitting: list[str], extras: AxisArrays) -> str | None:
    """Which of the arrays that are long enough holds the energies."""
    own = {f"{data}_{ending}".casefold() for ending in ("energy", "ev", "kev")}
    like = [name for name in fitting if ENERGY.search(name)]
    steady = [name for name in fitting if _monotonic(extras.vectors[name])]
    choices = (
        [name for name in fitting if name.casefold() in own],
        [name for name in fitting if name.casefold() == "energy"],
        like,
        steady if not like else [],
    )
    return next((some[0] for some in choices if len(some) == 1), None)


def _monotonic(vector: NDArray[Any]) -> bool:
    """Whether it only rises or only falls, as positions do."""
    steps = np.diff(vector.astype(float))
    return bool((steps > 0).all() or (steps < 0).all())


def _scan_axes(extras: AxisArrays, n: int) -> list[Axis]:
    """Axes of the scan, calibrated by `nav_axes` or `pixel_size`; no name where none is told."""
    nav_axes = np.atleast_1d(extras.texts.get("nav_axes", np.array([], dtype=str)))
    if n and nav_axes.size == n:
        with suppress(ValueError, SyntaxError, TypeError):
            entries = [ast.literal_eval(str(entry)) for entry in nav_axes]
            return [Axis(axis_name(name), float(s), units=unit(u)) for name, s, u in entries]
    size = extras.vectors.get("pixel_size", extras.texts.get("pixel_size", np.array("")))
    fits = size.size == n if size.ndim else n >= 2  # of a row of spectra it could be anything
    if size.dtype.kind not in "iuf" or not fits:
        return [Axis("") for _ in range(n)]
    units = unit(extras.texts.get("pixel_units"))
    return [Axis("", step, units=units) for step in np.broadcast_to(size, n)]

"""NumPy's own files: npz and npy. What lies beside an array: `fusion.files.beside_arrays`."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.memory import asked_bytes, out_of_memory
from fusion.data.dataset import Dataset
from fusion.files.array_header import ArrayHeader
from fusion.files.beside_arrays import Beside, Calibration
from fusion.files.calibration import slug
from fusion.files.contents import StoredDataset, first_line, listed
from fusion.files.noise_arrays import noise_values
from fusion.files.unread_files import rename

RESULT = {"meta", "losses", "loss_history"}  # what `Result.save` always writes
DAMAGE = (
    *(ValueError, EOFError, RuntimeError, TypeError, SyntaxError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, NotImplementedError),
)
"""What NumPy and zip raise of files that are cut off or changed."""
MOST_PACKED = 1100  # times its size that a zip file may hold: who asks for more is damaged
TRUTH = "truth"
"""How arrays begin that are the answer of a simulation, not data."""


def in_npz(
    path: Path, *, lazy: bool | None = None, segments: bool = False, **options: Any
) -> list[StoredDataset]:
    """The data sets of an npz: all arrays of two axes or more, and spectra with own energies.

    Where there are none, all arrays of one axis are spectra that are nothing for another one.

    Raises:
        ValueError: if it is no npz, a saved result, holds no such array or is to be read lazily,
            or if what lies beside an array by its name does not fit it.
    """
    _no_options(path, options)
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] != b"PK":
        raise ValueError(
            f"{path}: not an npz file{rename(path)}: write one with "
            f"`numpy.savez({path.name!r}, data=map)`."
        )
    if lazy:
        raise ValueError(
            f"{path}: lazy=True: an npz is read at once: leave lazy out, or save the array with "
            "`numpy.save` as npy."
        )
    with _one_line_errors(path):
        headers = _headers(path)
    if {header.name for header in headers} >= RESULT:
        raise ValueError(
            f"{path}: a result that `Result.save` wrote, not data: read it with "
            "`fu.Result.load`, draw it with `sdfusion plot`."
        )
    with _one_line_errors(path):
        beside = Beside(path, headers, _small_arrays(path, headers))
    if not (candidates := beside.data_sets):
        raise ValueError(
            f"{path}: no numeric array of data in it, but {listed(headers)}: save the map, or the "
            "spectrum, as one array of real numbers."
        )
    told = [beside.calibration(header) for header in candidates]
    cautions = tuple(beside.unused())
    return [
        _stored(path, header, found, cautions, beside.is_meant(header))
        for header, found in zip(candidates, told, strict=True)
    ]


def in_npy(
    path: Path, *, lazy: bool | None = None, segments: bool = False, **options: Any
) -> list[StoredDataset]:
    """The data set of an npy file, named as the file.

    Raises:
        ValueError: if it holds no array of numbers.
    """
    _no_options(path, options)
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{path}: not an npy file{rename(path)}: write one with `numpy.save`.")
        file.seek(0)
        with _one_line_errors(path):
            header = _header(slug(path.stem) or "data", file, path.stat().st_size)
    if not header.numeric or not header.shape:
        raise ValueError(
            f"{path}: no numeric array of one axis or more in it, but {header}: "
            "save the map as one array of real numbers."
        )
    found = Beside(path, [header], {}).calibration(header)
    return [_stored(path, header, found, (), True, lazy=bool(lazy))]


def _no_options(path: Path, options: Mapping[str, Any]) -> None:
    if options:
        raise ValueError(
            f"`load({path.name!r}, {next(iter(options))}=…)`: NumPy's files have no such option: "
            "leave it out."
        )


def _stored(
    path: Path,
    header: ArrayHeader,
    found: Calibration,
    cautions: tuple[str, ...],
    default: bool,
    *,
    lazy: bool = False,
) -> StoredDataset:
    cautions = (*found.cautions, *cautions)
    made_from = "the truth of a simulation" if is_truth(header.name) else ""

    def read() -> Dataset:
        with _one_line_errors(path):
            array = _mapped(path) if lazy else _array(path, header.name)
            stored = {what: (name, _array(path, name)) for what, name in found.noise.items()}
        axes, noise = len(header.shape), {}
        for what, (name, values) in stored.items():
            noise[what] = noise_values(what, f"{path}: {name}", values, axes)
        history = (*cautions, *found.notes, *([made_from] if made_from else []))
        return Dataset(
            header.name,
            array,
            axes=found.axes,
            signal=found.signal,
            metadata=found.metadata,
            history=history,
            **noise,
        )

    return StoredDataset(
        header.name,
        header.shape,
        header.dtype,
        found.axes,
        read,
        default,
        signal=found.signal,
        made_from=made_from,
        cautions=cautions,
    )


def is_truth(name: str) -> bool:
    """Whether an array is the answer of a simulation, by its name: truth, truth_S …"""
    return name.casefold().partition("_")[0] == TRUTH


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    """What goes wrong inside a file, as one line."""
    try:
        yield
    except DAMAGE as error:
        if str(error).startswith(("`", str(path))):  # says all of it
            raise
        asked = asked_bytes(str(error)) if isinstance(error, MemoryError) else None
        if asked is not None and asked <= MOST_PACKED * path.stat().st_size:
            raise out_of_memory(f"load({str(path)!r})", error) from error
        raise ValueError(
            f"{path}: cannot be read ({first_line(error)}): cut off or damaged? "
            "Copy or save it again."
        ) from error


def _array(path: Path, name: str) -> NDArray[Any]:
    """One array; the file is opened here, as NumPy leaves a damaged one open."""
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return loaded[name]


def _mapped(path: Path) -> Any:
    """An npy file that is read where it is needed."""
    import dask.array

    return dask.array.from_array(np.load(path, mmap_mode="r", allow_pickle=False))


def _headers(path: Path) -> list[ArrayHeader]:
    with zipfile.ZipFile(path) as file:
        members = [each for each in file.infolist() if each.filename.endswith(".npy")]
        headers = []
        for each in members:
            if each.file_size > MOST_PACKED * (each.compress_size + 1):
                raise ValueError(f"{each.filename} cannot hold {each.file_size} bytes")
            with file.open(each) as member:
                headers.append(_header(each.filename.removesuffix(".npy"), member, each.file_size))
    return headers


def _header(name: str, file: IO[bytes], size: int) -> ArrayHeader:
    """What an array is, by the first bytes of its file.

    Raises:
        ValueError: if it cannot be told, or is more than the file, of `size` bytes, holds.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version > (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    need = prod(shape) * dtype.itemsize
    if not dtype.hasobject and need > size - file.tell():
        raise ValueError(f"{name} {shape} {dtype} needs {need} bytes, {size - file.tell()} there")
    return ArrayHeader(name, shape, dtype)


def _small_arrays(path: Path, headers: Sequence[ArrayHeader]) -> dict[str, NDArray[Any]]:
    """The arrays of one axis, the numbers and the texts, all of them short."""
    small = [h for h in headers if h.numeric or h.dtype.kind == "U"]
    small = [h for h in small if len(h.shape) <= 1 and 0 not in h.shape]
    with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
        return {h.name: held[h.name] for h in small}

"""Read a microscope's file: `load`. What it needs is imported where it is used."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import overload

from fusion.algebra.calls import checked_call
from fusion.data.dataset import Dataset
from fusion.files import arrays, microscopes
from fusion.files.contents import StoredDataset, default_of, listed, pick

__all__ = ["load", "one"]

READERS: dict[str, Callable[[Path], list[StoredDataset]]] = {
    ".npz": arrays.in_npz,
    ".npy": arrays.in_npy,
}
"""What a file of this suffix holds, unread; all other suffixes are RosettaSciIO's."""


@checked_call
@overload
def load(path: str | PathLike[str], *, signal: str) -> Dataset: ...
@checked_call
@overload
def load(path: str | PathLike[str], *, signal: None = None) -> Dataset | dict[str, Dataset]: ...
@checked_call
def load(path: str | PathLike[str], *, signal: str | None = None) -> Dataset | dict[str, Dataset]:
    """The data set in a file; all of them by name, where it holds several.

    NumPy's npz and npy are read by this package alone: an array called `data` is the one meant,
    else every array of two axes or more is a data set. It takes its energies from the array
    `<name>_energy`, `<name>_eV`, `<name>_keV` or `energy`, else from the only increasing or
    decreasing one as long as its last axis; their unit from `energy_units` or the ending of the
    name. `pixel_size` (in `pixel_units`) or `nav_axes` calibrate the scan: `fusion.files.arrays`.

    All else RosettaSciIO reads (`pip install "sdfusion[io]"`): dm3, dm4, emd (Velox, Berkeley),
    bcf, hspy, zspy, msa, rpl, prz, ser, nxs, tif … What can be is read when it is first needed.

    Args:
        path: of the file.
        signal: name of one data set; upper and lower case are the same.

    Raises:
        ValueError: if the file holds no data that could be used or none of that name, or its reader
            is not installed.
        OSError: if it cannot be opened.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "map.npz"
        >>> energy = np.linspace(500, 520, 41)
        >>> np.savez(path, data=np.ones((4, 6, 41)), energy=energy, energy_units="eV")
        >>> fu.load(path)
        Dataset('data', y 4, x 6, energy 41; float64)
    """
    path, contents = _contents(path)
    meant = default_of(contents) if signal is None else pick(path, contents, signal)
    return {entry.name: entry.open() for entry in contents} if meant is None else meant.open()


@checked_call
def one(path: str | PathLike[str], signal: str | None = None) -> Dataset:
    """The data set in a file, of which there must be one if no name is given.

    Raises:
        ValueError: as `load`, and where there are several.
        OSError: if it cannot be opened.
    """
    path, contents = _contents(path)
    meant = default_of(contents) if signal is None else pick(path, contents, signal)
    if meant is None:
        raise ValueError(
            f"{path}: several data sets could be meant: {listed(contents)}: "
            "choose one: signal='…' (--signal … on the command line)."
        )
    return meant.open()


def _contents(path: str | PathLike[str]) -> tuple[Path, list[StoredDataset]]:
    """The path and what is in the file."""
    if hasattr(path, "axes_manager"):
        raise ValueError(
            f"`load({type(path).__name__})`: give a path; of a HyperSpy signal take "
            "`fusion.Dataset.from_hyperspy(signal)`."
        )
    if not isinstance(path, str | PathLike):
        raise ValueError(
            f"`load({type(path).__name__})`: give a path; of an array make a data set, "
            "`fusion.Dataset('name', array)`."
        )
    path = Path(path).expanduser()
    if not path.exists():
        raise ValueError(f"{path}: no such file: check the name and the folder.")
    suffix = path.suffix.lower()
    if path.is_dir() and suffix != ".zspy":
        raise ValueError(f"{path}: is a folder: give a file.")
    if path.is_file() and path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes): copy or save it again.")
    return path, READERS.get(suffix, microscopes.in_microscope_file)(path)

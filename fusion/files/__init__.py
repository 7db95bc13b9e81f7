"""Read a microscope's file: `load`. What it needs is imported where it is used."""

from __future__ import annotations

import gc
import glob
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, overload

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import FileWarning, users_line
from fusion.algebra.waiting import Step, waiting
from fusion.data.dataset import Dataset
from fusion.files import arrays, microscopes, oxford
from fusion.files.by_path import at_path
from fusion.files.contents import SeveralDatasets, StoredDataset, free_name, meant, pick
from fusion.files.promised_sizes import check_promised
from fusion.files.scan_members import of_one_scan
from fusion.files.several import Signals
from fusion.files.zarr_folders import check_harmless, is_zarr

__all__ = ["SeveralDatasets", "contents_of", "load", "one", "scan_in"]

READERS: dict[str, Callable[..., list[StoredDataset]]] = {
    ".npz": arrays.in_npz,
    ".npy": arrays.in_npy,
    ".h5oina": oxford.in_h5oina,
}
"""What a file of this suffix holds, unread; all other suffixes are RosettaSciIO's."""

Place = str | PathLike[str]


@checked_call
@overload
def load(
    path: Place,
    *,
    signal: str,
    lazy: bool | None = None,
    segments: bool = False,
    dataset: str | Sequence[str] | None = None,
    axes: Sequence[Axis | str] | None = None,
    energy: Any = None,
    wavelength: Any = None,
    wavenumber: Any = None,
    progress: bool = True,
    **options: Any,
) -> Dataset: ...
@checked_call
@overload
def load(
    path: Place | Sequence[Place],
    *,
    signal: str | None = None,
    lazy: bool | None = None,
    segments: bool = False,
    dataset: str | Sequence[str] | None = None,
    axes: Sequence[Axis | str] | None = None,
    energy: Any = None,
    wavelength: Any = None,
    wavenumber: Any = None,
    progress: bool = True,
    **options: Any,
) -> Dataset | dict[str, Dataset]: ...
@checked_call
def load(
    path: Place | Sequence[Place],
    *,
    signal: str | None = None,
    lazy: bool | None = None,
    segments: bool = False,
    dataset: str | Sequence[str] | None = None,
    axes: Sequence[Axis | str] | None = None,
    energy: Any = None,
    wavelength: Any = None,
    wavenumber: Any = None,
    progress: bool = True,
    **options: Any,
) -> Dataset | dict[str, Dataset]:
    """The data set in a file; all of them by name, where it holds several.

    NumPy's npz and npy are read by this package alone: every array of two axes or more is a data
    set, in a file without such a one a single spectrum; what lies beside it tells of its axes, mask
    and variance: `fusion.files.beside_arrays`.
    Oxford's h5oina is read by its specification. All else RosettaSciIO reads
    (`pip install "sdfusion[io]"`): dm3, dm4, emd (Velox, Berkeley), bcf, hspy, zspy, msa, rpl, prz,
    ser, nxs, tif …; docs/formats.md says what it reads wrongly, and what is done about it.

    Any array of an HDF5 file or zarr folder is opened by its path, lazily:
    `fu.load("a.h5", dataset="/a/b", energy="/a/e")`. Where neither `energy` nor `axes` are given,
    dimension scales and NeXus attributes tell the axes. The spectral axis is that of a spectral
    name or unit, else the last; `axes=["y", "x"]` makes an image.

    A spectral axis is found by its unit, the type of the signal, the word of the format and its
    name, before any flag of the reader, and comes last. What was left out, what the reader warned
    of and what cannot be right of the axes stands in `history`, and is raised once as a
    `FileWarning`.

    Args:
        path: of the file; or of several, a list or a pattern such as "tilt_*.bcf": all that is in
            them, named by their files where names are the same.
        signal: name of one data set; upper and lower case are the same.
        lazy: True: read nothing before it is needed, an error where the reader cannot; False: read
            all now; by default lazily where the reader can.
        segments: maps of the segments of one X-ray detector as one stack (segment, y, x, energy),
            not as their sum.
        dataset: path of an array in an HDF5 file or a zarr folder, or a list of some.
        axes: with `dataset`, an `Axis` or a name per array axis, in the order of the file.
        energy: with `dataset`, the positions along its spectral axis: an array, an `Axis` or a path
            in the file; `wavelength`, `wavenumber`: the same of another kind.
        progress: whether a line says which file is read, as in `fit`.
        options: of the reader of this format, such as `index=1` (Bruker), `rebin_energy=4`,
            `first_frame=10` (Velox).

    Raises:
        ValueError: if the file holds no data that could be used or none of that name, its reader is
            not installed, or has no such option.
        OSError: if it cannot be opened.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "map.npz"
        >>> energy = np.linspace(500, 520, 41)
        >>> np.savez(path, data=np.ones((4, 6, 41)), energy=energy, energy_units="eV")
        >>> fu.load(path)
        Dataset('data', y 4, x 6, energy 41; float64)
          axis    size  from   to  step  unit
          y          4     0    3     1     –
          x          6     0    5     1     –
          energy    41   500  520   0.5    eV  spectral
          noise  no variance given
    """
    by_path = {"dataset": dataset, "axes": axes, "energy": energy}
    by_path |= {"wavelength": wavelength, "wavenumber": wavenumber}
    options |= {name: given for name, given in by_path.items() if given is not None}
    options |= {"lazy": lazy, "segments": segments}
    paths = _paths(path)
    with waiting("load", progress) as step:
        if len(paths) > 1 or isinstance(path, list | tuple):
            return _several(paths, signal, options, step)
        step.say(paths[0].name)
        contents = contents_of(paths[0], options, signal)
        if signal is not None:
            return _opened([pick(paths[0], contents, signal)])[0]
        datasets = _opened(contents)
    return datasets[0] if len(datasets) == 1 else Signals({data.name: data for data in datasets})


@checked_call
def one(path: Place, signal: str | None = None, **options: Any) -> Dataset:
    """The data set in a file that is meant: the one named, the only one, or the only map.

    Raises:
        SeveralDatasets: where no name is given and several could be meant.
        ValueError: as `load`.
        OSError: if it cannot be opened.
    """
    (path,) = _paths(path)
    return _opened([meant(path, contents_of(path, options, signal), signal)])[0]


@checked_call
def scan_in(path: Place, signal: Sequence[str] = (), **options: Any) -> list[Dataset]:
    """The data sets of a file that were measured at the same pixels: maps, and images beside them.

    Images that were computed from the spectra, of elements, are left out, and so are images of
    other pixels and single spectra, unless nothing else is there; a `FileWarning` says so.

    Raises:
        SeveralDatasets: if there are maps of different scans, and no names are given.
        ValueError: as `load`.
        OSError: if it cannot be opened.
    """
    (path,) = _paths(path)
    contents = contents_of(path, options)
    if signal:
        return _opened([pick(path, contents, name) for name in signal])
    chosen = of_one_scan(path, contents)
    datasets = _opened(chosen)
    if left := [each for each in contents if each not in chosen]:
        names = ", ".join(f"{each.name} ({each.made_from or each.kind})" for each in left)
        warnings.warn(
            f"left out, name what is meant to have others: {names}",
            FileWarning,
            stacklevel=users_line(),
        )
    return datasets


def _opened(contents: Iterable[StoredDataset]) -> list[Dataset]:
    """The data sets, read; what there is to say of them is said once."""
    contents = list(contents)
    datasets = [entry.open() for entry in contents]
    for text in dict.fromkeys(text for entry in contents for text in entry.cautions):
        warnings.warn(text, FileWarning, stacklevel=users_line())
    return datasets


def _several(
    paths: Sequence[Path], signal: str | None, options: dict[str, Any], step: Step
) -> dict[str, Dataset]:
    """All data sets of several files by name, with that of the file where names are the same."""
    found = []
    for number, path in enumerate(paths):
        step.say(path.name, number, len(paths))
        contents = contents_of(path, options, signal)
        chosen = contents if signal is None else [pick(path, contents, signal)]
        found += [(path, len(chosen), data) for data in _opened(chosen)]
    names = [data.name for _, _, data in found]
    together = Signals()
    for path, count, data in found:
        name = data.name
        if names.count(name) > 1:
            name = path.stem if count == 1 else f"{path.stem}_{name}"
        name = free_name(name, together)
        together[name] = data if name == data.name else data.renamed(name)
    return together


def _paths(path: Place | Sequence[Place]) -> list[Path]:
    """The files that are meant: one, those of a list, or those that a pattern fits."""
    if hasattr(path, "axes_manager"):
        raise ValueError(
            f"`load({type(path).__name__})`: give a path; of a HyperSpy signal take "
            "`fusion.Dataset.from_hyperspy(signal)`."
        )
    if isinstance(path, list | tuple):
        if not path:
            raise ValueError("`load([])`: no file: give one path or more.")
        return [each for entry in path for each in _paths(entry)]
    if not isinstance(path, str | PathLike):
        raise ValueError(
            f"`load({type(path).__name__})`: give a path; of an array make a data set, "
            "`fusion.Dataset('name', array)`."
        )
    text = str(path)
    if "://" in text:
        raise ValueError(f"{text}: an address: download it first, and give the file.")
    plain = Path(text).expanduser()
    if not plain.exists() and glob.has_magic(text):
        if fitting := sorted(glob.glob(str(plain))):
            return [Path(each) for each in fitting]
        raise ValueError(f"{text}: no file fits this pattern: check it and the folder.")
    return [plain]


def contents_of(
    path: Path, options: dict[str, Any], name: str | None = None
) -> list[StoredDataset]:
    """What is in a file, unread; options as in `load`.

    Args:
        path: of the file.
        options: of `load` and of its reader.
        name: of an array that is opened by its path.

    Raises:
        ValueError: as `load`.
    """
    _check_readable(path)
    before = path.stat()
    if "dataset" in options:
        contents = at_path(path, name=name, **options)
    else:
        check_promised(path)
        read = READERS.get(path.suffix.lower(), microscopes.in_microscope_file)
        with warnings.catch_warnings():  # readers that fail leave their file to Python to close
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                contents = read(path, **options)
            except ValueError:
                if read is microscopes.in_microscope_file:
                    gc.collect()  # some are in cycles
                raise
    stacked = any(axis.name == "segment" for each in contents for axis in each.axes)
    if options.get("segments") and not stacked:
        raise ValueError(
            f"`load({str(path)!r}, segments=…)`: no maps of several segments of one detector in "
            "it: leave that out."
        )
    after = path.stat()
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise ValueError(f"{path}: it changed while it was read: read it when it is complete.")
    return contents


def _check_readable(path: Path) -> None:
    """Complain of what is no file, or must not be read."""
    if not path.exists():
        raise ValueError(f"{path}: no such file: check the name and the folder.")
    if not (path.is_file() or path.is_dir()):
        raise ValueError(f"{path}: is no file, but a pipe or device: give a file.")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{path}: may not be read: ask its owner, or `chmod u+r` it.")
    if path.is_dir() and not is_zarr(path):
        raise ValueError(f"{path}: is a folder: give a file.")
    if path.is_dir():
        check_harmless(path)
    if path.is_file() and path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes): copy or save it again.")

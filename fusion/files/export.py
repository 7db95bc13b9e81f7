"""Results as files of other programs: hspy, zspy, msa, tif through RosettaSciIO; csv."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.calls import path_of
from fusion.algebra.cautions import CutWarning, users_line
from fusion.answers.components import in_words, names_of
from fusion.answers.whole_files import atomic_write, replacing
from fusion.files.calibration import slug
from fusion.files.factor_dictionaries import (
    axis_entry,
    factor_axes,
    signal_of,
    signals,
    spectral_factors,
)
from fusion.files.image_calibration import image_axes, rising
from fusion.files.signal_files import fits_msa, imagej_labels, type_lost_in_msa, write_signal

if TYPE_CHECKING:
    from fusion.answers.result import Result


def hspy(result: Result, path: Path) -> list[Path]:
    """All factors in one hspy file, a signal each."""
    import h5py

    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for i, signal in enumerate(signals(result)):
            part = temporary.with_name(f"{i}.hspy")
            write_signal("hspy", part, signal)
            with h5py.File(part, "r") as other:
                for key, value in other.attrs.items():
                    file.attrs[key] = value
                other.copy(f"Experiments/{signal['metadata']['General']['title']}", _group(file))
    return [path]


def _group(file: Any) -> Any:
    return file.require_group("Experiments")


def zspy(result: Result, path: Path) -> list[Path]:
    """All factors in one zspy folder, a signal each."""
    import zarr

    with replacing(path) as temporary:
        for i, signal in enumerate(signals(result)):
            part = temporary.with_name(f"{i}.zspy")
            write_signal("zspy", part, signal)
            if not temporary.exists():
                part.rename(temporary)
                continue
            for folder in (part / "Experiments").iterdir():
                if folder.is_dir():
                    folder.rename(temporary / "Experiments" / folder.name)
        zarr.consolidate_metadata(str(temporary))  # pyright: ignore[reportArgumentType]
    return [path]


def msa(result: Result, path: Path) -> list[Path]:
    """Every spectrum in an msa file of its own, "answer_S_1.msa"."""
    written = []
    for name in spectral_factors(result):
        signal = signal_of(result, name)
        axis = signal["axes"][-1]
        if "scale" not in axis:
            raise ValueError(
                f"`save({str(path)!r})`: the energies of {name} are not even, and msa knows scale "
                "and offset alone: save as csv or hspy."
            )
        called = names_of(result, len(signal["data"]))
        lost = [*type_lost_in_msa(signal["metadata"])]
        if strange := [each for each in called if not fits_msa(each)]:
            lost.append(f"letters beyond Latin-1 (of {', '.join(strange)}, which have numbers)")
        for k, spectrum in enumerate(signal["data"]):
            own = called[k] if fits_msa(called[k]) else k + 1
            metadata = {**signal["metadata"], "General": {"title": f"{slug(name)} {own}"}}
            single = signal | {"data": spectrum, "axes": [axis | {"index_in_array": 0}]}
            out = path.with_name(f"{path.stem}_{slug(name) or 's'}_{k + 1}{path.suffix}")
            with replacing(out) as part:
                write_signal("msa", part, single | {"metadata": metadata})
            written.append(out)
        for what in lost:
            warnings.warn(
                f"`save({str(path)!r})`: {name}: msa does not hold {what}: hspy does.",
                CutWarning,
                stacklevel=users_line(),
            )
    return written


def tif(result: Result, path: Path) -> list[Path]:
    """Maps as stacks of 32-bit images with scale and unit, "answer_C.tif" where there are several.

    HyperSpy, ImageJ and DigitalMicrograph read the calibration, ImageJ the components' names, too.
    """
    names = [name for name in result.factors if len(factor_axes(result, name)) == 2]
    if not names:
        raise ValueError(
            f"`save({str(path)!r})`: no factor runs along two axes, so there is no map: save as "
            "csv or hspy."
        )
    written = []
    for name in names:
        axes = factor_axes(result, name)
        if not all(axis.uniform for axis in axes):
            raise ValueError(
                f"`save({str(path)!r})`: the pixels of {name} are not even, and tif knows scale "
                "alone: save as hspy."
            )
        out = path if len(names) == 1 else path.with_name(f"{path.stem}_{slug(name)}{path.suffix}")
        signal = signal_of(result, name)
        maps, turned = rising(signal["data"].astype(np.float32), axes)
        signal |= {"data": maps}
        shown = image_axes(turned, f"save({str(path)!r})")
        rows, columns = (axis_entry(axis, i, navigate=False) for i, axis in enumerate(shown, 1))
        signal |= {"axes": [signal["axes"][0], rows, columns]}
        called = [in_words(each) for each in names_of(result, len(maps))]
        with replacing(out) as part:
            write_signal("tiff", part, signal, extratags=imagej_labels(called))
        written.append(out)
    return written


def csv(result: Result, path: Path) -> list[Path]:
    """All spectra in one table: for every detector its energies, then the components."""
    with atomic_write(path) as file:
        file.write(table(result).encode())
    return [path]


WRITERS: dict[str, Callable[[Result, Path], list[Path]]] = {
    ".hspy": hspy,
    ".zspy": zspy,
    ".msa": msa,
    ".tif": tif,
    ".tiff": tif,
    ".csv": csv,
}
"""By ending; what has none of them is an npz."""


PICTURE = "a picture is `result.plot().savefig(path)`"
ANOTHER = "give one that there is"
OTHERS = {
    **dict.fromkeys((".png", ".pdf", ".svg", ".jpg", ".jpeg", ".eps"), PICTURE),
    **dict.fromkeys((".html", ".htm"), "a page is `result.report(path)`"),
    **dict.fromkeys((".h5", ".hdf5", ".dm3", ".dm4", ".emd", ".bcf", ".mat", ".xlsx"), ANOTHER),
    **dict.fromkeys((".txt", ".json", ".pkl", ".npy", ".rpl", ".ser", ".nc"), ANOTHER),
}
"""Endings of files that a result is not written as, and what is."""


def save_result(result: Result, path: Any) -> list[Path]:
    """Write a result to files of the kind that the ending says; see `Result.save`."""
    from fusion.answers import storage

    path = path_of("result.save", path)
    write = WRITERS.get(path.suffix.lower())
    if (ending := path.suffix.lower()) in OTHERS:
        raise ValueError(
            f"`result.save({str(path)!r})`: no writer for {ending}: {OTHERS[ending]}; "
            f"of a result there are .npz, {', '.join(WRITERS)}."
        )
    return [storage.save(result, path)] if write is None else save(result, path, write)


def save(result: Result, path: Path, write: Callable[[Result, Path], list[Path]]) -> list[Path]:
    """Write with one of the writers.

    Raises:
        ValueError: if the package that it needs is not installed, or the result has nothing that
            such a file can hold.
    """
    with needs_package(f"save({str(path)!r})", "npz or csv"):
        return write(result, path)


@contextmanager
def needs_package(call: str, other: str = "npz") -> Iterator[None]:
    """What is not installed, in words, with the formats that need nothing.

    Raises:
        ValueError: if a package is missing.
    """
    try:
        yield
    except ImportError as error:
        raise ValueError(
            f"`{call}`: {error.name} is not installed: pip install "
            f'"sdfusion[io]", or save as {other}.'
        ) from error


def table(result: Result) -> str:
    """Spectra as comma-separated columns: for every detector its energies, then the components."""
    import csv
    import io

    columns: list[list[Any]] = []
    for name in spectral_factors(result):
        axis, F = factor_axes(result, name)[0], result.factors[name]
        columns.append([f"{name}: {axis.label}", *(f"{x:.10g}" for x in axis.values)])
        columns += [
            [f"{name} {called}", *(f"{x:.10g}" for x in column)]
            for called, column in zip(names_of(result, F.shape[1]), F.T, strict=True)
        ]
    longest = max(map(len, columns), default=0)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([c[i] if i < len(c) else "" for c in columns] for i in range(longest))
    return text.getvalue()

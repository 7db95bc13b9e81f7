"""The data sets of files, prepared as the options of a command say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from fusion.algebra.axis_differences import is_plain_index
from fusion.data.dataset import Dataset
from fusion.files import load, one, scan_in


def prepared(
    files: Sequence[Path],
    *,
    joint: bool,
    signal: Sequence[str],
    energy: str | None,
    bins: Sequence[str],
    background_window: str | None,
    variance: Sequence[str],
    mask: Path | None,
) -> list[Dataset]:
    """The data sets, prepared."""
    datasets = _one_of_each(files, signal, joint)
    if len({d.name for d in datasets}) < len(datasets):
        datasets = [data.renamed(path.stem) for data, path in zip(datasets, files, strict=True)]
    datasets = _images_beside(datasets) if joint else datasets
    wanted = _parse_window("--energy", energy) if energy else (None, None)
    window = _parse_window("--background-window", background_window) if background_window else None
    hull = wanted if window is None else _enclosing_window(wanted, window)
    general, own = _parse_variances(variance, [data.name for data in datasets])
    ready = []
    for data in datasets:
        if mask is not None:
            data = data.masked(_single_array("--mask", mask))
        spectra = data.signal == 1  # what follows is of no meaning for an image beside them
        if spectra and hull != (None, None):
            data = data.crop(**{data.channels[0].name: hull})
        if groups := dict(_parse_bin(text, data) for text in bins if spectra or "=" in text):
            data = data.bin(**groups)
        if spectra:
            data = _with_variance(data, own.get(data.name, general))
        elif data.name in own:
            data = _with_variance(data, own[data.name])
        if spectra and window is not None:
            data = data.subtract_background(window)
            if wanted != (None, None):
                data = data.crop(**{data.channels[0].name: wanted})
        ready.append(data)
    return ready


def _images_beside(datasets: Sequence[Dataset]) -> list[Dataset]:
    """Arrays without energies, of the pixels of a map beside them, as the images that they are."""
    maps = [d.shape[: len(d.shape) - d.signal] for d in datasets if len(d.shape) > 2 and d.signal]

    def is_image(data: Dataset) -> bool:
        plain = data.signal == 1 and is_plain_index(data.axes[-1])
        return plain and data.shape in maps

    return [
        Dataset(data.name, data.tensor, axes=["y", "x"], signal=0) if is_image(data) else data
        for data in datasets
    ]


def all_datasets(file: Path, signal: str | None) -> list[Dataset]:
    """All data sets of a file, or the one of this name."""
    datasets = load(file) if signal is None else load(file, signal=signal)
    return list(datasets.values()) if isinstance(datasets, dict) else [datasets]


def _one_of_each(files: Sequence[Path], signal: Sequence[str], joint: bool) -> list[Dataset]:
    """All data sets of one file where they are fitted together, else one of every file."""
    if joint and len(files) == 1:
        if len(set(signal)) < len(signal):
            raise click.UsageError(f"--signal: {', '.join(signal)}: name every data set once")
        return scan_in(files[0], signal)
    if len(signal) not in (0, 1, len(files)):
        raise click.UsageError(
            f"--signal: {len(signal)} names for {len(files)} file{'s' * (len(files) > 1)}: "
            "give one for all, or one for each"
        )
    names = list(signal) * (len(files) if len(signal) == 1 else 1) or [None] * len(files)
    return [one(path, name) for path, name in zip(files, names, strict=True)]


def _single_array(option: str, path: Path) -> Any:
    """The one array of a file."""
    try:
        with path.open("rb") as file:  # opened here: NumPy leaves a damaged one open
            loaded = np.load(file, allow_pickle=False)
            arrays = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except FileNotFoundError:
        raise ValueError(f"{option} {path}: no such file: check the name and the folder") from None
    except Exception as error:  # a damaged file fails in zip, zlib or NumPy
        raise ValueError(
            f"{option} {path}: cannot be read ({error}): write it with numpy.save"
        ) from None
    if len(arrays) != 1:
        raise ValueError(f"{option} {path}: holds {', '.join(arrays)}: keep one array in it")
    return next(iter(arrays.values()))


def _parse_window(option: str, text: str) -> tuple[float | None, float | None]:
    """(first, last) of "500:560"; either may be missing."""
    try:
        low, high = (float(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        raise click.UsageError(f"{option} {text}: give first:last, for instance 500:560") from None
    return low, high


def _enclosing_window(wanted: Any, window: Any) -> tuple[float | None, float | None]:
    """Energies that are needed where those of the window are needed first."""
    low, high = zip(wanted, window, strict=True)
    first = window[0] if wanted[0] is None else None if None in low else min(low)
    return first, None if None in high else max(high)


def _parse_variances(texts: Sequence[str], names: Sequence[str]) -> tuple[str, dict[str, str]]:
    """(for all spectra, for a data set by its name) of "estimate", "haadf=25"."""
    general, own = "none", {}
    for text in texts:
        name, equals, value = text.partition("=")
        if equals and name in names:
            own[name] = value
        elif equals and not Path(text).exists():
            raise click.UsageError(
                f"--variance {text}: no data set {name!r}; there are {', '.join(names)}"
            )
        else:
            general = text
    return general, own


def _with_variance(data: Dataset, variance: str) -> Dataset:
    """The data set with the variance that was asked for: none, estimate, a number or a file."""
    if variance == "none":
        return data
    if variance == "estimate":
        return data.estimate_variance()
    try:
        value = float(variance)
    except ValueError:
        value = _single_array("--variance", Path(variance))
    return data.with_variance(value)


def _parse_bin(text: str, data: Dataset) -> tuple[str, int]:
    """(axis, number) of "energy=2" or "2"."""
    name, _, number = text.rpartition("=")
    if not number.isdecimal():
        raise click.UsageError(f"--bin {text}: give a number of channels, or axis=number")
    return name or data.axes[-1].name, int(number)

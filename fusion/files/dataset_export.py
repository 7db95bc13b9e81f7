"""Data sets as files: hspy, zspy, npz, npy, msa, tif; what a format cannot hold is said."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fusion.algebra.axis import named
from fusion.algebra.calls import checked_call, path_of
from fusion.algebra.cautions import CutWarning, users_line
from fusion.algebra.units import in_one_unit
from fusion.answers.whole_files import atomic_write, replacing
from fusion.data.dataset import Dataset
from fusion.data.dataset_display import in_a_line
from fusion.data.plain_metadata import as_text
from fusion.files.dataset_dictionaries import calibrated, dictionary_of, metadata_with_noise
from fusion.files.export import needs_package
from fusion.files.factor_dictionaries import axis_entry
from fusion.files.image_calibration import image_axes, rising
from fusion.files.signal_files import fits_msa, type_lost_in_msa, write_signal

RESERVED = ("file", "args", "kwds", "allow_pickle", "pixel_size", "pixel_units", "nav_axes", "mask")
"""Names that arrays beside the data have, or NumPy's own arguments."""
ELSEWHERE = (".csv", ".txt", ".rpl", ".dm3", ".dm4", ".emd", ".bcf", ".ser", ".prz", ".h5", ".png")
"""Endings of files that hold something else than an npz."""
EXACT = (np.uint8, np.uint16, np.float32)
"""Types of values that ImageJ's tif has."""


@checked_call
def save_dataset(data: Dataset, path: Any) -> Path:
    """Write a data set; see `Dataset.save`."""
    path = path_of(f"{data.name}.save", path)
    write = WRITERS.get(path.suffix.lower())
    if path.suffix.lower() in ELSEWHERE:
        raise ValueError(
            f"`{data.name}.save({str(path)!r})`: no writer for {path.suffix}: give "
            f"{', '.join(WRITERS)}."
        )
    if write is None:
        path, write = path.with_name(f"{path.name}.npz"), npz
    call = f"{data.name}.save({str(path)!r})"
    if data.entries is not None:
        raise ValueError(
            f"`{call}`: sparse, {len(data.entries.x)} of {np.prod(data.shape)} values, and no "
            "format here holds that: save a dense array (`.todense()`) if it fits, or the matrix "
            "with `scipy.sparse.save_npz`."
        )
    with needs_package(call):
        lost = [*write(data, path, call)]
    if lost:
        warnings.warn(
            f"`{call}`: {path.suffix} does not hold {'; '.join(lost)}: .hspy does.",
            CutWarning,
            stacklevel=users_line(),
        )
    return path


def hspy(data: Dataset, path: Path, call: str) -> Iterator[str]:
    """All of it, as a signal of HyperSpy; zspy, too."""
    with replacing(path) as part:
        write_signal(path.suffix.lower()[1:], part, dictionary_of(data))
    yield from ()


def npz(data: Dataset, path: Path, call: str) -> Iterator[str]:
    """The array by its name; what calibrates it, metadata, mask and variance beside it."""
    name, values = data.name, data.numpy()
    if name in RESERVED:
        raise ValueError(
            f"`{call}`: an array of an npz called {name!r} means something else: "
            f"`{name}.renamed('map').save(…)`, or save as hspy."
        )
    if values.dtype == bool:
        values = values.astype(np.uint8)
        yield "that its values are booleans"
    arrays = {name: values}
    pixels = in_one_unit(data.pixels)
    if data.signal == 1:
        arrays[f"{name}_energy"] = data.channels[0].values
        arrays[f"{name}_energy_units"] = np.array(data.channels[0].units)
        arrays[f"{name}_energy_name"] = np.array(data.channels[0].name)
    if pixels and all(axis.uniform for axis in pixels):
        arrays["pixel_size"] = np.array([axis.scale for axis in pixels])
        if len({axis.units for axis in pixels}) == 1:
            arrays["pixel_units"] = np.array(pixels[0].units)
        arrays["nav_axes"] = np.array([str((a.name, a.scale, a.units)) for a in data.pixels])
    if data.metadata:
        arrays[f"{name}_metadata"] = np.array(as_text(data.metadata))
    for what, values in (("mask", data.mask), ("variance", data.variance)):
        if values is not None:
            arrays[f"{name}_{what}"] = np.array(np.broadcast_to(values.numpy(), data.shape))
    with atomic_write(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    yield from _lost_in_npz(data)


def _lost_in_npz(data: Dataset) -> Iterator[str]:
    """What is not read back."""
    if data.signal != 1 and not (data.pixels and all(axis.uniform for axis in data.pixels)):
        yield f"that {data.signal} of {len(data.axes)} axes are the signal"
    plain = named(None, data.shape, data.signal)[len(data.pixels) :]
    told = zip(data.channels, plain, strict=True) if data.signal > 1 else ()
    if known := [axis.name for axis, index in told if calibrated(axis, index.name)]:
        yield f"what the axes are ({', '.join(known)})"
    even = all(axis.uniform for axis in data.pixels)
    for axis in data.pixels:
        if not axis.uniform:
            yield f"the uneven steps of {axis.name}"
        elif not even and calibrated(axis, axis.name):
            yield f"the steps of {axis.name}"
        elif axis.offset:
            yield f"where {axis.name} begins ({axis.offset:g} {axis.units})"


def npy(data: Dataset, path: Path, call: str) -> Iterator[str]:
    """The array alone."""
    with atomic_write(path) as file:
        np.save(file, data.numpy(), allow_pickle=False)
    plain = named(None, data.shape, data.signal)
    known = [a.name for a, p in zip(data.axes, plain, strict=True) if calibrated(a, p.name)]
    if known:
        yield f"what the axes are ({', '.join(known)})"
    yield from _mask_and_variance(data)


def msa(data: Dataset, path: Path, call: str) -> Iterator[str]:
    """One spectrum."""
    if data.signal != 1 or data.matrix_shape[0] != 1:
        raise ValueError(
            f"`{call}`: msa holds one spectrum, this is {in_a_line(data)}: give one of it, "
            f"`{data.name}[3, 4].save(…)`, or save as hspy."
        )
    axis = data.channels[0]
    if not axis.uniform:
        raise ValueError(
            f"`{call}`: the steps of {axis.name} are not even, and msa knows scale and offset "
            "alone: save as hspy."
        )
    metadata = metadata_with_noise(data)
    signal = dictionary_of(data) | {"data": data.numpy().reshape(-1), "metadata": metadata}
    signal |= {"axes": [axis_entry(axis, 0, navigate=False)]}
    with replacing(path) as part:
        write_signal("msa", part, signal)
    yield from type_lost_in_msa(metadata)
    title = signal["metadata"].get("General", {}).get("title", "")
    if not fits_msa(title):
        yield f"letters beyond Latin-1, as in {title!r}"
    yield from _mask_and_variance(data)


def tif(data: Dataset, path: Path, call: str) -> Iterator[str]:
    """An image or a stack of them, with scale and unit; ImageJ reads it."""
    shown = len(data.axes) if data.signal == 0 else data.signal
    if shown not in (2, 3) or len(data.axes) > 3 or data.signal == 1:
        raise ValueError(
            f"`{call}`: tif holds images, this is {in_a_line(data)}: give one of it, "
            f"`{data.name}[..., 10].save(…)`, or save as hspy."
        )
    if not all(axis.uniform for axis in data.axes[-2:]):
        raise ValueError(
            f"`{call}`: the pixels are not even, and tif knows scale alone: save as hspy."
        )
    array, (rows, columns) = rising(data.numpy(), data.axes[-2:])
    held = array if array.dtype in EXACT else array.astype(np.float32)
    axes = (*data.axes[:-2], *image_axes((rows, columns), call))
    entries = [axis_entry(a, i, navigate=i < len(axes) - 2) for i, a in enumerate(axes)]
    with replacing(path) as part:
        write_signal("tiff", part, dictionary_of(data) | {"data": held, "axes": entries})
    if not np.array_equal(held, array, equal_nan=array.dtype.kind == "f"):
        yield f"more than 24 bits of a value ({array.dtype})"
    yield from _mask_and_variance(data)


def _mask_and_variance(data: Dataset) -> Iterator[str]:
    if data.mask is not None:
        yield f"the mask ({int(data.mask.sum())} left out)"
    if data.variance is not None:
        yield "the variance"


WRITERS: dict[str, Callable[[Dataset, Path, str], Iterator[str]]] = {
    ".hspy": hspy,
    ".zspy": hspy,
    ".npz": npz,
    ".npy": npy,
    ".msa": msa,
    ".tif": tif,
    ".tiff": tif,
}
"""By ending: each writes, then says what such a file does not hold."""

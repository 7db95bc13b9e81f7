"""The data sets of files, prepared as the options of a command say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from fusion.algebra.axis_differences import is_plain_index
from fusion.cli.bin_option import binned, bins_by_dataset
from fusion.cli.chosen_files import Chosen, chosen_of, reader_options
from fusion.cli.named_options import Suits, by_dataset, kind_of, split_name
from fusion.cli.windows import (
    Window,
    backgrounds_by_dataset,
    cuts_by_dataset,
    enclosing_window,
)
from fusion.data.dataset import Dataset
from fusion.files.contents import StoredDataset

WHOLE: Window = (None, None)


def prepared(
    files: Sequence[Path],
    *,
    joint: bool,
    signal: Sequence[str],
    bins: Sequence[str],
    background_window: Sequence[str],
    variance: Sequence[str],
    mask: Sequence[str],
    reader: Sequence[str] = (),
    segments: bool = False,
    dataset: str | None = None,
    **cuts: Sequence[str],
) -> list[Chosen]:
    """The data sets, prepared: masked, cropped, binned, with variances, without backgrounds.

    Raises:
        click.UsageError: if an option is none, or cannot be used for any of them.
        ValueError: if a step cannot be done.
    """
    chosen = chosen_of(files, signal, reader_options(reader, segments, dataset), joint=joint)
    chosen = _images_beside(chosen) if joint else chosen
    datasets = [each.data for each in chosen]
    wanted = cuts_by_dataset(cuts, datasets)
    windows = backgrounds_by_dataset(background_window, datasets)
    groups = bins_by_dataset(bins, datasets)
    variances = _by_value("--variance", variance, datasets, _suits_variance)
    masks = _by_value("--mask", mask, datasets, _suits_mask, for_all=True)
    ready = []
    for data in datasets:
        if data.name in masks:
            data = data.masked(_single_array("--mask", masks[data.name]))
        window = windows.get(data.name)
        data = _cropped_first(data, wanted, window)
        data = binned(data, groups[data.name])
        data = _with_variance(data, variances.get(data.name, "none"))
        if window is not None:
            data = data.subtract_background(window)
            data = _cropped(data, wanted.get(data.name, WHOLE), wanted)
        ready.append(data)
    return [replace(each, data=data) for each, data in zip(chosen, ready, strict=True)]


def parts_of(
    contents: Sequence[StoredDataset], *, bins: Sequence[str], **cuts: Sequence[str]
) -> list[StoredDataset]:
    """What a file holds, cropped and binned where it is opened, one data set at a time.

    Raises:
        click.UsageError: if an option is none, or cannot be used for any of them.
    """
    if not any((bins, *cuts.values())):
        return list(contents)
    reasons, parts = [], []
    for each in contents:
        data = each.open()
        try:
            window = cuts_by_dataset(cuts, [data]).get(data.name, WHOLE)
            groups = bins_by_dataset(bins, [data])[data.name]
        except click.UsageError as reason:
            reasons.append(reason)
            parts.append(each)
            continue
        part = binned(_cropped(data, window, {}), groups)
        opened = partial(_opened_part, each, window, groups)
        parts.append(replace(each, shape=part.shape, axes=part.axes, open=opened))
    if len(reasons) == len(parts):
        raise reasons[0]
    return parts


def _opened_part(each: StoredDataset, window: Window, groups: Mapping[str, int]) -> Dataset:
    return binned(_cropped(each.open(), window, {}), groups)


def _cropped_first(data: Dataset, wanted: Mapping[str, Window], window: Window | None) -> Dataset:
    """What is needed: the part that is wanted, and the window of the background."""
    part = wanted.get(data.name, WHOLE)
    return _cropped(data, part if window is None else enclosing_window(part, window), wanted)


def _cropped(data: Dataset, part: Window, wanted: Mapping[str, Window]) -> Dataset:
    if part == WHOLE:
        return data
    try:
        return data.crop(**{data.channels[0].name: part})
    except ValueError as error:
        if len(wanted) < 2:
            raise
        raise ValueError(
            f"{data.name}: {error} A window of one data set alone begins with its name: "
            f'--energy "{data.name}=FIRST:LAST".'
        ) from None


def _images_beside(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Arrays without energies, of the pixels of a map beside them, as the images that they are."""
    datasets = [each.data for each in chosen]
    maps = [d.shape[: len(d.shape) - d.signal] for d in datasets if len(d.shape) > 2 and d.signal]

    def as_image(data: Dataset) -> Dataset:
        plain = data.signal == 1 and is_plain_index(data.axes[-1])
        if not plain or data.shape not in maps:
            return data
        axes = [axis if axis.units else name for axis, name in zip(data.axes, "yx", strict=True)]
        return data.derive(data._array, "taken for an image", axes=axes, signal=0)

    return [replace(each, data=as_image(each.data)) for each in chosen]


def _by_value(
    flag: str, texts: Sequence[str], datasets: Sequence[Dataset], suits: Suits, **how: bool
) -> dict[str, str]:
    """Values or files by data set; the name of a file may hold "=", too."""
    names = [data.name for data in datasets]
    entries = [split_name(flag, t, names, whole=lambda value: Path(value).exists()) for t in texts]
    return by_dataset(flag, entries, datasets, suits, **how)


def _suits_variance(data: Dataset, value: str, named: bool) -> str:
    if named or data.signal or value == "none":
        return ""
    return f"{kind_of(data)}, for which it is given by name: --variance {data.name}={value}"


def _suits_mask(data: Dataset, value: str, named: bool) -> str:
    """Whether a mask is of the shape of the pixels, the channels or the array."""
    got = np.shape(_single_array("--mask", value))
    split = len(data.shape) - data.signal
    entries = len(got) == len(data.shape) and all(
        m in (1, n) for m, n in zip(got, data.shape, strict=True)
    )
    if entries or got in (data.shape[:split], data.shape[split:]):
        return ""
    return (
        f"{kind_of(data)}, this is a mask of shape {got}: give {data.shape[:split]} (pixels), "
        f"{data.shape[split:]} (channels) or {data.shape}, in the array's order; for one data set "
        "alone --mask NAME=FILE"
    )


def _single_array(option: str, name: str) -> Any:
    """The one array of a file."""
    path = Path(name)
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


def _with_variance(data: Dataset, variance: str) -> Dataset:
    """The data set with the variance that was asked for: none, estimate, a number or a file."""
    if variance == "none":
        return data
    if variance == "estimate":
        return data.estimate_variance()
    try:
        value = float(variance)
    except ValueError:
        value = _single_array("--variance", variance)
    return data.with_variance(value)

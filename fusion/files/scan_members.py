"""Which data sets of a file were measured at the same pixels, and are to be fitted together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from fusion.algebra.axis_differences import axis_differences
from fusion.files.contents import SeveralDatasets, StoredDataset


def of_one_scan(path: Path, contents: Sequence[StoredDataset]) -> list[StoredDataset]:
    """Maps of one scan and the images beside them; without a map, spectra, or images of one size.

    Raises:
        SeveralDatasets: if there are maps, or images without a map, of different pixels.
    """
    measured = [each for each in contents if not each.made_from]
    maps = [each for each in measured if each.is_map]
    if not maps:
        spectra = [each for each in measured if each.signal == 1 and each.axes[-1].units]
        if spectra:
            return _parts(spectra)
        return _alike(path, measured or contents)
    chosen = _alike(path, maps)
    images = [each for each in measured if each.signal == 0 and _same_pixels(each, chosen[0])]
    return [*chosen, *images]


def _alike(path: Path, contents: Sequence[StoredDataset]) -> list[StoredDataset]:
    """All of them, if their pixels are as many.

    Raises:
        SeveralDatasets: if they are not.
    """
    if len({each.pixels for each in contents}) > 1:
        raise SeveralDatasets(path, contents)
    return list(contents)


def _same_pixels(image: StoredDataset, of: StoredDataset) -> bool:
    """Whether an image has the pixels of a map, and their size where both are told."""
    if image.pixels != of.pixels:
        return False
    pairs = zip(image.axes, of.axes, strict=False)
    return not any(axis_differences(a, b, origin=False) for a, b in pairs)


def _parts(spectra: Sequence[StoredDataset]) -> list[StoredDataset]:
    """Without one that is the sum of all others: Velox keeps it beside those of the segments."""
    sums = sums_of_others(spectra)
    return [each for each in spectra if not any(each is one for one in sums)]


def sums_of_others(spectra: Sequence[StoredDataset]) -> list[StoredDataset]:
    """Those that are, value by value, the sum of all others."""
    if len(spectra) < 3 or len({each.shape for each in spectra}) > 1:
        return []
    values = torch.stack([each.open().tensor.double() for each in spectra])
    total = values.sum(0)
    sums = [torch.equal(2 * spectrum, total) for spectrum in values]
    return [each for each, is_sum in zip(spectra, sums, strict=True) if is_sum]

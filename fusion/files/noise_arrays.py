"""Masks and variances as they lie beside an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.files.array_header import ArrayHeader

NOISE = ("mask", "variance")


def fits(what: str, noise: ArrayHeader, of: ArrayHeader, signal: int) -> bool:
    """Whether a mask or variance can be that of an array.

    Args:
        what: "mask" or "variance".
        noise: the mask or variance.
        of: the array.
        signal: how many of the last axes of the array are spectral.
    """
    pixels = of.shape[: len(of.shape) - signal]
    if what == "mask":
        whole = noise.dtype.kind in "biu"
        return whole and (noise.shape == pixels or _broadcasts(noise.shape, of.shape))
    return noise.dtype.kind in "iuf" and (noise.shape == () or _broadcasts(noise.shape, of.shape))


def _broadcasts(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(small) == len(shape) and all(m in (1, n) for m, n in zip(small, shape, strict=True))


def noise_values(what: str, name: str, values: NDArray[Any], axes: int) -> NDArray[Any]:
    """Mask or variance as short as it can be: of length 1 along axes where nothing changes.

    Args:
        what: "mask" or "variance".
        name: in the file.
        values: as stored; of pixels alone they stay as they are.
        axes: how many the array has.

    Raises:
        ValueError: if a mask has other values than 0 and 1.
    """
    if what == "mask" and values.dtype != bool:
        if not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"{name} is no mask, it has values from {values.min()} to {values.max()}: give "
                "booleans, True = left out"
            )
        values = values.astype(bool)
    for axis in range(values.ndim if values.ndim == axes else 0):
        first = values.take([0], axis)
        values = first if values.ndim > 1 and (values == first).all() else values
    return values

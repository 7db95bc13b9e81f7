"""Division by a number, by pixels, or by another detector: `normalise`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.arrays import as_tensor
from fusion.algebra.axis_differences import axis_differences
from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.prepare.lazily import beside


def normalise(data: Dataset, by: Any) -> Dataset:
    """See `Dataset.normalise`."""
    scan = data.shape[: len(data.shape) - data.signal]
    divisor_text, divisor = _divisor(data, by, scan)
    divisor = _checked_positive(data, divisor, scan, f"normalise({divisor_text})")
    if divisor.ndim:
        divisor = divisor.reshape(*scan, *(1,) * data.signal)
    array: Any = data.numpy() if data.lazy is None else data.lazy
    kind = array.dtype if array.dtype.kind == "f" else np.dtype(float)
    variance = None if data.variance is None else data.variance / divisor.square()
    step = f"normalise({divisor_text})"
    step += "" if divisor.ndim else f": divided by {float(divisor):.6g}"
    by_entry = divisor.numpy() if data.lazy is None else beside(divisor, array)
    return data.derive((array / by_entry).astype(kind), step, variance=variance)


def _divisor(data: Dataset, by: Any, scan: tuple[int, ...]) -> tuple[str, Tensor]:
    """(what it is, one number or one for every pixel in float64)."""
    if by is None:
        return "", torch.tensor(tally(data).mean, dtype=torch.float64)
    if isinstance(by, Dataset):
        text, split = repr(by.name), len(by.shape) - by.signal
        values = torch.from_numpy(tally(by).rows).reshape(by.shape[:split])
        _check_same_pixels(data, by, text)
    else:
        values = _float_values(by)
        text = f"{float(values):g}" if values.ndim == 0 else f"array {tuple(values.shape)}"
    if values.ndim and tuple(values.shape) not in (scan, (prod(scan),)):
        raise ValueError(
            f"`normalise({text})`: {tuple(values.shape)} values, the pixels of {data} are {scan}: "
            "give one value for every pixel, in the array's order."
        )
    return text, values if values.ndim == 0 else values.reshape(scan)


def _check_same_pixels(data: Dataset, by: Dataset, text: str) -> None:
    """Complain of pixels in other steps or units; of other numbers it is said elsewhere."""
    if [a.size for a in data.pixels] != [a.size for a in by.pixels]:
        return
    pairs = zip(data.pixels, by.pixels, strict=True)
    if said := [f"{a.name}: {t}" for a, b in pairs for t in axis_differences(a, b, origin=False)]:
        raise ValueError(
            f"`normalise({text})`: {data} and {text} do not have the same pixels: "
            f"{'; '.join(said)}: bin them alike, or correct the calibration."
        )


def _float_values(by: Any) -> Tensor:
    """What was given, in float64."""
    array = by.detach().cpu().numpy() if isinstance(by, Tensor) else np.asarray(by)
    if array.dtype.kind not in "uif":
        raise ValueError(
            f"`normalise({by!r})`: {array.size} entries of type {array.dtype}: give a positive "
            "number, an array of them for every pixel, or a data set."
        )
    return as_tensor(array.astype(float))


def _checked_positive(data: Dataset, divisor: Tensor, scan: tuple[int, ...], call: str) -> Tensor:
    """The divisor, 1 in pixels that are wholly masked.

    Raises:
        ValueError: if another is not positive.
    """
    bad = ~(torch.isfinite(divisor) & (divisor > 0))
    if divisor.ndim and data.mask is not None:
        divisor = torch.where(masked := _masked_pixels(data, scan), 1.0, divisor)
        bad &= ~masked
    if (count := int(bad.sum())) > 0:
        advice = "mask those pixels, or divide" if divisor.ndim else "divide"
        raise ValueError(
            f"`{call}`: {count} of {divisor.numel()} divisors are not positive "
            f"(lowest {float(divisor.min()):g}): {advice} by something else."
        )
    return divisor


def _masked_pixels(data: Dataset, scan: tuple[int, ...]) -> Tensor:
    """Pixels that are wholly masked."""
    assert data.mask is not None
    return data.mask.expand(data.shape).reshape(*scan, -1).all(-1)

"""Division by a number, by pixels, or by another detector: `normalise`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch

from fusion.arrays import as_tensor
from fusion.dataset import Dataset


def normalise(data: Dataset, by: Any) -> Dataset:
    """See `Dataset.normalise`."""
    scan = data.shape[: len(data.shape) - data.signal]
    said, divisor = _divisor(data, by, scan)
    used = divisor if divisor.ndim == 0 or data.mask is None else divisor[~_dead(data, scan)]
    if (bad := int((~(torch.isfinite(used) & (used > 0))).sum())) > 0:
        raise ValueError(
            f"`normalise({said})`: {bad} of {used.numel()} divisors are not positive "
            f"(lowest {float(used.min()):g}): mask those pixels, or divide by something else."
        )
    divisor = torch.where(torch.isfinite(divisor) & (divisor > 0), divisor, 1.0)
    if divisor.ndim:
        divisor = divisor.reshape(*scan, *(1,) * data.signal)
    tensor = data.tensor
    kind = tensor.dtype if tensor.dtype.is_floating_point else torch.float64
    variance = None if data.variance is None else data.variance / divisor.square()
    step = f"normalise({said})"
    if not divisor.ndim:
        step += f": divided by {float(divisor):.6g}"
    return data.derive((tensor / divisor.to(tensor.device)).to(kind), step, variance=variance)


def _divisor(data: Dataset, by: Any, scan: tuple[int, ...]) -> tuple[str, torch.Tensor]:
    """(what it is, one number or one for every pixel in float64)."""
    if by is None:
        keep = None if data.mask is None else ~data.mask.expand(data.shape)
        seen = data.tensor if keep is None else data.tensor[keep.to(data.tensor.device)]
        return "mean", seen.double().mean().cpu()
    if isinstance(by, Dataset):
        split = len(by.shape) - by.signal
        values = by.tensor.double().reshape(*by.shape[:split], -1).sum(-1).cpu()
        said = repr(by.name)
    else:
        values = (
            as_tensor(np.asarray(by) if not isinstance(by, torch.Tensor) else by).double().cpu()
        )
        said = f"{float(values):g}" if values.ndim == 0 else f"array {tuple(values.shape)}"
    if values.ndim and tuple(values.shape) not in (scan, (prod(scan),)):
        raise ValueError(
            f"`normalise({said})`: of shape {tuple(values.shape)}, the pixels of {data} are {scan}: "
            "give one value for every pixel, in the array's order."
        )
    return said, values if values.ndim == 0 else values.reshape(scan)


def _dead(data: Dataset, scan: tuple[int, ...]) -> torch.Tensor:
    """Pixels that are wholly masked."""
    assert data.mask is not None
    return data.mask.expand(data.shape).reshape(*scan, -1).all(-1)

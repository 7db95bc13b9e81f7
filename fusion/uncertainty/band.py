"""The band of a factor, and what noise alone makes of it."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.engine.quadratic import Quadratic
from fusion.uncertainty.standard_errors import FittedPoint

Array = NDArray[Any]


class Band(NamedTuple):
    """Lowest and highest value of every entry of a factor, of its shape."""

    low: Array
    high: Array


def two_sided_quantile(level: float) -> float:
    """Standard deviations to either side that hold this share of a normal distribution."""
    return NormalDist().inv_cdf((1 + level) / 2)


def entry_errors(point: FittedPoint, g: float, deviations: float) -> dict[str, Tensor]:
    """Error bars of single entries, the other factors held: from the curvature's row blocks."""
    quadratic, errors_of = point.quadratic(), {}
    for slot, block in zip(point.objective.slots, quadratic.curvature.blocks(), strict=True):
        local = slot.module is not None and slot.module.entrywise
        if not local or block.rows * block.matrix.shape[-1] != int(np.prod(slot.shape)):
            continue
        full = block.expanded()[0]
        seen = full.diagonal(dim1=-2, dim2=-1) > 0
        inverse = torch.linalg.pinv(full, hermitian=True).diagonal(dim1=-2, dim2=-1)
        errors = deviations * (g * inverse.clamp_min(0)).sqrt() * seen
        errors_of[slot.name] = _errors_of_values(quadratic, slot, errors.reshape(slot.shape))
    return errors_of


def _errors_of_values(quadratic: Quadratic, slot: Any, errors: Tensor) -> Tensor:
    """Errors of values from those of raw entries; known ones have none."""
    chain = quadratic.bent.get(slot.name)
    if chain is not None and not slot.module.scale_free:
        errors = errors * chain.push(torch.ones_like(errors)[None])[0].abs()
    known = slot.module.known
    return errors if known is None else torch.where(known, 0, errors)

"""Rows of a prediction, as they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import Tensor

from fusion.algebra.prediction import Expanded, Prediction


def prediction_rows(M: Prediction, shape: tuple[int, int]) -> Callable[[Any], Tensor]:
    """Rows of a prediction in this two-way shape; expanded only where its last mode has others."""
    if isinstance(M, Expanded) or (prod(M.shape[:-1]), M.shape[-1]) != shape:
        full = M.dense().reshape(shape)
        return lambda rows: full[rows]
    left, right = M.two_way()
    return lambda rows: left[rows] @ right.T

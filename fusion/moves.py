"""Jumps that no small step finds: merging two components, switching a deviation off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Move:
    """New values for some factors, tried where the descent has ended.

    Attributes:
        label: what it does, in words, for the log.
        values: factor name → value of the factor's shape.
        polish: whether a few steps are made before it is judged.
    """

    label: str
    values: Mapping[str, Tensor]
    polish: bool = True

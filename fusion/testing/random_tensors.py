"""Seeded random tensors, float64 on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor

STARTS = 3
"""Starts in a batch that is held against a loop."""


def generator(seed: int = 0) -> torch.Generator:
    """A seeded source of random numbers, on the CPU."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    """Numbers from 0.1 to 1.1, float64."""
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64) + 0.1

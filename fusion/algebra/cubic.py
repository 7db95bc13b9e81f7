"""The cubic between samples on even steps."""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 2
"""Steps from which on a sample does not count."""


def cubic(x: Tensor) -> Tensor:
    """Weight of a sample that is x steps away: exact for parabolas, with a continuous derivative.

    References:
        Keys, IEEE Trans. Acoust. Speech Signal Process. 29:1153 (1981).
    """
    x = x.abs()
    near = (1.5 * x - 2.5) * x.square() + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < REACH, far, torch.zeros_like(x)))

"""Maxima of spectra between channels, as functions with derivatives."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

TOP = 0.9
"""Of the highest channel, down to which channels are part of the top."""
LEAST = 3
"""Channels of a parabola."""


class Top:
    """Which channels are the top of a spectrum within a window, and the parabola through them.

    The channels are those beside the highest one that reach 90 % of it, with the neighbours of the
    highest in any case: few where channels are wide, many where they are fine and noisy.

    Args:
        energies: (channel,) positions.
        spectrum: (channel,) of which the top is looked for.
        inside: (channel,) the window.

    Attributes:
        highest: the highest channel; at_end: whether it is the first or last of the window, where
            there is no maximum.
        lowest, uppermost: of the energies in the top.
    """

    def __init__(self, energies: Array, spectrum: Array, inside: NDArray[np.bool_]) -> None:
        order = np.flatnonzero(inside)
        order = order[np.argsort(energies[order])]
        values = spectrum[order]
        at = int(values.argmax())
        self.highest, self.at_end = int(order[at]), at in (0, len(order) - 1)
        low = high = at
        while low > 0 and values[low - 1] >= TOP * values[at]:
            low -= 1
        while high < len(order) - 1 and values[high + 1] >= TOP * values[at]:
            high += 1
        low, high = min(low, max(at - 1, 0)), max(high, min(at + 1, len(order) - 1))
        self.channels = order[low : high + 1]
        self.centre = float(energies[self.highest])
        x = energies[self.channels] - self.centre
        self.lowest, self.uppermost = energies[self.channels[0]], energies[self.channels[-1]]
        powers = np.stack([np.ones_like(x), x, x**2], 1)
        self.fit = torch.from_numpy(np.linalg.pinv(powers)) if len(x) >= LEAST else None

    def of(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """(energy, height) of the maximum; of the highest channel where no parabola has one."""
        plain = spectrum.new_tensor(self.centre), spectrum[self.highest]
        if self.fit is None:
            return plain
        height, slope, bend = self.fit @ spectrum[self.channels]
        if bool(bend >= 0):
            return plain
        by = -slope / (2 * bend)
        if not self.lowest <= self.centre + float(by.detach()) <= self.uppermost:
            return plain
        return self.centre + by, height + slope * by / 2

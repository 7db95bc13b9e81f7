"""Where an edge rises through a share of its height, as a function with derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.edges.channel_spectra import Bools
from fusion.edges.maxima import Top

Array = NDArray[np.float64]

POINTS = 4
"""Channels of the cubic in which the crossing lies."""
NEAR = 0.1
"""Of the height, within which a spectrum is near the level."""
BISECTIONS = 60
"""Halvings of a channel."""


class Rise:
    """Where one spectrum rises through a share of its height, with derivatives.

    Attributes:
        missing: why there is no such place, or "".
        elsewhere: other energies at which it comes near that height, where it rises in two steps.
    """

    def __init__(
        self, energies: Array, spectrum: Array, inside: Bools, foot: Bools | None, level: float
    ) -> None:
        self.top, self.level = Top(energies, spectrum, inside), level
        self.foot = None if foot is None else torch.from_numpy(foot)
        whole = torch.from_numpy(spectrum)
        self.missing, self.elsewhere = "", ()
        height, half = (float(x.detach()) for x in self._heights(whole))
        order = np.flatnonzero(inside)
        order = order[np.argsort(energies[order])]
        end = int(np.flatnonzero(order == self.top.highest)[0])
        values = spectrum[order[: end + 1]]
        above = int(np.argmax(values >= half))  # the first: there the edge begins
        if height <= 0:
            self.missing = "nothing rises in the window"
        elif self.top.at_end:
            self.missing = "it is highest at an end of the window, which holds no maximum"
        elif above == 0:
            self.missing = f"it is above {100 * level:g} % of its height in all of the window"
        if self.missing:
            return
        start = int(np.clip(above - 2, 0, len(order) - POINTS))
        self.channels = order[start : start + POINTS]
        self.origin, self.scale = energies[order[above - 1]], float(np.ptp(energies[self.channels]))
        x = (energies[self.channels] - self.origin) / self.scale
        self.fit = torch.from_numpy(np.linalg.inv(np.vander(x, POINTS, increasing=True)))
        upper = (energies[order[above]] - self.origin) / self.scale
        self.elsewhere = _elsewhere(energies[order[: end + 1]], values, above, half, NEAR * height)
        self.place = self._root(whole, half, float(upper))

    def _heights(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """(height of the edge, what the spectrum is at the onset)."""
        base = 0 * spectrum[0] if self.foot is None else spectrum[self.foot].mean()
        height = self.top.of(spectrum)[1] - base
        return height, base + self.level * height

    def _root(self, spectrum: Tensor, half: float, upper: float) -> float:
        """Where the cubic crosses, between 0 and `upper`."""
        a = (self.fit @ spectrum[self.channels]).tolist()
        low, high = 0.0, upper
        for _ in range(BISECTIONS):
            x = 0.5 * (low + high)
            low, high = (x, high) if _cubic(a, x) < half else (low, x)
        return 0.5 * (low + high)

    def of(self, spectrum: Tensor) -> Tensor:
        """(onset, height); a Newton step at the onset has its derivatives."""
        height, half = self._heights(spectrum)
        if self.missing:
            return torch.stack([0 * spectrum[0], height])
        a = self.fit @ spectrum[self.channels]
        slope = float((a[1] + 2 * a[2] * self.place + 3 * a[3] * self.place**2).detach())
        x = self.place - (_cubic(a, self.place) - half) / slope
        return torch.stack([self.origin + self.scale * x, height])


def _elsewhere(
    energies: Array, values: Array, above: int, half: float, near: float
) -> tuple[float, ...]:
    """Where maxima before, or right behind, the first rise through a height are about as high.

    Args:
        energies, values: in the window, up to its maximum.
        above: the first value above that height; half: the height.
        near: what is near.
    """
    low, high = above - 1, above
    while low > 0 and values[low - 1] < values[low]:
        low -= 1
    while high < len(values) - 1 and values[high + 1] > values[high]:
        high += 1
    made = []
    if low > 0 and values[:low].max() > half - near:
        made.append(float(energies[int(values[:low].argmax())]))
    if high < len(values) - 1 and values[high] < half + near:
        made.append(float(energies[high]))
    return tuple(made)


def _cubic(a: Any, x: float) -> Any:
    return a[0] + x * (a[1] + x * (a[2] + x * a[3]))

"""The continuum under two white lines: the tail of what comes before, and a step under each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.edges.channel_spectra import Bools
from fusion.edges.maxima import Top

Array = NDArray[np.float64]


class Continuum:
    """What lies under the lines.

    Args:
        energies: (channel,).
        level: (channel,) window behind the lines; foot: that before them, or None.
        electrons: of both subshells, as which the steps are.
        width: of the steps; decay: exponent of the tail.
    """

    def __init__(
        self,
        energies: Array,
        level: Bools,
        foot: Bools | None,
        electrons: tuple[int, int],
        width: float,
        decay: float,
    ) -> None:
        self.level = torch.from_numpy(level)
        self.foot = None if foot is None else torch.from_numpy(foot)
        self.energies, self.width = torch.from_numpy(energies), width
        self.shares = tuple(n / sum(electrons) for n in electrons)
        self.channel = torch.from_numpy(np.abs(np.gradient(energies)))
        tail = np.zeros_like(energies)
        if foot is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                power = np.where(energies > 0, energies, np.nan) ** -decay
            tail = np.nan_to_num(power / np.nanmean(power[foot]))
        self.tail = torch.from_numpy(tail)

    def below(self, spectrum: Tensor) -> Tensor:
        """(channel,) the tail of what comes before."""
        return self.tail * spectrum[self.foot].mean() if self.foot is not None else 0 * spectrum

    def height(self, spectrum: Tensor) -> Tensor:
        """Of both steps together."""
        return (spectrum - self.below(spectrum))[self.level].mean()

    def of(self, spectrum: Tensor, at: Sequence[Tensor] | Tensor) -> Tensor:
        """(channel,) all of it, steps at these energies."""
        made = self.below(spectrum)
        for share, position in zip(self.shares, at, strict=True):
            made = made + share * self.height(spectrum) * self._step(position)
        return made

    def _step(self, position: Tensor) -> Tensor:
        """From 0 to 1; a sharp one is shared out within its channel."""
        x = self.energies - position
        if self.width > 0:
            return 0.5 + torch.atan(torch.pi * x / self.width) / torch.pi
        return (0.5 + x / self.channel).clamp(0, 1)


def reading(
    inside: Sequence[Bools],
    continuum: Continuum,
    tops: Sequence[Top],
    maxima: tuple[float, float] | None,
) -> Callable[[Tensor], Tensor]:
    """Of one spectrum: both areas, ratio, branching ratio, both maxima, height of the steps."""
    rows = torch.from_numpy(np.stack(inside)).double()

    def read(spectrum: Tensor) -> Tensor:
        if maxima is None:
            at = [top.of(spectrum)[0] for top in tops]
        else:
            at = [spectrum.new_tensor(energy) + 0 * spectrum[0] for energy in maxima]
        first, second = rows @ (spectrum - continuum.of(spectrum, at))
        ratios = first / second, first / (first + second)
        return torch.stack([first, second, *ratios, *at, continuum.height(spectrum)])

    return read

"""What a silicon drift detector makes of X-rays: which it lets in, and how wide it shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.xrays.attenuation import mass_attenuation

Array = NDArray[np.float64]

PAIR = 3.65e-3
"""keV that a pair of electron and hole takes in silicon."""
FANO = 0.119
"""Of silicon: variance of the number of pairs over their mean."""
FWHM = 2.354820045
"""Full width at half maximum of a Gaussian of standard deviation 1."""
DENSITY = {"C": 2.0, "Si": 2.33}
"""g/cm³ of a window and of the detector."""
NM = 1e-7
"""cm."""
REACH = 6.0
"""Standard deviations from its middle, from which on a line has no more photons."""


@checked_class
@dataclass(frozen=True)
class Response:
    """A silicon drift detector as its maker describes it; a fit finds what it is not told.

    Args:
        noise: full width at 0 keV, from the electronics, keV.
        fano: Fano factor.
        window: thickness of what stands for window and coatings, as carbon, nm.
        dead_layer: of silicon that counts nothing, nm.
        thickness: of the silicon, mm.
    """

    noise: float = 0.05
    fano: float = FANO
    window: float = 100.0
    dead_layer: float = 80.0
    thickness: float = 0.45

    def __post_init__(self) -> None:
        for name in ("noise", "fano", "window", "dead_layer"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`Response({name}={getattr(self, name)!r})`: give 0 or more.")
        if not self.thickness > 0:
            raise ValueError(f"`Response(thickness={self.thickness!r})`: give mm, above 0.")

    def absorbers(self, energies: ArrayLike) -> tuple[Array, Array]:
        """Optical depths of window and dead layer at these energies in keV."""
        return (
            mass_attenuation("C", energies) * DENSITY["C"] * self.window * NM,
            mass_attenuation("Si", energies) * DENSITY["Si"] * self.dead_layer * NM,
        )

    def stopped(self, energies: ArrayLike) -> Array:
        """Share of what is let in that the silicon stops."""
        return -np.expm1(
            -mass_attenuation("Si", energies) * DENSITY["Si"] * self.thickness * 1e6 * NM
        )


class Groups(NamedTuple):
    """Which lines make up each of a number of groups, every line one of them, or pairs of both."""

    number: int
    owners: Tensor  # (line,) or (pair,)
    lines: Tensor | None = None  # (pair,)
    weights: Tensor | None = None  # (pair,) of the line in the group


def shown(
    energies: Tensor,
    variances: Tensor,
    shares: Tensor,
    groups: Groups,
    channels: Tensor,
    step: float,
    start: Tensor,
    width: int,
) -> Tensor:
    """Groups of single lines, integrated over evenly spaced channels: (group, channel).

    Only channels near a line are computed: `width` of them from channel `start` on.

    Args:
        energies, variances: (line,) where they are found, keV, keV².
        shares: (line,) photons.
        groups: which lines each group has.
        channels: (channel,) keV, `step` apart.
        start: (line,) first channel, whole; width: channels of each.
    """
    columns = start[:, None] + torch.arange(width, device=start.device)
    inside = (columns >= 0) & (columns < len(channels))
    root = torch.rsqrt(2 * variances)[:, None]
    edges = torch.arange(width + 1, device=start.device, dtype=channels.dtype) - 0.5
    low = channels[0] + step * (start[:, None] + edges) - energies[:, None]
    scaled = low * root
    below = scaled[:, 1:] + scaled[:, :-1] < 0  # erfc of what is positive: tails keep digits
    tails = torch.erfc(scaled.abs())
    sign = torch.where(scaled < 0, -1.0, 1.0).to(tails)
    upper = torch.where(sign < 0, 2 - tails, tails)  # erfc(scaled)
    whole = upper[:, :-1] - upper[:, 1:]
    mirrored = torch.where(sign < 0, tails, 2 - tails)
    values = torch.where(below, mirrored[:, 1:] - mirrored[:, :-1], whole)
    values = torch.where(inside, 0.5 * shares[:, None] * values, 0)
    columns = columns.clamp(0, len(channels) - 1)
    if groups.lines is not None and groups.weights is not None:
        values, columns = values[groups.lines], columns[groups.lines]
        values = values * groups.weights[:, None]
    places = groups.owners[:, None] * len(channels) + columns
    flat = values.new_zeros(groups.number * len(channels))
    return flat.index_add(0, places.flatten(), values.flatten()).reshape(groups.number, -1)

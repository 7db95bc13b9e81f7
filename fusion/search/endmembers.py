"""Pure spectra as the corners of what was measured, or of what could have been."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import log, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from fusion.algebra.calls import checked_class
from fusion.algebra.cautions import ClaimWarning
from fusion.algebra.truncated_svd import truncated_svd
from fusion.search.from_data import FromData

FAINT = 0.05
"""Points below this share of the largest amount are left out: their spectra are noise."""

ALIKE = 0.99985
"""Cosine of two spectra that are one: 1°."""
NOTHING = 1e-7
"""Singular values below this share of the largest are rounding."""
CHUNK = 2**22
"""Numbers of intermediate arrays."""


class Subspace(NamedTuple):
    """The K leading directions of scaled data: spectra are `basis` @ coordinates."""

    basis: Tensor  # (channel, K), in the unit of the data
    low: Tensor  # (pixel, K) coordinates of the pixels' spectra
    error: Tensor  # (channel,) standard error of a spectrum, over the length of z / s
    s: Tensor  # (K,) singular values of the scaled data


def subspace(X: Tensor, K: int) -> Subspace:
    """The signal's subspace of data (pixel, channel).

    Counts are scaled so that their noise is about the same everywhere: by the roots of the mean
    image and the mean spectrum.

    References:
        Keenan & Kotula, Surface and Interface Analysis 36:203 (2004).
    """
    rows, cols = (
        (_noise_scale(X.mean(1)), _noise_scale(X.mean(0))) if bool((X >= 0).all()) else (None, None)
    )
    scaled = X if rows is None or cols is None else X / rows[:, None] / cols
    U, s, V = truncated_svd(scaled, K)
    left = max(1, (X.shape[0] - K) * (X.shape[1] - K))
    noise = ((scaled.square().sum() - s.square().sum()).clamp_min(0) / left).sqrt()
    size = torch.ones_like(X[0]) if cols is None else cols
    low = U * s if rows is None else U * s * rows[:, None]
    return Subspace(V * size[:, None], low, noise * size, s)


def _noise_scale(mean: Tensor) -> Tensor:
    """Square roots of means over their own mean; 1 where nothing was counted."""
    root = (mean / mean.mean().clamp_min(torch.finfo(mean.dtype).tiny)).clamp_min(0).sqrt()
    return torch.where(root > 0, root, 1)


class Points(ABC):
    """Spectra among which the pure ones are looked for."""

    @abstractmethod
    def coordinates(self, space: Subspace) -> Tensor:
        """(point, K) coordinates of spectra of sum 1."""


@dataclass(frozen=True)
class Pixels(Points):
    """The pixels that were measured, without their noise outside the signal's subspace."""

    def coordinates(self, space: Subspace) -> Tensor:
        amount = space.low @ space.basis.sum(0)
        kept = amount > FAINT * amount.max()
        return space.low[kept] / amount[kept, None]


@checked_class
@dataclass(frozen=True)
class SSS(Points):
    """Signal subspace sampling: spectra that no pixel shows, but the signal's subspace allows.

    From the mean spectrum along random directions of the subspace, as far as no channel turns
    negative beyond its error. Where no pixel is pure, the corners of these are.

    Args:
        samples: number of directions.
        seed: of the directions.

    References:
        Muto & Shiga, Microscopy 69:110 (2020), fig. 6.
    """

    samples: int = 20_000
    seed: int = 0

    def coordinates(self, space: Subspace) -> Tensor:
        K = len(space.s)
        sums = space.basis.sum(0)
        centre = space.low.sum(0) / (space.low @ sums).sum()
        generator = torch.Generator().manual_seed(self.seed)
        d = torch.randn(self.samples, K, generator=generator, dtype=torch.float64).to(centre)
        d = d * Pixels().coordinates(space).std(0).clamp_min(1e-12 * float(centre.abs().max()))
        d = d - (d @ sums)[:, None] / (sums @ sums) * sums  # the sum stays 1
        at = space.basis @ centre
        error = sqrt(2 * log(len(at))) * space.error  # the largest of so many
        room = (at + error * torch.linalg.vector_norm(centre / space.s)).clamp_min(0)
        length = [
            _feasible_length(part, space, error, room) for part in d.split(CHUNK // len(at) + 1)
        ]
        return centre + torch.cat(length)[:, None] * d


def _feasible_length(d: Tensor, space: Subspace, error: Tensor, room: Tensor) -> Tensor:
    """How far one may go along directions (direction, K) until a channel has used its room."""
    fall = -(d @ space.basis.T) - error * torch.linalg.vector_norm(d / space.s, dim=1)[:, None]
    steps = torch.where(fall > 0, room / fall.clamp_min(torch.finfo(d.dtype).tiny), torch.inf)
    reach = steps.amin(1)
    return torch.where(torch.isfinite(reach), reach, 0)


@checked_class
@dataclass(frozen=True)
class Corners(FromData):
    """Points that stand farthest out give the spectra, least squares the maps.

    Args:
        points: where they are looked for: `Pixels()` or `SSS()`.
    """

    points: Points = field(default_factory=Pixels)

    @abstractmethod
    def pick(self, low: Tensor, K: int) -> list[int]:
        """K of the points (point, K)."""

    def factorise(self, X: Tensor, K: int) -> tuple[Tensor, Tensor]:
        space = subspace(X, K)
        low = self.points.coordinates(space)
        if not len(low):
            raise ValueError(
                f"`{self}`: none of {len(X)} spectra has a sum above 0, so none can be a corner: "
                "use `Random()`, or look at the data."
            )
        profiles = (space.basis @ low[self.pick(low, K)].T).clamp_min(0)
        self._warn_of_equal_corners(profiles, int((space.s > NOTHING * space.s[0]).sum()))
        profiles = profiles + 1e-3 * profiles.mean()
        amounts = torch.linalg.lstsq(profiles, X.T).solution.T
        return amounts.clamp_min(1e-3 * float(amounts.abs().mean())), profiles

    def _warn_of_equal_corners(self, profiles: Tensor, rank: int) -> None:
        """Say that there are fewer corners than were asked for: some alike, or of a lower rank."""
        unit = torch.nn.functional.normalize(profiles, dim=0)
        cosines = (unit.T @ unit).triu(1)
        K = profiles.shape[1]
        same = max(int((cosines > ALIKE).any(0).sum()), K - rank)
        if same:
            warnings.warn(
                f"`{self}`: {same} of {K} corners are others once more (within 1°) or between "
                f"them: the data have {K - same} corners, so take K = {K - same}, or another start "
                "for the rest.",
                ClaimWarning,
                stacklevel=2,
            )


class SPA(Corners):
    """Successive projections: the longest spectrum, then the longest of what is left.

    References:
        Gillis & Vavasis, TPAMI 36:698 (2014).
    """

    def pick(self, low: Tensor, K: int) -> list[int]:
        rest, chosen = low, []
        for _ in range(K):
            chosen.append(int(rest.square().sum(1).argmax()))
            direction = torch.nn.functional.normalize(rest[chosen[-1]], dim=0)
            rest = rest - (rest @ direction)[:, None] * direction
        return chosen


@checked_class
@dataclass(frozen=True)
class VCA(Corners):
    """Vertex component analysis: the farthest point along random directions.

    Each direction is at right angles to the points chosen so far.

    Args:
        points: where they are looked for: `Pixels()` or `SSS()`.
        seed: of the directions.

    References:
        Nascimento & Bioucas-Dias, TGRS 43:898 (2005).
    """

    seed: int = 0

    def pick(self, low: Tensor, K: int) -> list[int]:
        generator, chosen = torch.Generator().manual_seed(self.seed), []
        for k in range(K):
            direction = torch.randn(K, generator=generator, dtype=torch.float64).to(low)
            if k:
                known = torch.linalg.qr(low[chosen].T)[0]
                direction = direction - known @ (known.T @ direction)
            chosen.append(int((low @ direction).abs().argmax()))
        return chosen


class NFINDR(Corners):
    """N-FINDR: the points that span the largest simplex, exchanged one at a time.

    References:
        Winter, Proc. SPIE 3753:266 (1999).
    """

    def pick(self, low: Tensor, K: int) -> list[int]:
        chosen = SPA(points=self.points).pick(low, K)
        volume = 0.0
        while True:
            for k in range(K):  # the volume is linear in one corner: its row of the adjugate
                inverse = torch.linalg.pinv(low[chosen].T)
                chosen[k] = int((low @ inverse[k]).abs().argmax())
            grown = float(torch.linalg.det(low[chosen]).abs())
            if grown <= volume * (1 + 1e-9):
                return chosen
            volume = grown


@checked_class
@dataclass(frozen=True)
class PureMaps(FromData):
    """Pure maps in place of pure spectra: pixels and channels exchanged.

    Args:
        corners: how they are looked for, such as `VCA(points=SSS())`.
    """

    corners: Corners

    def factorise(self, X: Tensor, K: int) -> tuple[Tensor, Tensor]:
        S, C = self.corners.factorise(X.T, K)
        return C, S

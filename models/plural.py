"""Plural scattering as a few kernels and how much of each a pixel has, from the low loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.cubic import REACH, cubic
from fusion.prepare.noise_edge import hard_threshold
from fusion.prepare.scree import svd
from fusion.prepare.zero_loss import LowLoss

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST = 6
"""Kernels at most: more stand out of many electrons, and are not seen in core losses."""


@dataclass(frozen=True)
class Kernels:
    """Low loss ≈ B Dᵀ of every pixel over its sum, on channels of the core loss.

    Attributes:
        D: (loss channel, r), the zero loss in channel 0.
        B: (pixel, r), so that Σ_e (B Dᵀ)[p, e] = 1; zero where a pixel is not used.
        B_errors: (pixel,) standard deviation of each of its kernels' amounts.
        thickness: (pixel,) t/λ of B Dᵀ; errors: (pixel,) their standard deviations; NaN where a
            pixel is not used.
    """

    D: Array
    B: Array
    B_errors: Array
    thickness: Array
    errors: Array


def on_core_channels(low: LowLoss, step: float, channels: int) -> Array:
    """(pixel, loss channel): zero loss in channel 0, the others at whole steps from its centre.

    Counts are shared out where channels do not lie on each other, and none is lost on the way.

    Args:
        low: the spectra.
        step: eV, of the core loss.
        channels: of the core loss; losses beyond do not enter.
    """
    zero = low.zero
    stop = low.energies[zero.stop :]
    below, above = stop - low.step / 2 - zero.centre, stop + low.step / 2 - zero.centre
    reach = int(np.floor(above[-1] / step + 0.5 + 1e-6)) if len(stop) else 1
    lags = np.arange(max(1, min(channels, reach)))
    low_edge, high_edge = (lags - 0.5) * step, (lags + 0.5) * step
    low_edge[0] = -np.inf
    shares = np.minimum(high_edge[:, None], above) - np.maximum(low_edge[:, None], below)
    made = low.spectra[:, zero.stop :] @ (np.maximum(shares, 0) / low.step).T
    made[:, 0] += low.elastic
    return made


def peak_profile(low: LowLoss, step: float) -> Array:
    """Zero-loss peak of the mean pixel on channels of the core loss, sum 1, 0 eV in the middle.

    Args:
        low: the spectra.
        step: eV, of the core loss.
    """
    part = slice(low.zero.first, low.zero.stop)
    loss, counts = low.energies[part] - low.zero.centre, np.maximum(low.mean[part], 0)
    reach = int(np.ceil((np.abs(loss).max() + low.step / 2) / step - 0.5))
    centres = np.arange(-reach, reach + 1) * step
    ends = np.minimum(centres[:, None] + step / 2, loss + low.step / 2)
    shares = np.maximum(ends - np.maximum(centres[:, None] - step / 2, loss - low.step / 2), 0)
    profile = shares @ counts / low.step
    return profile / profile.sum()


def low_rank(spectra: Array, used: Bools, gain: float, rank: int | None) -> Kernels:
    """The kernels of low-loss spectra on core channels, by a truncated SVD in units of the noise.

    Args:
        spectra: (pixel, loss channel).
        used: (pixel,) which pixels count.
        gain: variance over mean of the counts.
        rank: r; None: as many as stand clearly out of the noise.
    """
    X = spectra[used]
    floor = 1e-9 * max(X.mean(), 1e-300)
    rows, columns = np.maximum(X.mean(1), floor), np.maximum(X.mean(0), floor)
    size = np.sqrt(gain * rows[:, None] * columns / X.mean())
    n, m = X.shape
    s, U, V = svd(X / size, min(MOST, n, m))
    edge = (np.sqrt(n) + np.sqrt(m)) * hard_threshold(n, m)
    found = max(1, int((s[:MOST] > edge).sum()))
    r = min(found if rank is None else rank, len(V))
    row, column = np.sqrt(rows), np.sqrt(gain * columns / X.mean())
    B, D = (U[:, :r] * s[:r]) * row[:, None], (V[:r] * column).T
    sums, zero = D.sum(0), D[0]
    total, elastic = B @ sums, np.maximum(B @ zero, floor)
    made, own = np.zeros((len(spectra), r)), np.zeros(len(spectra))
    made[used], own[used] = B / total[:, None], row / total
    thickness, errors = np.full((2, len(spectra)), np.nan)
    thickness[used] = np.log(total / elastic)
    # scores are one standard deviation each, in units of the noise: B = row · score
    slope = row[:, None] * (sums / total[:, None] - zero / elastic[:, None])
    errors[used] = np.sqrt((slope**2).sum(1))
    return Kernels(D, made, own, thickness, errors)


def moved_kernels(D: Tensor, offset: Tensor, ratio: Tensor) -> Tensor:
    """Kernels whose losses are `ratio` times and `offset` channels more, the zero loss in place.

    Between channels by cubics (Keys 1981), whose derivatives are continuous.

    Args:
        D: (loss channel, r), the zero loss in channel 0; what is lost below 0 does not enter.
        offset: channels; ratio: about 1; tensors without axes.
    """
    n = len(D)
    at = (torch.arange(1, n, dtype=D.dtype, device=D.device) - offset.to(D)) / ratio.to(D)
    place = at.detach().floor()[:, None] + torch.arange(1 - REACH, 1 + REACH, device=D.device)
    inside, near = (place >= 1) & (place < n), D[place.long().clamp(0, n - 1)]
    weights = cubic(at[:, None] - place) * inside
    return torch.cat([D[:1], (weights[:, None] @ near)[:, 0] / ratio.to(D)])


def with_peak(kernels: Tensor, peak: Tensor) -> Tensor:
    """Kernels whose zero loss has a shape, (loss channel, r); 0 eV is in the middle of `peak`.

    Args:
        kernels: (loss channel, r), all of the zero loss in channel 0.
        peak: (2 n + 1,), sum 1.
    """
    zero = len(peak) // 2
    more = max(0, zero + 1 - len(kernels))
    behind = torch.nn.functional.pad(kernels[1:], (0, 0, zero + 1, more))
    elastic = peak[:, None] * kernels[0]
    return behind + torch.nn.functional.pad(elastic, (0, 0, 0, len(behind) - len(peak)))

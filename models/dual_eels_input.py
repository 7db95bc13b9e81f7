"""What of core loss and low loss a model takes in, and what it says of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axis
from fusion.algebra.cautions import ClaimWarning, CutWarning, users_line
from fusion.algebra.units import in_units
from fusion.constraints import Constraint, Fixed
from fusion.data.dataset import Dataset
from fusion.models.plural import Kernels, low_rank, on_core_channels
from fusion.prepare.zero_loss import LowLoss

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

THICKEST = 3.0
"""t/λ above which a pixel is left out: less than 5 % of its electrons were not scattered."""
FEWEST = 1000
"""Electrons of the low loss in a pixel below which its noise is felt in the spectra."""
TOO_FEW = 100
"""Below which spectra were off by tens of degrees whatever was done."""
MISSED = 0.005
"""Share of the electrons beyond the low loss from which on it is told."""
STEPS = 0.01
"""Share by which steps of two axes may differ and be the same."""


@dataclass(frozen=True)
class CoreLoss:
    """Core losses as they are looked at before a fit.

    Attributes:
        axis: in eV; spectra: (pixel, channel); weights: (channel,), 1 at most, of the variance.
        seen: (pixel,) whether a pixel is not masked as a whole.
    """

    axis: Axis
    spectra: Tensor
    weights: Tensor
    seen: Bools


def core_loss(call: str, core: Dataset) -> CoreLoss:
    """The core losses, read.

    Raises:
        ValueError: if their energies are not those of core losses.
    """
    axis = in_units(core.channels[0], "eV", call) if core.signal == 1 else None
    if axis is None or not axis.uniform or axis.scale <= 0 or axis.values[0] <= 0:
        raise ValueError(
            f"`{call}`: {core.name!r} has no uniform energy axis that rises, all above 0 eV: give "
            "core losses on one, `data.with_axes(…)`."
        )
    shape = core.matrix_shape
    weights = core.weights(shape)
    of_channels = torch.ones(shape[1], dtype=torch.float64)
    if weights.full is not None:
        of_channels = weights.full.double().mean(0)
    elif weights.cols is not None:
        of_channels = weights.cols.double()
    seen: Bools = np.ones(shape[0], dtype=bool)
    if core.mask is not None:
        hidden = np.asarray(core.mask.expand(core.shape).numpy().reshape(shape))
        seen = np.asarray(~hidden.all(1))
        of_channels = torch.where(torch.from_numpy(hidden[seen].all(0)), 0.0, of_channels)
        return CoreLoss(axis, _filled(core.matrix.double(), hidden), _relative(of_channels), seen)
    return CoreLoss(axis, core.matrix.double(), _relative(of_channels), seen)


def _relative(of_channels: Tensor) -> Tensor:
    return of_channels / of_channels.max()


def _filled(X: Tensor, hidden: Bools) -> Tensor:
    """Spectra with lines across masked channels, for a start: what lies under a mask is nothing."""
    n = X.shape[1]
    channels = np.broadcast_to(np.arange(n), hidden.shape)
    left = np.maximum.accumulate(np.where(hidden, -1, channels), 1)
    right = np.minimum.accumulate(np.where(hidden, n, channels)[:, ::-1], 1)[:, ::-1]
    low, high = np.where(left < 0, right, left), np.where(right == n, left, right)
    share = (channels - low) / np.maximum(high - low, 1)
    ends = [torch.from_numpy(np.clip(end, 0, n - 1)) for end in (low, high)]
    below, above = (X.gather(1, end) for end in ends)
    line = below + torch.from_numpy(share) * (above - below)
    return torch.where(torch.from_numpy(hidden), line, X)


def kernels_of(call: str, core: CoreLoss, low: LowLoss, rank: int | None) -> tuple[Kernels, Bools]:
    """The low loss on the channels of the core loss, and (pixel,) which pixels it serves.

    Others are dark, cut off, or too thick; their kernels are zero.

    Raises:
        ValueError: if none is left.
    """
    used = _whole(call, core, low)
    low.say_where_it_ends(call)
    step, channels = core.axis.scale, core.spectra.shape[1]
    if abs(low.step - step) > STEPS * step:
        _say(
            f"`{call}`: {low.low.name!r} has steps of {low.step:g} eV, the core loss of "
            f"{step:g} eV: resampled."
        )
    H = on_core_channels(low, step, channels)
    if H.shape[1] < channels and low.share_beyond > MISSED:
        _say(
            f"`{call}`: {low.low.name!r} ends {H.shape[1] * step:g} eV behind the zero loss, "
            f"the core loss is {channels * step:g} eV wide: about {100 * low.share_beyond:.2g} % "
            "of the electrons lost more and are taken not to be there."
        )
    kernels = low_rank(H, used, low.gain, rank)
    thin = used & ~(kernels.thickness > THICKEST)
    _say_too_thick(call, kernels.thickness, left=bool(thin.any()))
    kernels.B[~thin] = 0
    return kernels, thin


def amounts_are_fitted(call: str, low: LowLoss, used: Bools, fitted: bool | None) -> bool:
    """Whether the amounts of kernels are fitted with their noise; few electrons are told of."""
    electrons = float(np.median(low.total[used])) / low.gain
    few = electrons < FEWEST
    if few:
        done = (
            "taken as if it had no noise: bin pixels, or leave `fit_amounts` out"
            if fitted is False
            else "fitted within its noise beside the core loss"
            if electrons >= TOO_FEW
            else "fitted within its noise, which is too large to rely on: bin pixels"
        )
        warnings.warn(
            f"`{call}`: {low.low.name!r} has about {electrons:.3g} electrons a pixel: {done}.",
            ClaimWarning,
            stacklevel=users_line(),
        )
    return few if fitted is None else fitted


def _whole(call: str, core: CoreLoss, low: LowLoss) -> Bools:
    """Pixels that are seen and whose low loss is whole."""
    name, clipped = low.low.name, int(low.clipped.sum())
    used = low.seen & (low.elastic > 0) & ~low.clipped & core.seen
    if not used.any():
        raise ValueError(
            f"`{call}`: no pixel is left: of {len(used)}, {int((~low.seen).sum())} are masked or "
            f"dark in {name!r}, in {clipped} its zero loss is cut off."
        )
    if clipped:
        _say(
            f"`{call}`: the zero loss of {clipped} pixels of {name!r} is cut off at "
            f"{low.spectra.max():g}: they are left out; record it with a shorter exposure."
        )
    if dark := int((~low.seen | (low.elastic <= 0)).sum()):
        _say(f"`{call}`: {dark} pixels of {name!r} are masked or dark: they are left out.")
    return used


def _say_too_thick(call: str, thickness: Array, *, left: bool) -> None:
    thick = int((thickness > THICKEST).sum())
    text = f"`{call}`: {thick} pixels are thicker than {THICKEST:g} λ"
    if thick and not left:
        raise ValueError(f"{text}, and no others are left: crop the map to where it is thinner.")
    if thick:
        _say(
            f"{text} (t/λ up to {np.nanmax(thickness):.2g}): they are left out, as hardly any "
            "electron was scattered once there."
        )


def zero_but(rows: Tensor, K: int) -> list[Constraint]:
    """That all other rows are zero, if there are some."""
    if bool(rows.all()):
        return []
    return [Fixed(torch.where(rows, torch.nan, 0.0).double()[:, None].expand(-1, K))]


def _say(text: str) -> None:
    warnings.warn(text, CutWarning, stacklevel=users_line())

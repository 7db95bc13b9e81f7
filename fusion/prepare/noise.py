"""Noise as the data tell it: what the significant components leave over."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import NoiseWarning, users_line
from fusion.algebra.display import Display, Facts, Shown
from fusion.data.array_input import fits_in_memory
from fusion.data.count_value import count_value_of
from fusion.data.dataset import Dataset
from fusion.data.signal_type import signal_type
from fusion.data.suited_threads import threads_suit_data
from fusion.data.tally import tally
from fusion.data.usable_form import all_finite
from fusion.prepare.image_noise import neighbour_variance
from fusion.prepare.mean_variance import variance_by_mean
from fusion.prepare.noise_levels import (
    could_be_counts,
    equal_in_all_channels,
    impute_clipped,
    noise_by_mean,
    noise_by_pixel_and_channel,
)
from fusion.prepare.noise_sample import NoiseSample, noise_sample
from fusion.prepare.scree import Scree

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

FEW = 4  # pixels or channels below which nothing tells noise from signal
ROUNDING = 1e6  # singular value over the edge above which all noise is rounding
COUNTS = 0.15  # how far the gain of integers may be from 1 for them to count as Poisson counts
FULL = 40  # bytes an entry, that a variance of every entry takes while it is made
CORRELATED = 0.1  # of neighbouring channels, above which the noise is not called independent


@dataclass(frozen=True, eq=False, repr=False)
class Noise(Shown):
    """The noise of one data set.

    Attributes:
        gain: variance over mean; 1 for counts; NaN where the variance does not follow the mean.
        readout: variance without signal, in the squared unit of the data.
        counts: whether the data are Poisson counts.
        correlation: of the noise of neighbouring channels.
        inflation: variance of a sum over many channels, over the sum of their variances.
        scree: singular values in units of the noise, with the edge above which they are no noise.
        binned: how many neighbours were summed for it along every axis.
        channels: variance of every channel, of the shape of the signal axes, where `gain` is NaN.
        levels: mean and variance of entries of one expected level each, (level, 2), per entry as
            measured: the photon transfer curve. None where `gain` is NaN.
        clipped: share of values that were below zero and are zero; it was allowed for.
    """

    gain: float
    readout: float
    counts: bool
    correlation: float
    inflation: float
    scree: Scree
    binned: tuple[int, ...]
    channels: Array | None
    levels: Array | None
    clipped: float = 0.0

    @property
    def correlated(self) -> bool:
        """Whether neighbouring channels share their noise."""
        return self.correlation > CORRELATED

    def __str__(self) -> str:
        if self.counts:
            text = f"Poisson counts (variance {self.gain:.2f} × mean)"
        elif self.channels is not None:
            text = "a variance of its own in every channel"
        else:
            text = f"variance = {self.gain:.3g} × mean"
            text += f" + {self.readout:.3g}" if self.readout > 0 else ""
        if self.clipped:
            text += f"; clipped at zero ({100 * self.clipped:.0f} % of the values)"
        if self.correlated:
            text += (
                f"; neighbouring channels are correlated ({self.correlation:.2f}), "
                f"a sum of many varies {self.inflation:.1f} × as much as independent ones"
            )
        return text

    def _display(self) -> Display:
        scree = self.scree
        told = f"{scree.clear} stand clearly out of the noise, {scree.rank} lie above its edge"
        facts = [
            ("components", told),
            ("channels", f"neighbours are correlated by {self.correlation:.3f}"),
        ]
        if any(n > 1 for n in self.binned):
            facts.append(("told by sums of", " × ".join(map(str, self.binned)) + " neighbours"))
        return Display(f"Noise: {self}", (Facts(facts),))

    @checked_call
    def plot(self, *, panel: Panel | None = None) -> Figure:
        """Variance against mean with the fitted line; see `fusion.plots.plot_noise`.

        Args:
            panel: matplotlib axes to draw into; default: a figure of its own.
        """
        from fusion.plots import plot_noise

        return plot_noise(self, panel=panel)


def measure(data: Dataset) -> Noise:
    """The noise of a data set, from its residual behind the components that stand out of it.

    Every entry is divided by the expected size of its noise; singular values above the largest of
    pure noise are signal; the mean square of the rest, against the mean signal, is variance = gain
    × mean + read-out. Where means are not positive, every channel has its variance.

    Raises:
        ValueError: if there are fewer than four pixels or channels, all values are the same, or
            nothing is left of them beyond rounding.
    """
    all_finite(data)
    return noise_of_what_is_left(data)


@threads_suit_data
def noise_of_what_is_left(data: Dataset) -> Noise:
    """The same where NaN and infinities are left out as if they were masked."""
    stats = tally(data)
    q = count_value_of(stats)
    noise = _tell(data, noise_sample(data, stats, q))
    # means of counts, or counts over a time: the noise is that of counts
    return noise if q in (None, 1.0) else _in_unit(noise, q)


def _are_xrays(data: Dataset) -> bool:
    """Whether they are counted one by one, as the type says, whatever neighbours share."""
    return signal_type(data.channels, data.metadata).startswith("EDS")


def _tell(data: Dataset, sample: NoiseSample) -> Noise:
    """The noise of these pixels."""
    X, coarse, binned = sample
    if data.signal and data.matrix_shape[0] == 1:
        raise ValueError(
            f"`{data}`: a single spectrum, no map: the noise and the number of components are told "
            f"from {FEW} pixels or more; counts need none (`Poisson`), else give variance=…."
        )
    if min(X.shape) < FEW:
        few = data.matrix_shape if min(data.matrix_shape) < FEW else X.shape
        raise ValueError(
            f"`{data}`: the noise is told from {FEW} pixels and {FEW} channels or more; here "
            f"{few[0]} and {few[1]} are whole and not empty: give variance=… instead."
        )
    if X.min() == X.max():
        raise ValueError(f"`{data}`: all values are the same, {X.min():g}: there is no noise.")
    X, clipped = impute_clipped(X)
    rows, columns, summed = X.mean(1), X.mean(0), prod(binned)
    scree, channels, counts, levels = None, None, False, None
    gain = readout = float("nan")
    if not clipped and rows.min() > 0 and columns.min() > 0:
        scree, gain, readout, levels = noise_by_mean(X, rows, columns)
        levels = levels / summed
        ratio = gain + readout / X.mean()
        single = scree.correlation < CORRELATED or _are_xrays(data)
        counts = could_be_counts(X) and abs(ratio - 1) < COUNTS and single
        gain, readout = (ratio, 0.0) if counts else (gain, readout)
    if scree is None or not (could_be_counts(X) or equal_in_all_channels(scree)):
        other, across, along = noise_by_pixel_and_channel(X)
        if scree is None or other.rank <= scree.rank:  # as the more plausible explanation
            variances = along**2 * float((across**2).mean())
            scree, channels, levels = other, _channel_variances(data, coarse, variances), None
            gain, readout = float("nan"), float(variances.mean())
    if scree.correlation > 1 or scree.over_edge[0] > ROUNDING:
        raise ValueError(
            f"`{data}`: {scree.rank} components leave none beyond rounding: give variance=… "
            "if you know one."
        )
    return Noise(
        gain=gain,
        readout=readout / summed,
        counts=counts,
        correlation=scree.correlation,
        inflation=scree.inflation,
        scree=scree,
        binned=binned,
        channels=channels,
        levels=levels,
        clipped=clipped,
    )


def _in_unit(noise: Noise, q: float) -> Noise:
    """The noise of counts where each is worth q."""
    return replace(
        noise,
        gain=noise.gain * q,
        readout=noise.readout * q**2,
        counts=False,
        channels=None if noise.channels is None else noise.channels * q**2,
        levels=None if noise.levels is None else noise.levels * [q, q**2],
    )


def estimate_variance(data: Dataset) -> Dataset:
    """See `Dataset.estimate_variance`."""
    if data.matrix_shape[1] < FEW <= data.matrix_shape[0]:  # images: neighbours tell
        variance = neighbour_variance(data, "pixels")
        step = f"estimate_variance(): {variance:.4g}, from neighbouring pixels"
        return data.derive(data._array, step, variance=variance)
    noise = measure(data)
    if noise.correlated:
        warnings.warn(
            f"`{data}.estimate_variance()`: the noise of neighbouring channels is correlated "
            f"({noise.correlation:.2f}): losses, priors and the number of components take the data "
            f"for {noise.inflation:.1f} times as certain as they are: bin the channels.",
            NoiseWarning,
            stacklevel=users_line(),
        )
    if noise.channels is not None:
        variance = noise.channels.reshape(data.shape[len(data.shape) - data.signal :])
    else:
        if data.lazy is not None:
            _check_memory(data)
        held = data.renamed(data.name)  # what is lazy is read for this, and not kept
        variance = variance_by_mean(held, noise).reshape(data.shape)
    return data.derive(
        data._array, f"estimate_variance(): {noise}", variance=np.maximum(variance, 1e-300)
    )


def _check_memory(data: Dataset) -> None:
    """Complain where a variance of every entry would be too much."""
    fits_in_memory(
        FULL * prod(data.shape),
        lambda need, have: (
            f"`{data}`: {need} are needed while a variance of every entry is made, the machine has "
            f"{have}: bin first; counts need no variance, `fu.losses.Poisson(data)`; or give one a "
            "channel."
        ),
    )


def _channel_variances(data: Dataset, columns: NDArray[np.intp], variance: Array) -> Array:
    """A variance for every channel: those without one get the median."""
    every = np.full(data.matrix_shape[1], float(np.median(variance)))
    every[columns] = variance  # only counts are binned, and they are never negative
    return np.maximum(every, 1e-12 * every.max())

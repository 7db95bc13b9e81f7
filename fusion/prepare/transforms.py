"""Scalings after which the noise is the same everywhere, and back: `KeenanKotula`, `Anscombe`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.arrays import as_tensor
from fusion.algebra.calls import checked_call, checked_class
from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.prepare.lazily import beside, by_block

if TYPE_CHECKING:
    from fusion.answers.result import Result

Given = TypeVar("Given", Dataset, Tensor, NDArray[Any])

TOP = 200  # counts up to which the expected value of an Anscombe transform is tabulated
POINTS = 4000  # of that table
REACH, NODES = 8.0, 1601  # standard deviations of read-out noise, and points of their integral


class KeenanKotula:
    """Counts in units of their own noise: x / √(aᵢ bⱼ / m), and back.

    aᵢ is the mean of pixel i, bⱼ of channel j, m of all: aᵢ bⱼ / m is the rank-one estimate of the
    mean of an entry, which for counts is its variance. Least squares of scaled data are those of
    the data with this variance, `Frobenius(data.with_variance(t.variance))`: the loss is the same
    for C and S as for the scaled data's C / √(a/m) and S / √b. A fit needs the variance only; the
    scaling is for what knows no weights, such as an SVD. Pixels and channels without counts, or
    wholly masked, are left as they are. HyperSpy's scaled data are these over √(Σ x).

    Args:
        data: counts, or what has a variance proportional to its mean.

    Attributes:
        rows: √(a / m), (pixel,), no unit; `columns`: √b, (channel,), in the root of the data's
            unit; both float64.

    Raises:
        ValueError: if values are negative, and with them the mean of a pixel or channel, or zero.

    References:
        Keenan & Kotula, Surface and Interface Analysis 36:203 (2004).

    Example:
        >>> counts = fu.Dataset("edxs", np.random.default_rng(0).poisson(2.0, (8, 10, 60)))
        >>> scaling = fu.KeenanKotula(counts)
        >>> weighted = counts.with_variance(scaling.variance)
        >>> weighted.shape
        (8, 10, 60)
    """

    @checked_call
    def __init__(self, data: Dataset) -> None:
        stats = tally(data)
        if stats.negatives:
            _check_means(data, stats.row_means, "pixels")
            _check_means(data, stats.means, "channels")
        m = stats.mean if stats.mean > 0 else 1.0
        self.rows, self.columns = _roots(stats.row_means / m), _roots(stats.means)
        self._data = data

    @property
    def variance(self) -> Tensor:
        """aᵢ bⱼ / m of every entry, of the shape of the data, for `Dataset.with_variance`."""
        return torch.outer(self.rows.square(), self.columns.square()).reshape(self._data.shape)

    def forward(self, data: Dataset) -> Dataset:
        """The data scaled; a variance is scaled with them.

        Raises:
            ValueError: if they are of another shape than those that gave the scale.
        """
        step = "Keenan–Kotula: divided by √(mean image × mean spectrum / mean)"
        return self._scale(data, torch.reciprocal, step)

    def inverse(self, given: Given) -> Given:
        """Back in the unit of the data: a data set, or an array of its shape or (pixel, channel).

        Raises:
            ValueError: if it is of another shape.
        """
        if isinstance(given, Dataset):
            step = "Keenan–Kotula undone: times √(mean image × mean spectrum / mean)"
            return self._scale(given, lambda size: size, step)
        return _apply(given, lambda x: x * self._entry_scale(x))

    def factors(self, result: Result) -> dict[str, NDArray[Any]]:
        """Maps and spectra of a fit to scaled data, in the unit of the data.

        Spectra have unit columns, the amount is in the maps.

        Raises:
            ValueError: unless the factors are one of maps and one of spectra.
        """
        at = {axes[0]: name for name, axes in result.axes.items() if axes[0]}
        pixels, channels = (at.get(axes) for axes in (self._data.pixels, self._data.channels))
        if pixels is None or channels is None or len(result.factors) != 2:
            raise ValueError(
                f"`KeenanKotula.factors`: the result has {', '.join(result.factors)}: only one "
                "factor of maps and one of spectra can be scaled back: fit the data with this "
                "variance instead, `data.with_variance(t.variance)`."
            )
        C = result.factors[pixels] * self.rows.numpy()[:, None]
        S = result.factors[channels] * self.columns.numpy()[:, None]
        norm = np.sqrt(np.nansum(S**2, axis=0))
        return {pixels: C * norm, channels: S / np.where(norm > 0, norm, 1.0)}

    def _scale(self, data: Dataset, power: Callable[[Tensor], Tensor], step: str) -> Dataset:
        if data.shape != self._data.shape:
            raise ValueError(
                f"`KeenanKotula({self._data})`: {data} has the shape {data.shape}, the scale "
                f"{self._data.shape}: make it from these data."
            )
        if data.lazy is not None and data.variance is None:
            return data.derive(self._scale_lazily(data, power), step)
        factor = power(self._entry_scale(data.tensor))
        variance = data.variance
        if variance is not None:
            variance = variance * factor.cpu().square()
        return data.derive(_as_float(data.tensor) * factor, step, variance=variance)

    def _scale_lazily(self, data: Dataset, power: Callable[[Tensor], Tensor]) -> Any:
        """The same of a dask array, by what scales pixels and channels apart."""
        split = len(data.pixels)
        kind = data.lazy.dtype if data.lazy.dtype in (np.float32, np.float64) else np.dtype(float)
        rows = power(self.rows.reshape(*data.shape[:split], *(1,) * data.signal))
        columns = power(self.columns.reshape(*(1,) * split, *data.shape[split:]))
        return (data.lazy * beside(rows, data.lazy) * beside(columns, data.lazy)).astype(kind)

    def _entry_scale(self, like: Tensor) -> Tensor:
        """√(aᵢ bⱼ / m) of every entry, in the shape and on the device of this array."""
        shape = tuple(like.shape)
        if shape not in (self._data.shape, self._data.matrix_shape):
            raise ValueError(
                f"`KeenanKotula({self._data})`: an array of shape {shape}: give "
                f"{self._data.shape}, or {self._data.matrix_shape} (pixel, channel)."
            )
        rows, columns = (v.to(like.device, _float_dtype(like)) for v in (self.rows, self.columns))
        return torch.outer(rows, columns).reshape(shape)


@checked_class
@dataclass(frozen=True)
class Anscombe:
    """Counts made normal, of variance 1: z = (2/g) √(g (x − μ) + ⅜ g² + σ²), and back.

    For x = μ + g · Poisson + read-out noise of variance σ²; g = 1, σ² = μ = 0 is Anscombe's own.
    Below a count or two the variance falls short of 1. The root is no linear map: components of z
    are not those of x; it serves denoising and tests that want normal noise.

    Args:
        gain: g > 0, in the unit of the data.
        readout: σ² ≥ 0, variance without signal, in the squared unit of the data.
        offset: μ, the value without signal, in the unit of the data.

    Raises:
        ValueError: if one of them is not finite, a gain not positive, a variance negative.

    References:
        Anscombe, Biometrika 35:246 (1948); Mäkitalo & Foi, IEEE Trans. Image Process. 20:99 (2011)
        and 22:91 (2013).
    """

    gain: float = 1.0
    readout: float = 0.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        finite = all(isfinite(v) for v in (self.gain, self.readout, self.offset))
        if not finite or self.gain <= 0 or self.readout < 0:
            raise ValueError(f"`{self}`: give gain > 0, readout ≥ 0 and a finite offset.")

    @classmethod
    def of(cls, data: Dataset) -> Anscombe:
        """With the gain and read-out noise that the data tell (`Dataset.noise`), offset 0.

        Raises:
            ValueError: if their variance does not follow their mean.
        """
        noise = data.noise()
        if noise.channels is not None:
            raise ValueError(
                f"`Anscombe.of({data})`: {noise}: the variance does not follow the mean: give "
                "gain and read-out, or use data before the background is taken off."
            )
        return cls(1.0 if noise.counts else noise.gain, noise.readout)

    def forward(self, data: Dataset) -> Dataset:
        """The data, of variance 1; `history` says how many values lay below the root's range."""
        if data.lazy is not None:
            return self._forward_lazily(data)
        argument = (_as_float(data.tensor) - self.offset) / self.gain + 0.375 + self._sigma2
        below = argument < 0
        if data.mask is not None:
            below &= ~data.mask.to(below.device)
        cut = f": {int(below.sum())} values below its range" if bool(below.any()) else ""
        z = 2 * argument.clamp_min(0).sqrt()
        return data.derive(z, f"{self}.forward{cut}", variance=None)

    def _forward_lazily(self, data: Dataset) -> Dataset:
        """The same block by block; how many values lie below is not known before they are read."""

        def of(x: Tensor) -> Tensor:
            argument = (_as_float(x) - self.offset) / self.gain + 0.375 + self._sigma2
            return 2 * argument.clamp_min(0).sqrt()

        return data.derive(_lazily(of, data), f"{self}.forward", variance=None)

    def inverse(self, given: Given) -> Given:
        """The value whose transform it is: undoes `forward` value by value; z < 0 counts as 0."""
        return self._invert(given, lambda z: z.square() / 4 - 0.375 - self._sigma2, "inverse")

    def unbiased_inverse(self, given: Given) -> Given:
        """The mean of x where z is the mean of its transform: for what was denoised, or fitted.

        Of means, `inverse` is too low, by a quarter of a count: E[z] is less than z of E[x]. This
        one is exact: it inverts E[z] as summed over all counts and integrated over the read-out
        noise. z below that of no signal gives the offset.
        """
        return self._invert(given, lambda z: _unbiased(z, self._sigma2), "unbiased_inverse")

    @property
    def _sigma2(self) -> float:
        """Read-out variance in squared counts."""
        return self.readout / self.gain**2

    def _invert(self, given: Given, counts: Callable[[Tensor], Tensor], name: str) -> Given:
        def inverse(z: Tensor) -> Tensor:
            return self.gain * counts(z.clamp_min(0)) + self.offset

        if isinstance(given, Dataset):
            lazy = given.lazy is not None
            x = _lazily(inverse, given) if lazy else inverse(_as_float(given.tensor))
            return given.derive(x, f"{self}.{name}", variance=None)
        return _apply(given, inverse)


def _lazily(function: Callable[[Tensor], Tensor], data: Dataset) -> Any:
    """A function of every value, of a dask array."""
    kind = data.lazy.dtype if data.lazy.dtype in (np.float32, np.float64) else np.dtype(float)

    def of(block: NDArray[Any]) -> NDArray[Any]:
        return function(_as_float(as_tensor(block))).numpy()

    return by_block(of, data.lazy, dtype=kind)


def _unbiased(z: Tensor, sigma2: float) -> Tensor:
    """Expected counts y ≥ 0 from E[z | y]: from the table, beyond it z²/4 − ⅛ − σ² + c/z²."""
    means, y = (v.to(z.device) for v in _expected_transform(sigma2))
    wide = z.double().nan_to_num(nan=0.0)
    i = torch.searchsorted(means, wide.contiguous()).clamp(1, len(means) - 1)
    share = ((wide - means[i - 1]) / (means[i] - means[i - 1])).clamp_min(0)
    inside = y[i - 1] + share * (y[i] - y[i - 1])
    last = means[-1]
    remainder = y[-1] - (last.square() / 4 - 0.125 - sigma2)  # of the series, falls as 1/z²
    beyond = wide.square() / 4 - 0.125 - sigma2 + remainder * (last / wide.clamp_min(1)).square()
    return torch.where(z.isnan(), torch.nan, torch.where(wide > last, beyond, inside)).to(z.dtype)


@lru_cache(maxsize=8)
def _expected_transform(sigma2: float) -> tuple[Tensor, Tensor]:
    """(E[2 √max(k + n + ⅜ + σ², 0)], y), k ~ Poisson(y), n ~ N(0, σ²); float64, y from 0."""
    y = torch.linspace(0, sqrt(TOP), POINTS, dtype=torch.float64).square()
    k = torch.arange(TOP + 12 * sqrt(TOP), dtype=torch.float64)
    u = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    normal = (-u.square() / 2).exp()
    given_k = (k[:, None] + 0.375 + sigma2 + sqrt(sigma2) * u).clamp_min(0).sqrt() @ normal
    log = torch.xlogy(k, y[:, None]) - y[:, None] - torch.lgamma(k + 1)
    return log.exp() @ (2 * given_k / normal.sum()), y


def _apply(given: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A function of tensors, of what was given: a tensor, or an array."""
    values = function(_as_float(as_tensor(given)))
    return values if isinstance(given, Tensor) else values.numpy()


def _float_dtype(x: Tensor) -> torch.dtype:
    """Float32 and float64 stay, all else becomes float64."""
    return x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float64


def _as_float(x: Tensor) -> Tensor:
    return x.to(_float_dtype(x))


def _roots(means: NDArray[np.float64]) -> Tensor:
    """Their roots; 1 where there is nothing."""
    return torch.from_numpy(np.sqrt(np.where(means > 0, means, 1.0)))


def _check_means(data: Dataset, means: NDArray[np.float64], what: str) -> None:
    if (bad := int((means <= 0).sum())) > 0:
        raise ValueError(
            f"`KeenanKotula({data})`: {bad} of {means.size} {what} have no positive mean (lowest "
            f"{np.nanmin(means):.4g}): use counts as measured, or `estimate_variance`."
        )

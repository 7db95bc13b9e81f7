"""Principal components of scaled data, as many as stand out of the noise: `denoise`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.data.dataset import Dataset
from fusion.data.suited_threads import threads_suit_data
from fusion.data.tally import tally
from fusion.prepare.chosen_pixels import mask_of_pixels, spectra_in_parts
from fusion.prepare.lazily import by_block, whole_spectra

if TYPE_CHECKING:
    from fusion.prepare.noise import Noise

Array = NDArray[np.float64]

NO_LONGER = "its noise is no longer independent"
PART = 4096  # spectra of lazy data that are looked at together


class Scaling(ABC):
    """Sizes by which entries are divided, a product of one per pixel and one per channel."""

    @abstractmethod
    def sizes(self, data: Dataset, noise: Noise | None) -> tuple[Array, Array]:
        """((pixel,), (channel,)), positive, in any unit."""


@dataclass(frozen=True)
class Unscaled(Scaling):
    """All entries alike: right where the noise has one size."""

    def sizes(self, data: Dataset, noise: Noise | None) -> tuple[Array, Array]:
        n, m = data.matrix_shape
        return np.ones(n), np.ones(m)


@dataclass(frozen=True)
class KeenanKotula(Scaling):
    """Roots of the mean image and of the mean spectrum: right for counts.

    References:
        Keenan & Kotula, Surf. Interface Anal. 36:203 (2004).
    """

    def sizes(self, data: Dataset, noise: Noise | None) -> tuple[Array, Array]:
        stats = tally(data)
        rows, columns = stats.row_means, stats.means
        if min(np.nanmin(rows), np.nanmin(columns)) < 0:
            raise ValueError(
                f"`denoise`: {data} has negative means, so `KeenanKotula()` cannot scale it: "
                "use `Estimated()`, or denoise before the background is subtracted."
            )
        return _roots(rows), _roots(columns)


@dataclass(frozen=True)
class Estimated(Scaling):
    """Roots of the data set's variance, else of the variance that its noise shows."""

    def sizes(self, data: Dataset, noise: Noise | None) -> tuple[Array, Array]:
        if data.variance is not None:
            rows, columns = _means(data, data.variance)
            return _roots(rows / rows.mean()), _roots(columns)
        noise = data.noise() if noise is None else noise
        n, m = data.matrix_shape
        if noise.channels is not None:
            return np.ones(n), _roots(noise.channels.reshape(m))
        stats = tally(data)
        gain = 1.0 if noise.counts else noise.gain
        rows, columns = (
            gain * (np.nan_to_num(means).clip(0) + 0.5 / size) + noise.readout
            for means, size in ((stats.row_means, m), (stats.means, n))
        )
        return _roots(rows / rows.mean()), _roots(columns)


@threads_suit_data
def denoise(data: Dataset, components: int | None, scaling: Scaling | None) -> Dataset:
    """See `Dataset.denoise`."""
    noise = data.noise() if components is None or scaling is None else None
    K = noise.scree.clear if components is None and noise is not None else components
    n, m = data.matrix_shape
    if not isinstance(K, Integral) or not 1 <= K <= min(n, m):
        why = "no component stands clearly out of the noise: " if components is None else ""
        raise ValueError(f"`{data}.denoise({K!r})`: {why}give 1 to {min(n, m)} components.")
    scaling = Estimated() if scaling is None else scaling
    if not isinstance(scaling, Scaling):  # fusion.KeenanKotula is another: there and back
        raise TypeError(
            f"`{data}.denoise(scaling={type(scaling).__name__}(…))`: give one of "
            "fusion.prepare.denoise: Estimated(), KeenanKotula() or Unscaled()."
        )
    told = ", all that stand clearly out of the noise" if components is None else ""
    what = f"denoise({K}, {scaling}): principal components{told}"
    if data.lazy is not None and _whole_lines(data):
        array = _lazily(data, int(K), scaling.sizes(data, noise))
        return data.derive(array, f"{what}; {NO_LONGER}", variance=None)
    X, hidden, left, right = principal_components(data, K, scaling.sizes(data, noise))
    denoised = left @ right.T
    denoised = torch.where(hidden, X, denoised)
    negatives = int((denoised < 0).sum())
    step = f"{what}; {negatives} of {denoised.numel()} values negative; {NO_LONGER}"
    dtype = data.tensor.dtype if data.tensor.dtype.is_floating_point else torch.float64
    return data.derive(denoised.to(dtype).reshape(data.shape), step, variance=None)


def _whole_lines(data: Dataset) -> bool:
    """Whether nothing but whole pixels and channels is masked or not finite."""
    told = tally(data)
    if told.broken:
        return False
    hidden = torch.zeros((), dtype=torch.bool) if data.mask is None else data.mask
    split = len(data.pixels)
    hidden = hidden.reshape((1,) * (len(data.shape) - hidden.ndim) + tuple(hidden.shape))
    spectra = hidden.flatten(0, split - 1) if split else hidden[None]
    spectra = spectra.reshape(spectra.shape[0], -1)
    return torch.equal(spectra, spectra.all(1, keepdim=True) | spectra.all(0))


def _lazily(data: Dataset, K: int, sizes: tuple[Array, Array]) -> Any:
    """The same where the data are read later: their spectra are found in a pass, block by block."""
    split, (rows, columns) = len(data.pixels), sizes
    gram = np.zeros((len(columns), len(columns)))
    for pixels, values in spectra_in_parts(data, PART):
        scaled = values / (rows[pixels, None] * columns)
        if data.mask is not None:
            scaled[mask_of_pixels(data, pixels)] = 0.0
        gram += scaled.T @ scaled
    V = np.linalg.eigh(gram)[1][:, -K:]
    kind = data.lazy.dtype if data.lazy.dtype.kind == "f" else np.dtype(float)

    def of(block: NDArray[Any], size: Array, masked: NDArray[np.bool_] | None) -> NDArray[Any]:
        X = block.astype(float)
        scaled = X if masked is None else np.where(masked, 0.0, X)
        scaled = (scaled / size).reshape(-1, len(columns)) / columns
        made = ((scaled @ V) @ V.T * columns).reshape(X.shape) * size
        return (made if masked is None else np.where(masked, X, made)).astype(kind)

    size = rows.reshape(*data.shape[:split], *(1,) * data.signal)
    mask = None if data.mask is None else data.mask.numpy()
    return by_block(of, whole_spectra(data), size, mask, dtype=kind)


def _means(data: Dataset, values: Tensor) -> tuple[Array, Array]:
    """Means over channels and over pixels of what broadcasts to the data, without its expansion."""
    split = len(data.pixels)
    rows = values.reshape(*values.shape[:split], -1).mean(-1).expand(data.shape[:split])
    columns = values.reshape(-1, *values.shape[split:]).mean(0).expand(data.shape[split:])
    return rows.reshape(-1).numpy(), columns.reshape(-1).numpy()


def principal_components(
    data: Dataset, K: int, sizes: tuple[Array, Array]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(data X, which are masked or NaN, L, R), where L Rᵀ, (pixel, K) (channel, K), is near X.

    Args:
        sizes: of the noise of pixels and of channels, by whose product entries are divided.
    """
    from fusion.algebra.completion import complete
    from fusion.algebra.truncated_svd import truncated_svd

    n, m = data.matrix_shape
    rows, columns = (torch.as_tensor(each) for each in sizes)
    X = data.matrix.to(torch.float64)
    size = (rows[:, None] * columns).to(X.device)
    hidden = ~torch.isfinite(X)
    if data.mask is not None:
        hidden |= data.mask.expand(data.shape).reshape(n, m).to(X.device)
    scaled = torch.where(hidden, 0.0, X) / size
    if bool(hidden.any()):
        V = truncated_svd(scaled, K)[2]
        filled, *_ = complete(scaled.cpu().numpy(), hidden.cpu().numpy(), V.cpu().numpy())
        scaled = torch.from_numpy(filled).to(X)
    U, s, V = truncated_svd(scaled, K)
    return X, hidden, (U * s) * rows[:, None].to(X.device), V * columns[:, None].to(X.device)


def _roots(means: Array) -> Array:
    """Square roots; of what is empty or masked, that of the smallest positive one."""
    means = np.nan_to_num(means)
    positive = means[means > 0]
    least = float(positive.min()) if positive.size else 1.0
    return np.sqrt(np.maximum(means, least))

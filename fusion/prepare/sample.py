"""A part of the pixels or entries, as if no more had been measured, and maps between them."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.seeds import generator
from fusion.data.dataset import Dataset
from fusion.prepare.lazily import beside

if TYPE_CHECKING:
    from fusion.answers.result import Result


def sample_pixels(data: Dataset, share: float, seed: int) -> Dataset:
    """See `Dataset.sample_pixels`."""
    scan = data.shape[: len(data.shape) - data.signal]
    hidden = torch.zeros(scan, dtype=torch.bool)
    if data.mask is not None:
        hidden = data.mask.flatten(len(scan)).all(-1).expand(scan)
    return _subset(data, hidden.reshape(*scan, *(1,) * data.signal), share, seed, "pixels")


def sample_entries(data: Dataset, share: float, seed: int) -> Dataset:
    """See `Dataset.sample_entries`."""
    hidden = torch.zeros(data.shape, dtype=torch.bool)
    hidden = hidden if data.mask is None else data.mask.expand(data.shape)
    return _subset(data, hidden, share, seed, "entries")


def _subset(data: Dataset, hidden: Tensor, share: float, seed: int, what: str) -> Dataset:
    """With a mask of all but this share of what is not hidden."""
    call = f"sample_{what}({share!r}, seed={seed!r})"
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 < share <= 1:
        per_cent = isinstance(share, Real) and 1 < share <= 100
        mend = f": {share:g} % are {float(share) / 100:g}" if per_cent else ""
        raise ValueError(f"`{call}`: the share must be above 0, at most 1{mend}.")
    known = (~hidden).flatten().nonzero()[:, 0].numpy()
    count = round(share * len(known))
    if not count:
        raise ValueError(f"`{call}`: none of {len(known)} {what} are left: give a larger share.")
    kept = generator(seed).choice(known, count, replace=False)
    mask = torch.ones(hidden.numel(), dtype=torch.bool)
    mask[torch.from_numpy(kept)] = False
    mask = mask.reshape(hidden.shape)
    step = f"{call}: {count} of {len(known)} {what} kept"
    array = data._array  # sparse entries stay: a mask hides them
    if data.lazy is not None:
        import dask.array as da

        array = da.where(beside(mask, data.lazy), np.zeros((), data.lazy.dtype), data.lazy)
    elif data.entries is None:
        hidden = mask.expand(data.shape).to(data.tensor.device)  # torch fills no uint16
        array = torch.where(hidden, data.tensor.new_zeros(()), data.tensor)
    return data.derive(array, step, mask=mask if data.mask is None else mask | data.mask)


@checked_call
def fill_maps(result: Result, factor: str) -> Result:
    """Maps where no pixel was measured: as smooth as the measured ones allow.

    Fills the rows of a factor that are NaN by the least Σ_{i~j} ‖c_i − c_j‖² over neighbouring
    pixels, the measured rows held: every filled value is the mean of its neighbours, and lies
    between the lowest and the highest of the map. It is the limit of a weak `SpatialSmoothness`,
    which in the loss also smooths what was measured.

    Args:
        result: a fit to data of which pixels are masked, `data.sample_pixels(0.2)`.
        factor: name of the maps, (pixel, K), built from a data set's `.pixels`.

    Returns:
        The result with the factor filled; `messages` says so. What the data say of the fit stays,
        `model` too.

    Raises:
        ValueError: if there is no such factor, its axes are not known, or no row was measured.
    """
    call = f"fill_maps(result, {factor!r})"
    if factor not in result.factors:
        raise ValueError(f"`{call}`: the result has {', '.join(result.factors)}: name one of them.")
    maps, axes = result.factors[factor], result.axes.get(factor, (None,))[0]
    if axes is None or maps.ndim != 2:
        raise ValueError(
            f"`{call}`: of shape {maps.shape}, not built from axes: "
            "`Factor((data.pixels, K))` tells where its pixels are."
        )
    unknown: Any = np.isnan(maps).any(1)
    if unknown.all():
        raise ValueError(f"`{call}`: all {len(maps)} rows are NaN: nothing was measured.")
    if not unknown.any():
        return result
    filled = _harmonic(maps, unknown, tuple(axis.size or 1 for axis in axes))
    message = f"{int(unknown.sum())} of {len(maps)} rows of {factor} filled from their neighbours"
    messages = [m for m in result.messages if f"rows of {factor} are masked" not in m]
    factors = result.factors | {factor: filled}
    return replace(result, factors=factors, messages=[*messages, message])


def _harmonic(maps: NDArray[Any], unknown: NDArray[np.bool_], grid: tuple[int, ...]) -> NDArray:
    """Rows that solve L_uu c_u = −L_uk c_k, L the Laplacian of the grid, free edges."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    index = np.arange(len(maps)).reshape(grid)
    pairs = [
        (index.take(range(n - 1), axis).ravel(), index.take(range(1, n), axis).ravel())
        for axis, n in enumerate(grid)
    ]
    i, j = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    adjacency = coo_array((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(len(maps),) * 2)
    adjacency = adjacency.tocsr()[unknown]
    sums = adjacency[:, ~unknown] @ maps[~unknown]
    degrees = coo_array((adjacency.sum(1), (np.arange(len(sums)),) * 2), shape=(len(sums),) * 2)
    filled = maps.copy()
    filled[unknown] = splu((degrees - adjacency[:, unknown]).tocsc()).solve(sums.astype(float))
    return filled

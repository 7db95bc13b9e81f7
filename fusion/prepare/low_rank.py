"""Spectra compressed to a few components, a part of the pixels at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.prepare.chosen_pixels import mask_of_pixels, spectra_in_parts

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

PART = 4096  # spectra that are read at once
LEAST = 0.01  # share of the mean signal below which a pixel or channel is not weighed up further
RIDGE = 1e-9  # holds what the entries that are seen do not tell


def low_rank(data: Dataset, components: int, call: str) -> Callable[[Array, Bools], Array]:
    """The leading components of the data in units of counting noise.

    Entries are divided by √(mean of the pixel · mean of the channel), so that a strong channel's
    noise does not pass for signal. Entries that are not seen are taken as that rank-one mean while
    the components are found, and left out when a spectrum is laid on them.

    Args:
        data: of spectra; what is lazy is read in two passes, block by block.
        components: how many are kept.
        call: named in errors.

    Returns:
        (spectra (pixel, channel), entries to use) → the same spectra, of this rank.

    References:
        Keenan & Kotula, Surf. Interface Anal. 36:203 (2004).
    """
    shape = data.matrix_shape
    if not 1 <= components <= min(shape):
        raise ValueError(
            f"`{call}`: {components} components of {shape} (pixel, channel): "
            f"give a number from 1 to {min(shape)}."
        )
    stats = tally(data)
    least = LEAST * abs(stats.mean) or 1.0
    rows, columns = (
        np.maximum(np.nan_to_num(means), least) for means in (stats.row_means, stats.means)
    )
    gram = np.zeros((shape[1], shape[1]))
    for pixels, values in spectra_in_parts(data, PART):
        x = values.astype(float)
        seen = np.isfinite(x)
        if data.mask is not None:
            seen &= ~mask_of_pixels(data, pixels)
        x = np.where(seen, x, rows[pixels, None] * columns / columns.mean())
        x /= np.sqrt(rows[pixels, None] * columns)
        gram += x.T @ x
    spectra = np.linalg.eigh(gram)[1][:, -components:]

    def compress(values: Array, seen: Bools) -> Array:
        scaled = np.where(seen, values, 0.0) / np.sqrt(columns)
        amounts = scaled @ spectra
        if not seen.all():
            grams = np.einsum("pc,ck,cl->pkl", seen.astype(float), spectra, spectra, optimize=True)
            grams += RIDGE * np.eye(components)
            amounts = np.linalg.solve(grams, amounts[..., None])[..., 0]
        return (amounts @ spectra.T) * np.sqrt(columns)

    return compress

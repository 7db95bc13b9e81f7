"""Likeliest amounts of every pixel of counts, compiled: each row is read once, and then done.

For M = L Rᵀ and Σ w (m − x ln m), R held.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.threads import shared_workers
from fusion.forms.entries import Entries
from fusion.likelihood.count_maps_parts import COARSE, LANES, paired

Array = NDArray[Any]
ROWS = 4096
"""Rows that a thread takes at a time; what they add up to does not depend on who takes them."""
MOST = 24
"""Components for which it is compiled, at most."""


class Maps(NamedTuple):
    """What `LikeliestMaps` finds.

    Attributes:
        rows: L (row, K).
        loss: Σ w (m − x ln m).
        explained, bent: Σ w x L / m and Σ w x L² / m² of every channel, (column, K).
        mass: Σ of the rows, each by its weight, (K,).
        looks: at all rows together.
    """

    rows: Tensor
    loss: float
    explained: Tensor
    bent: Tensor
    mass: Tensor
    looks: int


class LikeliestMaps:
    """Rows L ≥ 0 at which Σ w (m − x ln m) of M = L Rᵀ is smallest, of any counts x.

    Args:
        R: (column, K) ≥ 0.
        by_column: weights, (column,); None: 1.

    References:
        Nesterov & Nemirovskii, Interior-Point Polynomial Algorithms (1994), chapter 2.
    """

    def __init__(self, R: Tensor, by_column: Tensor | None = None) -> None:
        largest = R.abs().amax(0).double()
        self.scale = torch.where(largest > 0, largest, 1).numpy()  # so that single precision serves
        weights = np.ones(len(R)) if by_column is None else by_column.double().numpy()
        right = _padded(R.double().numpy() / self.scale)
        self.weights, self.reach = weights.astype(np.float32), weights @ right
        fine = np.ascontiguousarray(right.T, np.float32)
        coarse = _together(weights[:, None] * right)
        self.spectra = fine, coarse, paired(fine), paired(coarse)

    def of(self, x: Tensor | Entries, L: Tensor, by_row: Tensor | None = None) -> Maps:
        """The rows of these counts.

        Args:
            x: counts (row, column) on a CPU, whole numbers of 8 or 16 bits, or those that are not
                zero as a list.
            L: (row, K) ≥ 0, where they begin.
            by_row: weights, (row,); None: 1. Rows of weight 0 stay.
        """
        from fusion.likelihood.count_maps_kernel import kernel  # what compiles is loaded with it

        n, K = L.shape
        own = np.ones(n) if by_row is None else by_row.double().numpy()
        made, shape = _padded(L.double().numpy() * self.scale), self.spectra[0].shape
        run, parts = kernel(len(self.reach), isinstance(x, Entries)), dict[int, tuple[Any, ...]]()
        held = self.reach, *self.spectra

        def task(number: int) -> None:
            rows, sums = slice(number * ROWS, (number + 1) * ROWS), np.zeros((2, *shape))
            told = run(_stored(x, rows), self.weights, own[rows], *held, made[rows], sums)
            parts[number] = (sums, *told)

        count = -(-n // ROWS)
        if torch.get_num_threads() > 1:
            shared_workers().share(task, count)
        else:
            for number in range(count):
                task(number)
        in_order = [parts[number] for number in range(count)]
        fell, looks = (sum(part[i] for part in in_order) for i in (1, 2))
        mass, both = own @ made, np.sum([part[0] for part in in_order], 0)
        explained, bent, scale = both[0, :K].T, both[1, :K].T, self.scale
        found = made[:, :K] / scale, explained / scale, bent / scale**2, mass[:K] / scale
        rows, *others = map(torch.from_numpy, found)
        return Maps(rows, float(mass @ self.reach) + float(fell), *others, looks=int(looks))


def likeliest(
    x: Tensor | Entries,
    L: Tensor,
    R: Tensor,
    by_row: Tensor | None = None,
    by_column: Tensor | None = None,
) -> Maps:
    """The rows of `LikeliestMaps` for these counts alone."""
    return LikeliestMaps(R, by_column).of(x, L, by_row)


def _stored(x: Tensor | Entries, rows: slice) -> Any:
    """Some rows of counts as the kernel reads them."""
    if isinstance(x, Entries):
        start = x.start[rows.start : rows.stop + 1]
        return start.numpy(), x.j.numpy(), x.x.numpy()
    return x[rows].numpy()


def _padded(values: Array) -> Array:
    """(row, K) with zeros up to whole lanes."""
    K = values.shape[1]
    made = np.zeros((len(values), -(-K // LANES) * LANES))
    made[:, :K] = values
    return made


def _together(right: Array) -> Array:
    """(K, column / 8): channels added up."""
    starts = np.arange(0, len(right), COARSE)
    return np.ascontiguousarray(np.add.reduceat(right, starts, 0).T, np.float32)

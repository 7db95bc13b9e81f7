"""Sums and counts of a data set, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset

PART = 2**18  # values that are looked at once


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over what is neither masked nor NaN.

    Attributes:
        rows: sum of every pixel, `row_counts` of how many values; `columns`: of every channel.
        minimum: of all; NaN where nothing is left, as `maximum`.
        zeros: how many values are 0; `negatives`: below it.
        masked: how many are; `broken`: how many others are NaN or infinite.
    """

    rows: NDArray[np.float64]
    row_counts: NDArray[np.int64]
    columns: NDArray[np.float64]
    column_counts: NDArray[np.int64]
    minimum: float
    maximum: float
    zeros: int
    negatives: int
    masked: int
    broken: int

    @property
    def totals(self) -> NDArray[np.float64]:
        """Total of every pixel, as if all had as many values as the best; NaN where none is."""
        return self.row_counts.max() * self.row_means

    @property
    def row_means(self) -> NDArray[np.float64]:
        """Mean of every pixel; NaN where nothing is left of it."""
        return _ratio(self.rows, self.row_counts)

    @property
    def mean(self) -> float:
        """Mean of all; 0 where nothing is left."""
        return float(self.rows.sum() / max(int(self.row_counts.sum()), 1))

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean of every channel; NaN where nothing is left of it."""
        return _ratio(self.columns, self.column_counts)


def tally(data: Dataset) -> Tally:
    """Sums and counts in one pass over the data, a part at a time; kept with the data set."""
    if data.tallied is None:
        data.tallied = _tally(data)
    return data.tallied


def _tally(data: Dataset) -> Tally:
    if data.entries is not None:
        return _sparse(data)
    n, m = data.matrix_shape
    masked = None if data.mask is None else data.mask.expand(data.shape).reshape(n, m)
    rows, row_counts = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.int64)
    columns, column_counts = torch.zeros(m, dtype=torch.float64), torch.zeros(m, dtype=torch.int64)
    low, high, zeros, negatives = float("inf"), -float("inf"), 0, 0
    for part in (slice(i, i + max(PART // m, 1)) for i in range(0, n, max(PART // m, 1))):
        values = data.matrix[part].cpu().double()
        seen = values.isfinite() if masked is None else values.isfinite() & ~masked[part]
        values = values.where(seen, 0.0)
        rows[part], row_counts[part] = values.sum(1), seen.sum(1)
        columns, column_counts = columns + values.sum(0), column_counts + seen.sum(0)
        zeros += int(((values == 0) & seen).sum())
        negatives += int((values < 0).sum())
        low = min(low, float(values.where(seen, torch.inf).min()))
        high = max(high, float(values.where(seen, -torch.inf).max()))
    left, hidden = int(row_counts.sum()), 0 if masked is None else int(masked.sum())
    return Tally(
        rows=rows.numpy(),
        row_counts=row_counts.numpy(),
        columns=columns.numpy(),
        column_counts=column_counts.numpy(),
        minimum=low if left else float("nan"),
        maximum=high if left else float("nan"),
        zeros=zeros,
        negatives=negatives,
        masked=hidden,
        broken=n * m - hidden - left,
    )


def _sparse(data: Dataset) -> Tally:
    """The same of sparse data."""
    assert data.entries is not None
    (n, m), held = data.matrix_shape, data.entries
    i, j, x = held.i.cpu().long(), held.j.cpu().long(), held.x.cpu().double()
    hidden = torch.zeros((), dtype=torch.bool) if data.mask is None else data.mask
    hidden = hidden.reshape((1,) * (len(data.shape) - hidden.ndim) + tuple(hidden.shape))
    split = len(data.shape) - data.signal
    spectra = hidden.flatten(split).flatten(0, -2)  # (pixel or 1, channel or 1)
    whole = spectra.all(1), spectra.all(0)
    if not torch.equal(spectra, whole[0][:, None] | whole[1]):
        raise ValueError(
            f"`{data}`: sparse, with a mask of single entries: mask pixels, or channels."
        )
    pixels = whole[0].reshape(hidden.shape[:split]).expand(data.shape[:split]).reshape(-1)
    channels = whole[1].reshape(hidden.shape[split:]).expand(data.shape[split:]).reshape(-1)
    if data.mask is not None:
        seen = ~(pixels[i] | channels[j])
        i, j, x = i[seen], j[seen], x[seen]
    left = int((~pixels).sum()) * int((~channels).sum())
    zeros = left - len(x)
    return Tally(
        rows=torch.zeros(n, dtype=torch.float64).index_add_(0, i, x).numpy(),
        row_counts=((~pixels) * (~channels).sum()).numpy(),
        columns=torch.zeros(m, dtype=torch.float64).index_add_(0, j, x).numpy(),
        column_counts=((~channels) * (~pixels).sum()).numpy(),
        minimum=min(float(x.min()), 0.0 if zeros else torch.inf) if left else float("nan"),
        maximum=max(float(x.max()), 0.0 if zeros else -torch.inf) if left else float("nan"),
        zeros=zeros,
        negatives=int((x < 0).sum()),
        masked=n * m - left,
        broken=0,
    )


def _ratio(sums: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

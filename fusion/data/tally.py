"""Sums and counts of a data set, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion.algebra.waiting import waiting
from fusion.data.count_value import SAMPLE
from fusion.data.parts import Part, PartOfMask, as_numpy, parts

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset

PART = 2**20  # sparse counts that are looked at once


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over what is neither masked nor NaN.

    Attributes:
        rows: sum of every pixel, `row_counts` of how many values; `columns`: of every channel.
        filled_rows, filled_columns: whether a value of it is not 0.
        broken_rows: how many values of a pixel are NaN or infinite, where not masked.
        minimum: of all; NaN where nothing is left, as `maximum`.
        at_maximum: how many values are the maximum.
        zeros: how many values are 0; `negatives`: below it.
        masked: how many are; `broken`: how many others are NaN or infinite, `first_broken` the
            first of them, (pixel, channel).
        whole: whether all are whole numbers.
        sample: about a million of them, spread over all; of sparse data those that are not 0.
    """

    rows: NDArray[np.float64]
    row_counts: NDArray[np.int64]
    columns: NDArray[np.float64]
    column_counts: NDArray[np.int64]
    filled_rows: NDArray[np.bool_]
    filled_columns: NDArray[np.bool_]
    broken_rows: NDArray[np.int64] | None
    minimum: float
    maximum: float
    at_maximum: int
    zeros: int
    negatives: int
    masked: int
    broken: int
    first_broken: tuple[int, int] | None
    whole: bool
    sample: NDArray[Any]

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
        data.tallied = _sparse(data) if data.entries is not None else _dense(data)
    return data.tallied


class _Sums:
    """What is added up while the parts come."""

    def __init__(self, n: int, m: int, step: int) -> None:
        self.rows, self.row_counts = np.zeros(n), np.zeros(n, dtype=np.int64)
        self.columns, self.column_counts = np.zeros(m), np.zeros(m, dtype=np.int64)
        self.filled_rows, self.filled_columns = np.zeros(n, dtype=bool), np.zeros(m, dtype=bool)
        self.broken_rows: NDArray[np.int64] | None = None
        self.low, self.high, self.at_maximum = float("inf"), -float("inf"), 0
        self.zeros = self.negatives = self.masked = self.broken = 0
        self.first_broken: tuple[int, int] | None = None
        self.whole, self.step, self.sample = True, step, [np.zeros(0)]

    def add(self, part: Part, hidden: NDArray[np.bool_] | None) -> None:
        """One part; `hidden`: what of it is masked, (pixel, channel)."""
        values = part.values
        kept = values.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            sums = kept @ np.ones(kept.shape[1])
        if hidden is None and np.isfinite(sums).all():
            self._add_sums(part, kept, sums, kept.shape[1], kept.shape[0])
            self._add_values(values, (values != 0), part)
            return
        seen = np.isfinite(kept)
        if hidden is not None:
            self.masked += int(hidden.sum())
            self._add_broken(part, ~seen & ~hidden)
            seen &= ~hidden
        else:
            self._add_broken(part, ~seen)
        kept = np.where(seen, kept, 0.0)
        self._add_sums(part, kept, kept.sum(1), seen.sum(1), seen.sum(0))
        self._add_values(values[seen], kept != 0, part)

    def _add_sums(self, part: Part, kept: NDArray, sums: NDArray, of: Any, by: Any) -> None:
        self.rows[part.pixels] += sums
        self.row_counts[part.pixels] += of
        self.columns[part.channels] += np.ones(len(kept)) @ kept
        self.column_counts[part.channels] += by

    def _add_broken(self, part: Part, bad: NDArray[np.bool_]) -> None:
        if not bad.any():
            return
        if self.broken_rows is None:
            self.broken_rows = np.zeros(len(self.rows), dtype=np.int64)
        self.broken_rows[part.pixels] += bad.sum(1)
        self.broken += int(bad.sum())
        i, j = (int(index[0]) for index in np.nonzero(bad))
        place = int(part.pixels[i]), int(np.arange(len(self.columns))[part.channels][j])
        self.first_broken = min(self.first_broken or place, place)

    def _add_values(self, values: NDArray, filled: NDArray[np.bool_], part: Part) -> None:
        """What is told of the values that are seen; `filled`: where one is not 0."""
        self.filled_rows[part.pixels] |= filled.any(1)
        self.filled_columns[part.channels] |= filled.any(0)
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        self.zeros += values.size - int(np.count_nonzero(filled))
        self.negatives += int(np.count_nonzero(values < 0)) if low < 0 else 0
        if high >= self.high:
            more = int(np.count_nonzero(values == values.max()))
            self.at_maximum = more + (self.at_maximum if high == self.high else 0)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self.whole and values.dtype.kind == "f":
            self.whole = bool(np.array_equal(values, np.rint(values)))
        first = -int(part.pixels[0]) * len(self.columns) % self.step
        self.sample.append(values.reshape(-1)[first :: self.step].copy())

    def tally(self) -> Tally:
        """All of it."""
        left = bool(self.row_counts.any())
        return Tally(
            rows=self.rows,
            row_counts=self.row_counts,
            columns=self.columns,
            column_counts=self.column_counts,
            filled_rows=self.filled_rows,
            filled_columns=self.filled_columns,
            broken_rows=self.broken_rows,
            minimum=self.low if left else float("nan"),
            maximum=self.high if left else float("nan"),
            at_maximum=self.at_maximum,
            zeros=self.zeros,
            negatives=self.negatives,
            masked=self.masked,
            broken=self.broken,
            first_broken=self.first_broken,
            whole=self.whole,
            sample=np.concatenate(self.sample[1:] or self.sample),
        )


def _dense(data: Dataset) -> Tally:
    """Of what is in memory, or lazy."""
    n, m = data.matrix_shape
    step = max(n * m // SAMPLE, 1)
    while gcd(step, m) > 1:  # else the same channels of every pixel
        step += 1
    sums = _Sums(n, m, step)
    masked = None if data.mask is None else PartOfMask(data)
    with waiting("looks at the data", progress=False) as step:  # on the line of what is waited for
        seen = 0
        for part in parts(data):
            sums.add(part, None if masked is None else masked.of(part))
            seen += part.values.size
            step.say(f"{100 * seen // (n * m)} %")
    return sums.tally()


def _sparse(data: Dataset) -> Tally:
    """The same of sparse data."""
    assert data.entries is not None
    (n, m), held = data.matrix_shape, data.entries
    pixels, channels = hidden_lines(data)
    rows, columns = np.zeros(n), np.zeros(m)
    filled_rows, filled_columns = np.zeros(n, dtype=bool), np.zeros(m, dtype=bool)
    count = negatives = at_maximum = 0
    low, high, whole, sample = float("inf"), -float("inf"), True, [np.zeros(0)]
    for part in (slice(a, a + PART) for a in range(0, len(held.x), PART)):
        i, j, x = (as_numpy(each[part]) for each in (held.i, held.j, held.x))
        if data.mask is not None:
            seen = ~(pixels[i] | channels[j])
            i, j, x = i[seen], j[seen], x[seen]
        if not len(x):
            continue
        wide = x.astype(np.float64)
        rows[i[0] : i[-1] + 1] += np.bincount(i - i[0], wide)
        columns += np.bincount(j, wide, m)
        filled_rows[i], filled_columns[j] = True, True
        count, negatives = count + len(x), negatives + int((x < 0).sum())
        top = float(wide.max())
        more = int((wide == top).sum())
        at_maximum = more + at_maximum * (top == high) if top >= high else at_maximum
        low, high = min(low, float(wide.min())), max(high, top)
        whole = whole and (x.dtype.kind != "f" or bool(np.array_equal(x, np.rint(x))))
        sample.append(x[:: max(1, len(held.x) // SAMPLE)].copy())
    left = int((~pixels).sum()) * int((~channels).sum())
    zeros = left - count
    if zeros:
        at_maximum = at_maximum if high > 0 else zeros + at_maximum * (high == 0)
        low, high = min(low, 0.0), max(high, 0.0)
    return Tally(
        rows=rows,
        row_counts=(~pixels) * (~channels).sum(),
        columns=columns,
        column_counts=(~channels) * (~pixels).sum(),
        filled_rows=filled_rows,
        filled_columns=filled_columns,
        broken_rows=None,
        minimum=low if left else float("nan"),
        maximum=high if left else float("nan"),
        at_maximum=at_maximum,
        zeros=zeros,
        negatives=negatives,
        masked=n * m - left,
        broken=0,
        first_broken=None,
        whole=whole,
        sample=np.concatenate(sample[1:] or sample),
    )


def hidden_lines(data: Dataset) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(which pixels, which channels are masked) of sparse data.

    Raises:
        ValueError: if single entries are.
    """
    hidden = torch.zeros((), dtype=torch.bool) if data.mask is None else data.mask
    hidden = hidden.reshape((1,) * (len(data.shape) - hidden.ndim) + tuple(hidden.shape))
    split = len(data.shape) - data.signal
    spectra = hidden.reshape(prod(hidden.shape[:split]), -1)  # (pixel or 1, channel or 1)
    whole = spectra.all(1), spectra.all(0)
    if not torch.equal(spectra, whole[0][:, None] | whole[1]):
        raise ValueError(
            f"`{data}`: sparse, with a mask of single entries: mask pixels, or channels."
        )
    pixels = whole[0].reshape(hidden.shape[:split]).expand(data.shape[:split]).reshape(-1)
    channels = whole[1].reshape(hidden.shape[split:]).expand(data.shape[split:]).reshape(-1)
    return pixels.numpy(), channels.numpy()


def _ratio(sums: NDArray[Any], counts: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

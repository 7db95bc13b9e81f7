"""What the sums over a data set show that should be mended before a fit: `noticed`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.units import ratio
from fusion.data.count_value import count_value_of
from fusion.data.signal_type import signal_type
from fusion.prepare.chosen_pixels import spread_spectra
from fusion.prepare.zero_peak import Peak, zero_peak

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.data.tally import Tally

HIGHEST = 0.9  # of all counts, from which a peak is named
NARROW = 0.1  # of the channels, at most, that it covers
FOOT = 0.02  # of its height, down to which it reaches
HOT = 5.0  # times the highest of four neighbours, from which a channel is hot
ZERO_LOSS = 5.0  # eV around 0 in which the zero-loss peak of EELS stands
MOST_PIXELS = 0.8  # in which a hot channel stands above them: a spike is in one
SURE = 20.0  # counts in either neighbour of a dead channel, so that none is no chance
GAP = 3  # channels of a dead run, at most
MANY = 20  # values at one same maximum, from which it is a limit
HIGH = 50.0  # counts, above which so many equal ones are no chance


@dataclass(frozen=True)
class Noticed:
    """What should be mended, as numbers.

    Attributes:
        empty_pixels: pixels that are not masked and in which all is 0; of an image none is told.
        filled_box: first and last entry along every axis of the scan between which all others lie.
        empty_lines: entries of an axis within the box that are empty altogether, by axis.
        peak: the zero peak of X-ray electronics; else one that holds nine tenths of the counts;
            None where there is neither.
        hot_channels: far above their neighbours in nearly all pixels.
        dead_channels: without a count between channels that have many.
        saturated: how many values are at the limit of the type or at one same maximum; else 0.
        count_value: what a count is worth; None where the data are no multiples of anything.
    """

    empty_pixels: int
    filled_box: tuple[tuple[int, int], ...]
    empty_lines: tuple[tuple[int, ...], ...]
    peak: Peak | None
    hot_channels: tuple[int, ...]
    dead_channels: tuple[int, ...]
    saturated: int
    count_value: float | None


def noticed(data: Dataset, stats: Tally) -> Noticed:
    """What the sums show; of hot channels some spectra are read."""
    empty, box, lines = _empty(data, stats)
    spectral = len(data.channels) == 1 and not stats.negatives and stats.columns.sum() > 0
    return Noticed(
        empty_pixels=empty,
        filled_box=box,
        empty_lines=lines,
        peak=(zero_peak(data, stats) or _peak(data, stats)) if spectral else None,
        hot_channels=_hot(data, stats) if spectral else (),
        dead_channels=_dead(stats) if spectral else (),
        saturated=_saturated(data, stats),
        count_value=count_value_of(stats),
    )


def _empty(
    data: Dataset, stats: Tally
) -> tuple[int, tuple[tuple[int, int], ...], tuple[tuple[int, ...], ...]]:
    """(empty pixels, box of the others, empty lines within it)."""
    scan = data.shape[: len(data.pixels)]
    seen, filled = stats.row_counts > 0, stats.filled_rows.reshape(scan)
    empty = int((seen & ~stats.filled_rows).sum())
    if not data.signal or not scan or not empty or not filled.any():
        return 0, (), ()
    box, lines = [], []
    masked = ~seen.reshape(scan)
    for i in range(len(scan)):
        others = tuple(j for j in range(len(scan)) if j != i)
        used = np.flatnonzero(filled.any(axis=others))
        known = np.flatnonzero(masked.all(axis=others))
        box.append((int(used[0]), int(used[-1])))
        lines.append(
            tuple(np.setdiff1d(np.arange(used[0], used[-1]), np.union1d(used, known)).tolist())
        )
    return empty, tuple(box), tuple(lines)


def _peak(data: Dataset, stats: Tally) -> Peak | None:
    """The highest peak down to its foot, if nearly all is in it."""
    sums, m = stats.columns, len(stats.columns)
    first = last = int(sums.argmax())
    height, widest = sums[first], max(int(NARROW * m), 1)
    while last - first + 1 < widest:
        below = sums[first - 1] if first > 0 else -1.0
        above = sums[last + 1] if last + 1 < m else -1.0
        if max(below, above) < FOOT * height and sums[first : last + 1].sum() >= (
            HIGHEST * sums.sum()
        ):
            break
        first, last = (first - 1, last) if below > above else (first, last + 1)
    share = float(sums[first : last + 1].sum() / sums.sum())
    if share < HIGHEST or m < 1 / NARROW:
        return None
    energies = data.channels[0].values[[first, last]]
    in_energy = data.channels[0].units.endswith("eV")
    return Peak(first, last, share, bool(in_energy and energies.min() <= 0 <= energies.max()))


def _hot(data: Dataset, stats: Tally) -> tuple[int, ...]:
    """Single channels that stand far above two neighbours on either side, in nearly all pixels."""
    means = np.nan_to_num(stats.means)
    suspects = np.flatnonzero(means > HOT * _highest_neighbour(means))
    suspects = suspects[(means[suspects] > 0) & ~_zero_loss(data)[suspects]]
    if not suspects.size or len(means) < 5:
        return ()
    spectra = np.nan_to_num(spread_spectra(data, stats))
    above = spectra[:, suspects] > np.stack([_highest_neighbour(s) for s in spectra])[:, suspects]
    return tuple(suspects[above.mean(0) > MOST_PIXELS].tolist()) if len(spectra) > 1 else ()


def _zero_loss(data: Dataset) -> NDArray[np.bool_]:
    """(channel,) whether the zero-loss peak of EELS may stand there, sharp and no defect."""
    axis = data.channels[0]
    unit = ratio("eV", axis.units) if signal_type((axis,), data.metadata) == "EELS" else None
    if unit is None:
        return np.zeros(data.shape[-1], dtype=bool)
    return np.abs(axis.values * unit) <= ZERO_LOSS


def _highest_neighbour(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of every channel, the highest of two on either side."""
    padded = np.pad(values, 2, constant_values=-np.inf)
    n = len(values)
    return np.max([padded[k : k + n] for k in (0, 1, 3, 4)], axis=0)


def _dead(stats: Tally) -> tuple[int, ...]:
    """Channels without a count, few together, between such as have many."""
    unit, m = count_value_of(stats), len(stats.columns)
    if unit is None:
        return ()
    dark = ~stats.filled_columns & (stats.column_counts > 0)
    edges = np.diff(np.concatenate([[0], dark, [0]]).astype(int))
    dead: list[int] = []
    for first, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        inside = first > 0 and end < m and end - first <= GAP
        if inside and min(stats.columns[first - 1], stats.columns[end]) > SURE * unit:
            dead += range(int(first), int(end))
    return tuple(dead)


def _saturated(data: Dataset, stats: Tally) -> int:
    """How many values are at a limit."""
    name = str(data.dtype).removeprefix("torch.")
    if stats.at_maximum < 2 or stats.minimum == stats.maximum:
        return 0
    integer = np.issubdtype(np.dtype(name), np.integer) if hasattr(np, name) else False
    if integer and stats.maximum == float(np.iinfo(name).max):
        return stats.at_maximum
    unit = count_value_of(stats)
    if unit is None:  # data that were normalised to their highest value are not cut off
        return stats.at_maximum if stats.at_maximum >= MANY and stats.maximum != 1.0 else 0
    high = stats.maximum > HIGH * unit and stats.at_maximum >= MANY
    return stats.at_maximum if high and _clipped(stats, unit) else 0


def _clipped(stats: Tally, unit: float) -> bool:
    """Whether more values are at the maximum than in as many steps below it as noise spreads."""
    reach = np.sqrt(stats.maximum * unit)
    near = (stats.sample < stats.maximum) & (stats.sample >= stats.maximum - reach)
    at = (stats.sample == stats.maximum).sum()
    return bool(at > 3 * near.sum() / max(reach / unit, 1.0) and at > 0)

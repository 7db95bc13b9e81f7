"""Components under one name and colour in all data sets, and what a table says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from fusion.answers.components import names_of
from fusion.answers.result import Result
from fusion.report.data_parts import Array, DataPart

ALIKE = 0.5  # correlation from which maps of two data sets are one component
NEAR = 3.0  # degrees below which two spectra are told to be alike
STRANGERS = 0.15  # correlation of neighbouring pixels below which a map has no structure
ENOUGH = 512  # pixels along an axis that tell it
UNEVEN = 0.5  # spread of a map over its mean from which that is told


@dataclass(frozen=True)
class TableRow:
    """What the table says of one component of one data set.

    Attributes:
        number: of the component, from 0, the same in all data sets.
        part: name of the data set.
        explained: share of the data's squares; None where the solver does not know it.
        share: of all that is fitted, by intensity.
        peak: where its spectrum is highest, with unit.
        nearest: number of the component with the most similar spectrum, with the angle between
            both in degrees; None of a single one.
    """

    number: int
    part: str
    explained: float | None
    share: float
    peak: str
    nearest: tuple[int, float] | None


def component_numbers(parts: Sequence[DataPart]) -> list[list[int]]:
    """For every data set the number of each column of its maps.

    Equal numbers of columns are the same components, as models have them; else those whose maps
    are alike.
    """
    numbers: list[list[int]] = []
    first = next((p for p in parts if p.left is not None), None)
    most = 0
    for part in parts:
        K = 0 if part.left is None else part.left.shape[1]
        if first is None or first.left is None or part.left is None or first.left.shape[1] == K:
            mine = list(range(K))
        else:
            mine = matched_numbers(first.left, part.left, most)
        most = max([most, *(k + 1 for k in mine)])
        numbers.append(mine)
    return numbers


def matched_numbers(first: Array, other: Array, most: int) -> list[int]:
    """Numbers of the first data set's components for those of another; new ones for the rest."""
    new = iter(range(most, most + other.shape[1]))
    if len(first) != len(other):
        return [next(new) for _ in range(other.shape[1])]
    A, B = (np.nan_to_num(x - np.nanmean(x, axis=0)) for x in (first, other))
    norms = np.linalg.norm(A, axis=0)[:, None] * np.linalg.norm(B, axis=0)
    r = (A.T @ B) / np.maximum(norms, np.finfo(float).tiny)
    pairs = {j: i for i, j in zip(*linear_sum_assignment(-r), strict=True) if r[i, j] > ALIKE}
    return [int(pairs[j]) if j in pairs else next(new) for j in range(other.shape[1])]


def component_names(
    result: Result, parts: Sequence[DataPart], numbers: Sequence[Sequence[int]]
) -> list[str]:
    """Their names, or numbers from 1; ′ for further products."""
    K = max((k + 1 for mine in numbers for k in mine), default=0)
    copies = max((p.copies for p in parts), default=1)
    if copies > 1:
        once = K // copies
        called = names_of(result, once)
        return [called[k % once] + "′" * (k // once) for k in range(K)]
    more = next((part.more for part in parts if part.more), ())
    return [*names_of(result, K - len(more)), *more]


def of_the_model(parts: Sequence[DataPart], called: Sequence[str]) -> list[str]:
    """The names without those of parts that are none of the model's components."""
    beside = max((len(part.more) for part in parts), default=0)
    return list(called[: len(called) - beside])


def table_rows(parts: Sequence[DataPart], numbers: Sequence[Sequence[int]]) -> list[TableRow]:
    """Of every component, for every data set that has it."""
    table = []
    for part, mine in zip(parts, numbers, strict=True):
        if part.left is not None and part.right is not None:
            table += _rows_of(part, mine)
    return sorted(table, key=lambda row: row.number)


def _rows_of(part: DataPart, mine: Sequence[int]) -> list[TableRow]:
    assert part.left is not None
    assert part.right is not None
    left, right = part.left[~part.masked_pixels], part.right[~part.masked_channels]
    amount = np.nansum(left, 0) * np.nansum(right, 0)
    total = amount.sum() or 1.0
    explained = part.summary.component_variance
    explained = explained if explained is not None and len(explained) == len(mine) else None
    angles = _angles(right)
    rows = []
    for j, k in enumerate(mine):
        other = int(np.argmin(angles[j])) if len(mine) > 1 else None
        rows.append(
            TableRow(
                number=k,
                part=part.name,
                explained=None if explained is None else float(explained[j]),
                share=float(amount[j] / total),
                peak=_peak_text(part, j),
                nearest=None if other is None else (mine[other], float(angles[j, other])),
            )
        )
    return rows


def _angles(spectra: Array) -> Array:
    """Degrees between every two columns, (K, K); infinite on the diagonal, 90 for one of zeros."""
    values = np.nan_to_num(spectra)
    norms = np.maximum(np.linalg.norm(values, axis=0), np.finfo(float).tiny)
    cosines = np.clip((values / norms).T @ (values / norms), -1, 1)
    angles = np.degrees(np.arccos(cosines))
    np.fill_diagonal(angles, np.inf)
    return angles


def noisy_maps(
    parts: Sequence[DataPart], numbers: Sequence[Sequence[int]], called: Sequence[str]
) -> list[str]:
    """Which components' maps change from pixel to pixel as noise does, in a sentence."""
    noisy: dict[int, str] = {}
    for part, mine in zip(parts, numbers, strict=True):
        shape = [axis.size or 1 for axis in part.pixels]
        for j, k in enumerate(mine[: len(mine) - len(part.more)]):
            assert part.left is not None
            column = np.where(part.masked_pixels, np.nan, part.left[:, j]).reshape(shape)
            column = column[tuple(_middle(n) for n in shape)]
            if _neighbour_correlation(column) < STRANGERS and _relative_spread(column) > UNEVEN:
                noisy[k] = called[k]
    if not noisy:
        return []
    single = len(noisy) == 1
    which = (
        f"map of component {called[next(iter(noisy))]} changes"
        if single
        else (f"maps of components {listed([noisy[k] for k in sorted(noisy)])} change")
    )
    return [
        f"The {which} from pixel to pixel without structure, as no phase does: "
        f"{'it' if single else 'they'} may fit noise. Fewer components, or `fu.rank`, would tell."
    ]


def _middle(n: int) -> slice:
    """Of an axis of many pixels as many as tell whether neighbours are alike."""
    first = max(n - ENOUGH, 0) // 2
    return slice(first, first + ENOUGH)


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _neighbour_correlation(values: Array) -> float:
    """Highest correlation of neighbours along an axis; 1 where there are too few to tell."""
    along_axes = []
    for axis in range(values.ndim):
        if values.shape[axis] < 8:
            continue
        a = np.moveaxis(values, axis, 0)
        pairs = np.stack([a[:-1].ravel(), a[1:].ravel()])
        pairs = pairs[:, np.isfinite(pairs).all(0)]
        if pairs.shape[1] > 50 and (pairs.std(1) > 0).all():
            along_axes.append(float(np.corrcoef(pairs)[0, 1]))
    return max(along_axes, default=1.0)


def _relative_spread(values: Array) -> float:
    seen = values[np.isfinite(values)]
    return float(seen.std() / max(abs(seen.mean()), np.finfo(float).tiny)) if seen.size else 0.0


def _peak_text(part: DataPart, j: int) -> str:
    """Where a spectrum is highest."""
    assert part.right is not None
    if not part.channels or len(part.right) < 2:
        return "–"
    column = np.where(part.masked_channels, -np.inf, np.nan_to_num(part.right[:, j], nan=-np.inf))
    places = np.unravel_index(int(column.argmax()), [a.size or 1 for a in part.channels])
    energies = [
        f"{axis.values[i]:.4g} {axis.units}".strip()
        for axis, i in zip(part.channels, places, strict=True)
    ]
    return ", ".join(energies)


def similar_spectra(table: Sequence[TableRow], called: Sequence[str]) -> list[str]:
    """Pairs of components whose spectra are nearly the same in all data sets, in words."""
    pairs: dict[tuple[int, int], dict[str, float]] = {}
    for row in table:
        if row.nearest is not None and row.nearest[1] < NEAR:
            pair = min(row.number, row.nearest[0]), max(row.number, row.nearest[0])
            pairs.setdefault(pair, {})[row.part] = row.nearest[1]
    sentences = []
    for (a, b), angles in pairs.items():
        if set(angles) == {row.part for row in table if row.number in (a, b)}:
            sentences.append(
                f"The spectra of components {called[a]} and {called[b]} are only "
                f"{max(angles.values()):.1f}° apart: that may be one component split in two. A fit "
                "with fewer components, or `fu.rank`, would tell."
            )
    return sentences

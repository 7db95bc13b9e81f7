"""Other answers of the same data beside the one of the page, as of other numbers of components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fusion.answers.components import names_of
from fusion.answers.result import Result
from fusion.report import sentences as words
from fusion.report.averaging import bins_for, cell_of, means
from fusion.report.components import matched_numbers
from fusion.report.data_parts import Array, DataPart, parts_of
from fusion.report.packing import floats

WIDE = 96  # pixels along a small map
Store = Callable[[str, dict[str, Any]], str]


def check_beside(result: Result, others: Sequence[Result]) -> None:
    """Complain of answers of other data.

    Raises:
        ValueError: with what the data are.
    """
    shapes = {name: data.shape for name, data in result.data.items()}
    for n, other in enumerate(others, start=1):
        theirs = {name: data.shape for name, data in other.data.items()}
        if theirs != shapes:
            raise ValueError(
                f"`report(beside=…)`: answer {n} is of {theirs}, the one of the page of {shapes}: "
                "give answers of the same data sets."
            )


def answers_beside(
    result: Result, parts: Sequence[DataPart], others: Sequence[Result], store: Store
) -> list[dict[str, Any]]:
    """The answer of the page and the others, each with its numbers, small maps and spectra.

    A component has the colour of that component of the page whose map is most like its own.
    """
    if not others:
        return []
    answers = [_answer(result, parts, parts, store, 0)]
    for n, other in enumerate(others, start=1):
        answers.append(_answer(other, parts_of(other), parts, store, n))
    return answers


def _answer(
    result: Result, parts: Sequence[DataPart], first: Sequence[DataPart], store: Store, n: int
) -> dict[str, Any]:
    K = max((0 if p.left is None else p.left.shape[1] for p in parts), default=0)
    return {
        "title": f"{K} component{'s' * (K != 1)}" if n else "This page",
        "components": K,
        "fits": [words.fit_text(data) for data in result.data.values()],
        "loss": f"{result.loss:.7g}".replace("-", "−"),
        "starts": f"{result.agreeing()} of {int(result.ended.sum())}",
        "verdict": words.verdict(result),
        "sets": [
            _part_maps(result, part, main, store, f"beside{n}.{i}")
            for i, (part, main) in enumerate(zip(parts, first, strict=True))
            if part.left is not None and part.right is not None
        ],
    }


def _part_maps(
    result: Result, part: DataPart, main: DataPart, store: Store, name: str
) -> dict[str, Any]:
    """Small maps of one data set, and its spectra, each to its maximum."""
    assert part.left is not None
    assert part.right is not None
    K = part.left.shape[1]
    mine = list(range(K))
    if main.left is not None and main is not part:
        mine = matched_numbers(main.left, part.left, main.left.shape[1])
    maps, rows, columns = _small_maps(part)
    right = np.where(part.masked_channels[:, None], np.nan, part.right)
    highest = np.nanmax(np.abs(np.nan_to_num(right)), axis=0, initial=0.0)
    return {
        "key": name,
        "name": part.name,
        "fit": words.fit_text(part.summary),
        "numbers": mine,
        "called": names_of(result, K),
        "rows": rows,
        "columns": columns,
        "maps": store(name, floats(maps)),
        "signal": part.summary.signal,
        "spectra": right / np.where(highest > 0, highest, 1.0),
        "x": part.channels[0].values if part.summary.signal == 1 else np.zeros(0),
        "label": part.channels[0].label if part.channels else "",
    }


def _small_maps(part: DataPart) -> tuple[Array, int, int]:
    """Means over pixels, and over all but the last two axes: (K, rows × columns), rows, columns."""
    assert part.left is not None
    left = np.where(part.masked_pixels[:, None], np.nan, part.left)
    shape = [1, 1, *(axis.size or 1 for axis in part.pixels)]
    image = shape[-2:]
    bins = bins_for(image, (), WIDE * WIDE)
    owner = np.tile(cell_of(image, bins), prod(shape[:-2]))
    rows, columns = (-(-n // b) for n, b in zip(image, bins, strict=True))
    if len(left) == rows * columns:
        return left.T, rows, columns
    return means(left, owner, rows * columns).T, rows, columns

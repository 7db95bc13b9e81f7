"""Maps that fall below zero because a deviation of any sign is added to them, as in C + N."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion.answers.result import Result
from fusion.report.data_parts import Array, DataPart

SMALL = 1e-6  # of a map's maximum, which is zero


def negative_sums(
    result: Result,
    parts: Sequence[DataPart],
    numbers: Sequence[Sequence[int]],
    called: Sequence[str],
) -> list[str]:
    """How far below zero maps fall that are a non-negative factor and a free one, in sentences."""
    sentences = []
    for part, mine in zip(parts, numbers, strict=True):
        names = _summands(result, part)
        if names is None or part.left is None:
            continue
        left = part.left[~part.masked_pixels]
        own = mine[: len(mine) - len(part.more)]
        where = [t for j, k in enumerate(own) if (t := _negative_text(left[:, j], called[k]))]
        if where:
            sum_, free = f"{names[0]} + {names[1]}", f"`result[{names[1]!r}]`"
            sentences.append(
                f"Maps of {part.name} are {sum_}, and fall below zero: {'; '.join(where)}. No "
                f"phase is there less than not at all: {names[1]} takes away more than "
                f"{names[0]} has. What is within the noise reads as zero; more than that says "
                f"that the data sets do not share this map: look at {free}, or raise the weight "
                "of its penalty."
            )
    return sentences


def _summands(result: Result, part: DataPart) -> tuple[str, str] | None:
    """A non-negative factor and one of both signs, over the pixels of a data set."""
    along = {
        name: np.asarray(F)
        for name, F in result.factors.items()
        if F.ndim == 2 and (result.axes.get(name) or (None,))[0] == part.pixels
    }
    whole = [name for name, F in along.items() if (F >= 0).all()]
    free = [name for name, F in along.items() if (F < 0).any()]
    return (whole[0], free[0]) if whole and free else None


def _negative_text(column: Array, called: str) -> str:
    """ "component 2 in 3.1 % of the pixels, down to −12 % of its maximum"; "" where it is not."""
    seen = column[np.isfinite(column)]
    highest = float(np.abs(seen).max(initial=0.0))
    below = seen < -SMALL * highest
    if not highest or not below.any():
        return ""
    lowest = 100 * float(seen.min()) / highest
    return (
        f"component {called} in {100 * below.mean():.2g} % of the pixels, down to "
        f"−{-lowest:.2g} % of its largest value"
    )

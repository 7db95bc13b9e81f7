"""Why a number of components is recommended, and why criteria differ, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fusion.ranking.criterion import Criterion

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.prepare.noise import Noise
    from fusion.ranking.component_shape import ComponentShape

REASONS = {  # why a criterion may choose (fewer, more) than stand out of the noise
    "held-out entries": (
        "few weak components predict entries that were not seen",
        "correlated or uneven noise helps to predict entries that were not seen",
    ),
    "RE": (
        "it asks when the total of the rest is noise: insensitive to weak components",
        "the rest is larger than counting noise: other noise, or components below the edge",
    ),
    "IND": (
        "an empirical function, insensitive to weak components",
        "an empirical function, made for noise of one size in all entries",
    ),
    "REV": (
        "its F-test takes all later ones for noise, weak components among them",
        "its F-test takes the largest of many noise values for one of them",
    ),
    "broken stick": (
        "it counts what dominates; weak components are not seen by it",
        "it does not ask how large the noise is",
    ),
    "ARD": (
        "it counts non-negative components, and its prior switches weak ones off",
        "it counts non-negative components, and noise that is not as assumed keeps weak ones on",
    ),
    "stability": (
        "with more, answers differ from start to start: they are not unique",
        "with more, answers are still the same from start to start",
    ),
}


def edge_text(noise: Noise) -> Iterator[str]:
    """What stands out, and how clearly."""
    above, K, values = noise.scree.rank, noise.scree.clear, noise.scree.over_edge
    if above == 0:
        yield "no singular value stands out of the noise: sum pixels or channels, or measure longer"
        return
    if K:
        more = " or more" if (values[above : above + 1] > 1).any() else ""
        verb = "singular values stand" if K > 1 else "singular value stands"
        weakest = f"the weakest {values[K - 1]:.2f} times its edge"
        yield f"{K}{more} {verb} clearly out of the noise: {weakest}"
    if above > K:
        ratios = ", ".join(f"{value:.2f}" for value in values[K:above])
        yield (
            f"marginal, not counted: {ratios} times the edge: there is something, but its map or "
            "spectrum is mostly noise, and the data are farther from the truth with it"
        )
    elif len(values) > K:
        yield f"the next singular value is {values[K]:.2f} times the edge: noise"


def shape_text(shape: ComponentShape) -> str:
    return f"component {shape.number} of the singular values: {shape.said}"


def agreement(criteria: list[Criterion], K: int) -> Iterator[str]:
    """Which criteria agree, and why others may not."""
    others = [c for c in criteria[1:] if c.chosen is not None]
    same = [c.name for c in others if c.chosen == K]
    if same:
        yield f"the same by {', '.join(same)}"
    for c in others:
        if c.chosen is not None and c.chosen != K:
            fewer, more = c.reasons or REASONS[c.name]
            yield f"{c.name}: {c.chosen}; {fewer if c.chosen < K else more}"


def caution_text(noise: Noise, data: Dataset) -> Iterator[str]:
    """What weakens the answer."""
    if noise.correlated:
        yield (
            f"neighbouring channels are correlated ({noise.correlation:.2f}): the edge allows for "
            "that as if it were the same in all channels, RE, IND and REV do not: the weakest may "
            "be noise; compare with binned channels, where weaker ones may show, too"
        )
    subtracted = any("background" in step for step in data.history)
    axis = data.channels[-1] if data.signal else None
    energies = axis is not None and (axis.units.endswith("eV") or axis.name == "energy")
    if energies and not subtracted and noise.channels is None and noise.scree.rank > 1:
        yield (
            "no background was subtracted here: where there is one that rises and falls with a "
            "phase it is part of that component, where it does not it is counted as one of its own"
        )
    if np.prod(noise.binned) > 1:
        sums = " × ".join(str(n) for n in noise.binned)
        yield f"counts are few: sums of {sums} neighbours were looked at"

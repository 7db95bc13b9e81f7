"""`rank`: how many components a data set has, by several criteria, and a recommendation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from textwrap import fill
from typing import TYPE_CHECKING, Any

from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import ClaimWarning, users_line
from fusion.algebra.display import Display, Facts, Notes, Shown, Table
from fusion.algebra.waiting import waiting
from fusion.data.dataset import check_dataset
from fusion.data.suited_threads import suited_threads
from fusion.ranking.criterion import Criterion
from fusion.ranking.reasons import agreement, caution_text, edge_text, shape_text
from fusion.ranking.singular_values import (
    broken_stick,
    indicator,
    noise_edge,
    real_error,
    reduced_eigenvalues,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.data.dataset import Dataset
    from fusion.prepare.noise import Noise
    from fusion.ranking.component_shape import ComponentShape

BEYOND = 6  # numbers of components that are tried above those that stand out
LEAST, MOST = 8, 20  # that are tried at all
SURPLUS = 4  # components of an ARD fit above those that stand out
LINE = 100
CRITERIA = (real_error, indicator, reduced_eigenvalues, broken_stick)
"""Functions (noise, most) → Criterion that cost next to nothing; those that fit are beside them."""
TABLE = {"noise edge": 0, "held-out entries": 1, "ARD": 3, "stability": 4}
"""Places in the table; all others stand at 2, in their order."""


@dataclass(frozen=True, eq=False, repr=False)
class Ranking(Shown):
    """How many components there are, by every criterion; `print` shows the table.

    Attributes:
        name: of the data set.
        recommended: the number; 0 where nothing stands out of the noise.
        why: sentences.
        criteria: in the order of the table, the noise edge first.
        looks: what every component that stands out looks like.
        noise: that the data show, with the scree.
    """

    name: str
    recommended: int
    why: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    looks: tuple[ComponentShape, ...]
    noise: Noise

    def __getitem__(self, name: str) -> Criterion:
        """A criterion by its name."""
        for each in self.criteria:
            if each.name == name:
                return each
        raise KeyError(f"`Ranking[{name!r}]`: it has {', '.join(c.name for c in self.criteria)}.")

    @property
    def headline(self) -> str:
        """The number, and how many of these look like no phase."""
        K = self.recommended
        odd = sum(bool(look.said) for look in self.looks[:K])
        text = f"{self.name}: {K} component{'s' * (K != 1)}"
        return text + (f", of which {odd} look{'s' * (odd == 1)} like no phase" if odd else "")

    def table(self) -> str:
        """Criterion, K, and a sentence, in lines."""
        width = max(len(each.name) for each in self.criteria)
        head = f"{'criterion':<{width}}   K"
        rows = [
            f"{c.name:<{width}}  {'–' if c.chosen is None else c.chosen:>2}  {c.said}"
            for c in self.criteria
        ]
        after = " " * (width + 6)
        return "\n".join([head, *(fill(row, LINE, subsequent_indent=after) for row in rows)])

    def summary(self) -> str:
        """The number, why, the table and the noise, everything in full."""
        why = [fill(f"- {text}", LINE, subsequent_indent="  ") for text in self.why]
        return "\n".join([self.headline, *why, "", self.table(), "", f"noise: {self.noise}"])

    def _display(self) -> Display:
        rows = [
            (each.name, "–" if each.chosen is None else str(each.chosen), each.said)
            for each in self.criteria
        ]
        table = Table(("criterion", "K", ""), rows, left=3)
        return Display(self.headline, (Notes(self.why), table, Facts([("noise", str(self.noise))])))

    @checked_call
    def plot(self, *, figure: Any = None) -> Figure:
        """Every criterion against K, what it chooses, and the recommendation.

        Args:
            figure: a matplotlib figure, or part of one, to draw into.
        """
        from fusion.plots import plot_ranking

        return plot_ranking(self, figure=figure)

    def as_dict(self) -> dict[str, Any]:
        """Everything as numbers, text and lists, for JSON."""
        return {
            "name": self.name,
            "recommended": self.recommended,
            "why": list(self.why),
            "criteria": [each.as_dict() for each in self.criteria],
            "components": [each.as_dict() for each in self.looks],
            "noise": str(self.noise),
        }


@checked_call
def rank(
    dataset: Dataset,
    *,
    held_out: bool = True,
    ard: bool = True,
    stability: bool = True,
    seed: int = 0,
    progress: bool = True,
    callback: Callable[[Criterion], object] | None = None,
) -> Ranking:
    """How many components the data show, by eight criteria, with a recommendation.

    Recommended is the number of singular values of the data, in units of their noise, that exceed
    the largest of pure noise by as much as makes the data with them more true than without: the one
    criterion with a known rate of false alarms. The others are to be held against it; `why` says
    where they differ, what is marginal, and what looks like no phase.

    Args:
        dataset: spectra with their noise: not denoised, four pixels and channels or more.
        held_out: cross-validation; ard, stability: fits of the data in units of their noise. Each
            takes seconds.
        seed: of what is drawn.
        progress: whether a line says which criterion is asked, as in `fit`.
        callback: told every `Criterion` as soon as it is known, those first that cost little.

    Raises:
        ValueError: if the noise cannot be told (see `Dataset.noise`).

    References:
        Muto & Shiga, Microscopy 69:110 (2020); Malinowski, Factor Analysis in Chemistry (2002).

    Example:
        >>> from fusion.simulate import concurrent
        >>> data = concurrent(shape=(12, 14), channels=60).datasets["edxs"]
        >>> ranking = fu.rank(data, held_out=False, ard=False, stability=False)
        >>> ranking.recommended  # two of the four phases have the same X-ray lines
        3
    """
    from fusion.ranking.component_shape import component_shapes

    check_dataset("rank(…)", dataset)
    with waiting("rank", progress) as step, suited_threads(dataset):
        noise = dataset.noise()
        K, criteria = noise.scree.clear, []
        asked = _by_cost(noise, held_out, ard, stability, seed)
        for name, criterion in asked.items():
            step.say(name, len(criteria), len(asked))
            try:
                criteria.append(criterion())
            except KeyboardInterrupt:
                _say_stopped(list(asked)[len(criteria) :])
                break
            if callback is not None:
                callback(criteria[-1])
    criteria.sort(key=lambda each: TABLE.get(each.name, 2))
    shapes = component_shapes(noise, dataset.history)
    why = (*edge_text(noise), *(shape_text(each) for each in shapes if each.said),
           *agreement(criteria, K), *caution_text(noise, dataset))  # fmt: skip
    return Ranking(dataset.name, K, why, tuple(criteria), shapes, noise)


def _say_stopped(left: Sequence[str]) -> None:
    """That Ctrl-C was pressed: the recommendation is by the first criterion, and stands."""
    warnings.warn(
        f"`rank` was stopped: not asked were {', '.join(left)}; the recommendation does not depend "
        "on them.",
        ClaimWarning,
        stacklevel=users_line(),
    )


def _by_cost(
    noise: Noise, held_out: bool, ard: bool, stability: bool, seed: int
) -> dict[str, Callable[[], Criterion]]:
    """How every criterion is found, by name, those that cost next to nothing first."""
    from fusion.ranking import fitted_criteria
    from fusion.ranking.cross_validation import held_out as cross_validated

    K, side = noise.scree.clear, min(noise.scree.scaled.shape)
    most = min(max(K + BEYOND, LEAST), MOST, side - 1)
    asked: dict[str, Callable[[], Criterion]] = {"noise edge": partial(noise_edge, noise, most)}
    for criterion in CRITERIA:
        asked[criterion.__name__.replace("_", " ")] = partial(criterion, noise, most)
    if held_out:
        number = min(most, K + BEYOND)
        asked["held-out entries"] = partial(cross_validated, noise, number, seed=seed)
    scaled = cache(partial(fitted_criteria.in_units_of_noise, noise))
    if stability:
        numbers = range(max(K - 2, 1), min(K + 1, side) + 1)
        asked["stability"] = lambda: fitted_criteria.stability(scaled(), numbers, seed=seed)
    if ard:
        number = min(K + SURPLUS, side)
        asked["ARD"] = lambda: fitted_criteria.ard(scaled(), number, seed=seed)
    return asked

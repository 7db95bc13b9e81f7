"""What `compare` gives back: partners, angles and correlations, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes
from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Facts, Notes, Part, Shown, Table
from fusion.answers.matching import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown):
    """What `compare` found; the first answer is the reference, of K components.

    Attributes:
        names: of the answers.
        components: names of the reference's components; their numbers from 1 where it has none.
        factors: `factors[answer][factor]`, (n, K): in the reference's order, each column scaled to
            the reference's by least squares.
        axes: what the rows of a factor run along, where one of the answers knows.
        partners: for every other answer, (K,): which of its components, from 0, is the same; −1
            where none is.
        unmatched: for every other answer, which of its components are nobody's partner.
        angles: `angles[answer][factor]`, (K,): degrees between a component and its partner; NaN
            where there is none, or one of the two is zero.
        correlations: the same, Pearson's correlation; NaN also where one of the two is constant.
        messages: what was left out.
        component_names: for every other answer, what its components go by.
    """

    names: tuple[str, ...]
    components: tuple[str, ...]
    factors: dict[str, dict[str, Array]]
    axes: dict[str, Axes | None]
    partners: dict[str, NDArray[np.intp]] = field(default_factory=dict)
    unmatched: dict[str, tuple[int, ...]] = field(default_factory=dict)
    angles: dict[str, dict[str, Array]] = field(default_factory=dict)
    correlations: dict[str, dict[str, Array]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    component_names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def worst(self) -> float:
        """The largest angle of all, degrees; NaN where there is none."""
        angles = [a for by_factor in self.angles.values() for a in by_factor.values()]
        values = np.concatenate(angles)
        return float(max(values[np.isfinite(values)], default=np.nan))

    def told(self, name: str, factor: str, k: int) -> tuple[str, str]:
        """(angle, correlation) of a component as text; "–" where there is none."""
        nothing = np.full(len(self.components), np.nan)
        angle = self.angles[name].get(factor, nothing)[k]
        r = self.correlations[name].get(factor, nothing)[k]
        degrees = "–" if np.isnan(angle) else f"{angle:.2f}°"
        return degrees, "–" if np.isnan(r) else f"{r:.4f}".replace("-", "−")

    def partner(self, name: str, k: int) -> str:
        """What a component's partner in another answer goes by; "–" where there is none."""
        number = int(self.partners[name][k])
        if number < 0:
            return "–"
        called = self.component_names.get(name, ())
        return called[number] if number < len(called) else str(number + 1)

    def _table(self) -> tuple[str, list[list[str]]]:
        """(caption, rows of text, the header first)."""
        reference, *others = self.names
        columns = list(self.factors[reference])
        header = [f"{factor} {what}" for factor in columns for what in ("angle", "r")]
        rows = [["component", "answer", "partner", *header]]
        for k, component in enumerate(self.components):
            for name in others:
                values = [text for factor in columns for text in self.told(name, factor, k)]
                rows.append([component, name, self.partner(name, k), *values])
        return f"components of {reference} and their partners in {', '.join(others)}", rows

    def _verdict(self) -> str:
        """The largest angle, and where it is."""
        found = [
            (float(angle), component, name, factor)
            for name, by_factor in self.angles.items()
            for factor, angles in by_factor.items()
            for component, angle in zip(self.components, angles, strict=True)
            if np.isfinite(angle)
        ]
        if not found:
            return "no component has a partner"
        worst, component, name, factor = max(found, key=lambda each: each[0])
        what = f"component {component}" if component.isdecimal() else component
        return f"largest angle {worst:.2f}°: {what} in {factor} of {name}"

    def _display(self) -> Display:
        caption, (head, *rows) = self._table()
        parts: list[Part] = [Facts([("verdict", self._verdict())]), Table(head, rows, left=2)]
        return Display(caption, [*parts, Notes(self.messages)] if self.messages else parts)

    @checked_call
    def plot(
        self,
        *,
        factors: Sequence[str] | None = None,
        components: Sequence[int | str] | None = None,
        elements: str | Sequence[str] = (),
        figure: Any = None,
    ) -> Figure:
        """Curves over each other, maps side by side; see `fusion.plots.plot_comparison`.

        Args:
            factors: names of those to show; components: names, or numbers from 1; default: all.
            elements: whose lines or edges are named on the spectra: ["Mn", "O"].
            figure: a matplotlib figure, or part of one, to draw into.
        """
        from fusion.plots.comparison import plot_comparison

        return plot_comparison(
            self, factors=factors, components=components, elements=elements, figure=figure
        )

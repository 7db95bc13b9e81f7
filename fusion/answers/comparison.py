"""What `compare` gives back: partners, angles and correlations, as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes
from fusion.answers.matching import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Comparison:
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

    def __str__(self) -> str:
        caption, rows = self._table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        padded = [
            [f"{text:{'<' if i < 2 else '>'}{widths[i]}}" for i, text in enumerate(row)]
            for row in rows
        ]
        return "\n".join([caption, *map("  ".join, padded), *self.messages])

    def _repr_html_(self) -> str:
        caption, rows = self._table()
        cells = [[f"<td>{escape(text)}</td>" for text in row] for row in rows]
        cells[0] = [f"<th>{escape(text)}</th>" for text in rows[0]]
        body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
        notes = "".join(f"<br>{escape(message)}" for message in self.messages)
        return f"<table><caption>{escape(caption)}</caption>{body}</table>{notes}"

    def plot(self, **options: Any) -> Figure:
        """Curves over each other, maps side by side; see `fusion.plots.comparison`."""
        from fusion.plots.comparison import plot_comparison

        return plot_comparison(self, **options)

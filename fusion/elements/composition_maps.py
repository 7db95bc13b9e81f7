"""At.% and weight % of every pixel, as they are shown and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes, length
from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Notes, Part, Shown, Table

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class CompositionMaps(Shown):
    """What every pixel consists of.

    Standard errors hold the counts of the pixel and, alike in all pixels, what is not known of
    compositions, detector, thickness and k factors; where a component is at zero in a pixel, how
    far it may be from there. Beliefs that tie pixels together are not in them.

    Attributes:
        elements: one a column; `axes`: of the pixels.
        atomic: (pixel, element) at.%, NaN in pixels with too few counts to tell; `atomic_errors`
            standard errors.
        weight: weight %, `weight_errors` standard errors.
        messages: what else a user should know.
        by_stoichiometry: whether oxygen was counted by charges, and not taken from its line.

    Example:
        >>> maps = fu.elements.CompositionMaps(
        ...     ("Mg", "O"), (fu.Axis("x", size=1),), *[np.array([[40.0, 60.0]])] * 4
        ... )
        >>> maps.map("O")
        array([60.])
    """

    elements: tuple[str, ...]
    axes: Axes
    atomic: Array
    atomic_errors: Array
    weight: Array
    weight_errors: Array
    messages: tuple[str, ...] = ()
    by_stoichiometry: bool = False

    @property
    def headings(self) -> tuple[str, ...]:
        """The elements, and of oxygen how it was counted: "O (stoich.)"."""
        return headings(self.elements, by_stoichiometry=self.by_stoichiometry)

    @checked_call
    def map(self, element: str, *, weight: bool = False) -> Array:
        """At.% of an element on the axes of the scan; weight % where that is asked for.

        Raises:
            ValueError: if it is none of the elements.
        """
        return self._on_axes(self.weight if weight else self.atomic, "map", element)

    @checked_call
    def error_map(self, element: str, *, weight: bool = False) -> Array:
        """Standard errors of the same.

        Raises:
            ValueError: if it is none of the elements.
        """
        errors = self.weight_errors if weight else self.atomic_errors
        return self._on_axes(errors, "error_map", element)

    def to_npz(self, path: Any) -> None:
        """Write at.% and weight % with standard errors, (pixel axes …, element), and elements.

        `by_stoichiometry` is the oxygen that was counted by charges, if any.

        Raises:
            OSError: if the folder cannot be written.
        """
        from fusion.answers.whole_files import atomic_write

        shape = [*(length(axis) for axis in self.axes), len(self.elements)]
        kinds = ("atomic", "atomic_errors", "weight", "weight_errors")
        arrays = {kind: getattr(self, kind).reshape(shape) for kind in kinds}
        with atomic_write(Path(path)) as file:
            counted = np.array(["O"] * self.by_stoichiometry, dtype=str)
            elements = np.array(self.elements)
            np.savez_compressed(file, elements=elements, by_stoichiometry=counted, **arrays)

    def _on_axes(self, values: Array, call: str, element: str) -> Array:
        if element not in self.elements:
            raise ValueError(
                f"`{call}({element!r})`: the composition is of {', '.join(self.elements)}: name "
                "one of them; others are fitted by `Compositions(edxs, [..., ...])`."
            )
        column = values[:, self.elements.index(element)]
        return column.reshape([length(axis) for axis in self.axes])

    def _display(self) -> Display:
        shape = " × ".join(str(length(axis)) for axis in self.axes)
        heads = ["at.%", "mean", "from", "to", "error of a pixel"]
        parts: list[Part] = [Table(heads, [self._row(j) for j in range(len(self.elements))])]
        if self.messages:
            parts.append(Notes(self.messages))
        return Display(f"composition of {shape} pixels", parts)

    def _row(self, j: int) -> list[str]:
        """Mean, 5th and 95th percentile, and the median error."""
        seen = np.isfinite(self.atomic[:, j])
        if not seen.any():
            return [self.headings[j], "–", "–", "–", "–"]
        values, errors = self.atomic[seen, j], self.atomic_errors[seen, j]
        numbers = (values.mean(), *np.percentile(values, [5, 95]), np.median(errors))
        return [self.headings[j], *(f"{number:.1f}" for number in numbers)]


def headings(elements: tuple[str, ...], *, by_stoichiometry: bool) -> tuple[str, ...]:
    """Elements as they head tables and maps, oxygen with how it was counted."""
    return tuple(f"{e} (stoich.)" if e == "O" and by_stoichiometry else e for e in elements)

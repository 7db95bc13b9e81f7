"""Compositions of components that a line model found, with all that is not known in the errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Facts, Notes, Part, Shown, Table
from fusion.algebra.waiting import waiting
from fusion.elements.composition_maps import CompositionMaps, headings
from fusion.elements.formula_unit import formula_unit, in_small_letters
from fusion.elements.found_told import Finding
from fusion.elements.pixel_composition import PixelSource
from fusion.elements.stoichiometry import FoundOxygen, in_charges

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

EXACT = 5e-3
"""at.% below which an error is not shown: of a binary oxide charges leave nothing open."""
ABREAST = 5
"""Elements that stand beside each other in a line of text."""


@dataclass(frozen=True)
class FoundDetector:
    """What the spectra say of a detector, each with a standard error.

    Attributes:
        offset: keV, where an energy of 0 is found on the axis; gain: a line of energy E is found at
            offset + gain · E.
        noise: full width at 0 keV, keV; fano: Fano factor.
    """

    offset: float
    offset_error: float
    gain: float
    gain_error: float
    noise: float
    fano: float

    def __str__(self) -> str:
        return (
            f"offset {1e3 * self.offset:+.2f} ± {1e3 * self.offset_error:.2f} eV, gain "
            f"{self.gain:.5f} ± {self.gain_error:.5f}, noise {1e3 * self.noise:.0f} eV, "
            f"Fano factor {self.fano:.3f}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ModelledComposition(Shown):
    """What components consist of, as a line model found it.

    Errors and intervals hold the noise of the counts, the mixing of components, calibration and
    width of the detector, its window, the scale of mass thickness, continuum, shares of subshells,
    and k factors as far as they are uncertain. Where counts and what was expected contradict each
    other, or the residual exceeds its noise, they are as much wider.

    Attributes:
        names: of the components, one a row; elements: one a column.
        atomic: (K, element) at.%; `atomic_errors` standard errors, 0 where an element is at zero;
            `atomic_intervals` (K, element, 2) of 95 %, from zero to a limit where it is.
        weight: weight %, with the same.
        detector: calibration and width; `mass_thickness`: (pixel axes) in g/cm², of the specimen:
            without `others`, which are of grid or holder.
        mass_thickness_mean: over what is not masked; `mass_thickness_interval` of 95 % around it.
        computed: shells whose sensitivities come from tables.
        messages: what else a user should know.
        oxygen: by stoichiometry, with what its line tells; None: per cents are those of its line.
        missing: elements that were not in the list, and that the sum of all pixels shows beside all
            that were, as `present` names them, the clearest first.
    """

    names: tuple[str, ...]
    elements: tuple[str, ...]
    atomic: Array
    atomic_errors: Array
    atomic_intervals: Array
    weight: Array
    weight_errors: Array
    weight_intervals: Array
    detector: FoundDetector
    mass_thickness: Array
    mass_thickness_mean: float
    mass_thickness_interval: tuple[float, float]
    computed: tuple[str, ...]
    messages: tuple[str, ...] = ()
    oxygen: FoundOxygen | None = None
    missing: tuple[Finding, ...] = ()
    _source: PixelSource | None = None

    @cached_property
    def maps(self) -> CompositionMaps:
        """At.% and weight % of every pixel, with errors; found when they are first asked for.

        Raises:
            ValueError: if the pixels it was found in are not at hand.
        """
        if self._source is None:
            raise ValueError(
                "`composition.maps`: this composition was not made by `result.composition()`: "
                "take it from the result of a fit of `models.Compositions`."
            )
        with waiting("composition.maps", self._source.progress):
            return self._source.maps()

    def is_of(self, model: Any) -> bool:
        """Whether a fit of this very model found it."""
        return self._source is not None and self._source.model is model

    @checked_call
    def map(self, element: str, *, weight: bool = False) -> Array:
        """At.% of an element on the axes of the scan, `maps.map`; weight % where asked for.

        Raises:
            ValueError: if it is none of the elements.
        """
        return self.maps.map(element, weight=weight)

    @checked_call
    def plot(self, *, weight: bool = False, errors: bool = False, figure: Any = None) -> Figure:
        """Element maps, mass thickness and the table; see `fusion.plots.plot_composition`.

        Args:
            weight: weight % in the place of at.%.
            errors: maps of standard errors, too.
            figure: a matplotlib figure, or part of one, to draw into.
        """
        from fusion.plots import plot_composition

        return plot_composition(self, weight=weight, errors=errors, figure=figure)

    @property
    def formulas(self) -> tuple[str, ...]:
        """Of every component the smallest formula within all intervals; "" where there is none."""
        return tuple(made[0] if made is not None else "" for made in self._units())

    def _units(self) -> list[tuple[str, float] | None]:
        rows = zip(self.atomic, self.atomic_intervals, strict=True)
        return [formula_unit(self.elements, *row) for row in rows]

    def _display(self) -> Display:
        tables = -(-len(self.elements) // ABREAST)
        columns = np.array_split(np.arange(len(self.elements)), tables)
        parts: list[Part] = [self._table(some.tolist()) for some in columns]
        parts.append(Facts(self.facts))
        if self.messages:
            parts.append(Notes(self.messages))
        return Display(f"composition of {', '.join(self.names)}", parts)

    @property
    def headings(self) -> tuple[str, ...]:
        """The elements, and of oxygen how it was counted: "O (stoich.)"."""
        return headings(self.elements, by_stoichiometry=self.oxygen is not None)

    @property
    def formula_heading(self) -> str:
        """What heads the formulas, with how oxygen was counted."""
        return "formula" if self.oxygen is None else "formula (stoich.)"

    @property
    def facts(self) -> list[tuple[str, str]]:
        """(what it is, what was found) of all that components have in common."""
        facts = [("mass thickness", self.thickness_text), ("detector", str(self.detector))]
        if self.computed:
            facts.append(("from tables", f"sensitivities of {', '.join(self.computed)}"))
        if self.oxygen is not None:
            facts.append(("oxygen", _oxygen_text(self.oxygen)))
        return facts

    def _table(self, columns: Sequence[int]) -> Table:
        """Some of the elements; beside the last of all stand the formulas."""
        rows = [[name, *(self.cell(i, j) for j in columns)] for i, name in enumerate(self.names)]
        heads = ["at.%", *(self.headings[j] for j in columns)]
        if columns[-1] < len(self.elements) - 1:
            return Table(heads, rows)
        for row, unit in zip(rows, self._units(), strict=True):
            row.append("–" if unit is None else f"{in_small_letters(unit[0])} to {unit[1]:.1f}")
        return Table([*heads, self.formula_heading], rows)

    def cell(self, i: int, j: int, *, weight: bool = False) -> str:
        """What is found of an element in a component: "20.0 ± 0.2", "< 0.4"."""
        what = "weight" if weight else "atomic"
        value, error = getattr(self, what)[i, j], getattr(self, f"{what}_errors")[i, j]
        return _told(value, error, getattr(self, f"{what}_intervals")[i, j, 1])

    @property
    def thickness_text(self) -> str:
        """Its mean over the map with its 95 % interval, "30.1 µg/cm² (25 to 36)"."""
        low, high = (1e6 * end for end in self.mass_thickness_interval)
        return f"{1e6 * self.mass_thickness_mean:.3g} µg/cm² ({low:.3g} to {high:.3g})"

    def to_csv(self, path: Any) -> None:
        """Write a row for every component and element: both per cents, errors and intervals.

        Raises:
            OSError: if the folder cannot be written.
        """
        from fusion.answers.whole_files import atomic_write

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        heads = [f"{what} {kind}" for kind in ("%", "±", "from", "to") for what in ("atomic",)]
        heads += [f"weight {kind}" for kind in ("%", "±", "from", "to")]
        writer.writerow(["component", "element", *heads, "by"])
        for i, name in enumerate(self.names):
            for j, element in enumerate(self.elements):
                numbers = [
                    number
                    for kind in ("atomic", "weight")
                    for number in (
                        getattr(self, kind)[i, j],
                        getattr(self, f"{kind}_errors")[i, j],
                        *getattr(self, f"{kind}_intervals")[i, j],
                    )
                ]
                counted = element == "O" and self.oxygen is not None
                by = "stoichiometry" if counted else "line"
                writer.writerow([name, element, *(f"{number:.6g}" for number in numbers), by])
        with atomic_write(Path(path)) as file:
            file.write(text.getvalue().encode())


def _told(value: float, error: float, limit: float) -> str:
    """ "20.0 ± 0.2", "< 0.4"; "60.0" where charges leave nothing open."""
    if not np.isfinite(value):
        return "–"
    if error == 0 and value == 0:
        return f"< {limit:.2g}"
    if error < EXACT:
        return f"{value:.1f}"
    places = 1 if error >= 0.095 else 2
    return f"{value:.{places}f} ± {error:.{places}f}"


def _oxygen_text(oxygen: FoundOxygen) -> str:
    """By which charges it was counted, and what its line tells of every component."""
    rows = zip(oxygen.by_line, oxygen.by_line_errors, oxygen.by_line_intervals, strict=True)
    told = ", ".join(_told(value, error, interval[1]) for value, error, interval in rows)
    return f"by stoichiometry ({in_charges(oxygen.valences)}); by its line {told} at.%"

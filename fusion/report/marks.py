"""X-ray lines and edges that are marked in spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusion.answers.result import Result
from fusion.elements.from_line_model import line_model_of

Lines = Mapping[str, Sequence[tuple[float, str]]]


def marks(result: Result, elements: str | Sequence[str], lines: Lines) -> dict[str, list[Any]]:
    """What is marked in the spectra of every data set, [[energy, label], …].

    Where no elements are asked for, those that a line model fitted.

    Raises:
        ValueError: if lines are of no data set, or no axis is one of energies.
    """
    found = {name: list(given) for name, given in _checked(lines, result).items()}
    if not len(elements) and (fitted := line_model_of(result.model)) is not None:
        elements = fitted[1].elements
    if len(elements):
        from fusion.data.signal_type import has_edges
        from fusion.elements import labels
        from fusion.xrays.table import KEV

        known = {
            n: (d.axes[-1], d.metadata)
            for n, d in result.data.items()
            if d.signal == 1 and d.axes[-1].units in KEV
        }
        if not known:
            raise ValueError(
                f"`report(elements={elements!r})`: no data set has an axis in {' or '.join(KEV)}: "
                "give the axis of energies its units, or leave the elements out."
            )
        marked = {n: each for n, each in known.items() if has_edges(*each) is not None}
        for name, (axis, metadata) in (marked or known).items():  # labels says why there is none
            of_elements = labels(axis, elements, metadata=metadata)
            found[name] = [*found.get(name, []), *([e, text] for e, text in of_elements)]
    return found


def _checked(lines: Lines, result: Result) -> dict[str, list[Any]]:
    """The lines that were given."""
    checked = {}
    for name, given in lines.items():
        if name not in result.data:
            raise ValueError(
                f"`report(lines=…)`: {name!r} is none of the data sets "
                f"{', '.join(map(repr, result.data))}: give {{data set name: [(energy, label)]}}."
            )
        checked[name] = [[float(energy), str(label)] for energy, label in given]
    return checked

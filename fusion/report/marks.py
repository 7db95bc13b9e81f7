"""X-ray lines and edges that are marked in spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.answers.result import Result
from fusion.data.signal_type import ENERGIES, has_edges
from fusion.elements.from_line_model import line_model_of

Array = NDArray[np.float64]
NOISE = 0.2  # keV, below which counts may be of the electronics
ALL, MARGIN = 0.999, 1.04  # share of the counts that are shown, and the room behind them
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


def shown_end(
    axis: Axis, metadata: Mapping[str, Any], mean: Array, lines: Sequence[Any]
) -> float | None:
    """Where X-rays end: their counts but a thousandth, and the marked lines; None where they go on.

    Args:
        axis: of the spectra, with their `metadata`.
        mean: spectrum of all pixels, (channel,).
        lines: marked, [energy, label].
    """
    energy = axis.values
    if axis.units not in ENERGIES or has_edges(axis, metadata) is not False or len(energy) < 2:
        return None
    counts = np.where(energy > NOISE * (1.0 if axis.units == "keV" else 1e3), mean, 0.0)
    summed = np.nan_to_num(counts).clip(0).cumsum()
    last = float(energy[min(np.searchsorted(summed, ALL * summed[-1]), len(energy) - 1)])
    marked = [at for at, _ in lines if energy[0] <= at <= energy[-1]]
    end = float(energy[0]) + MARGIN * (max([last, *marked]) - float(energy[0]))
    return end if energy[0] < end < energy[-1] else None


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

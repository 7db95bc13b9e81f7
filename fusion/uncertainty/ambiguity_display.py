"""What an ambiguity shows of itself: the verdict, then every component with its bands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fusion.algebra.display import Display, Facts, Table
from fusion.algebra.text_columns import cut
from fusion.answers.components import names_of

if TYPE_CHECKING:
    from fusion.uncertainty.ambiguity import Ambiguity

LETTERS = 24
"""Of a component's name, at most."""
QUICK = 10**6
"""Entries of the bands up to which their areas are summed."""


def ambiguity_display(found: Ambiguity) -> Display:
    """Whether the answer is unique, and how wide the band of every component is."""
    most = max((len(each) for each in found.determined.values()), default=0)
    cells = [list(_column(found, name, most)) for name in found.determined]
    called = names_of(found, most)
    rows = [(cut(called[k], LETTERS), *(column[k] for column in cells)) for k in range(most)]
    title = f"Ambiguity at {100 * found.level:g} % confidence: {found.unique}"
    tried = f"{len(found.rises)} found, each at most {found.allowed:.3g} above the loss of the best"
    head = ("component", *(f"band of {name}" for name in found.determined))
    return Display(title, (Table(head, rows), Facts([("other answers", tried)])))


def _column(found: Ambiguity, name: str, most: int) -> Iterator[str]:
    """For every component of a factor the area of its band over its own, and what that says."""
    small = found.factors[name].size <= QUICK
    widths = found.width_of(name) if small else None
    for k in range(most):
        if k >= len(found.determined[name]):
            yield "–"
            continue
        said = "determined" if found.determined[name][k] else "not unique"
        width = np.inf if widths is None else widths[k]
        yield f"{100 * width:.1f} % of area, {said}" if np.isfinite(width) else said

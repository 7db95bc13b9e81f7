"""What a page says of compositions that a line model found: tables, facts, maps in at.%."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Any

from fusion.answers.result import Result
from fusion.elements.formula_unit import in_small_letters, interval_text
from fusion.elements.from_line_model import line_model_of
from fusion.elements.modelled_composition import ModelledComposition

DPI = 110


def check_composition(result: Result, given: Any) -> None:
    """Complain of a composition that is none, or of another result.

    Raises:
        ValueError: if it is.
    """
    if given is None:
        return
    if not isinstance(given, ModelledComposition) or not given.is_of(result.model):
        raise ValueError(
            f"`report(composition=…)`: {given.__class__.__name__}: no composition that the model "
            "of this result found: give what `result.composition(oxygen=…)` gave."
        )


def composition_section(
    result: Result, given: ModelledComposition | None = None
) -> dict[str, Any] | None:
    """Of a result whose model has a `LineModel` and `atoms()`; None of any other."""
    if line_model_of(result.model) is None or not hasattr(result.model, "atoms"):
        return None
    found: Any = result.composition(progress=False) if given is None else given
    return {
        "elements": found.headings,
        "formula": found.formula_heading,
        "tables": [_table(found, weight=weight) for weight in (False, True)],
        "facts": found.facts,
        "messages": [*found.messages, *found.maps.messages],
        "pictures": _pictures(found),
    }


def _table(found: ModelledComposition, *, weight: bool) -> dict[str, Any]:
    """A row for every component: (value with error, interval) of every element, the formula."""
    intervals = found.weight_intervals if weight else found.atomic_intervals
    rows = [
        {
            "name": name,
            "cells": [
                (found.cell(i, j, weight=weight), interval_text(*intervals[i, j]))
                for j in range(len(found.elements))
            ],
            "formula": None if weight else in_small_letters(found.formulas[i]) or "–",
        }
        for i, name in enumerate(found.names)
    ]
    return {"unit": "weight %" if weight else "at.%", "rows": rows}


def _pictures(found: ModelledComposition) -> list[tuple[str, str]]:
    """(what it is, the picture as a link that holds it)."""
    from fusion.plots.composition import draw_maps

    if not found.maps.axes:
        return []
    drawn = draw_maps(found, errors=True)
    written = BytesIO()
    drawn.savefig(written, format="png", dpi=DPI)
    told = "Every element in at.%, the mass thickness, and standard errors"
    return [(told, f"data:image/png;base64,{b64encode(written.getvalue()).decode()}")]

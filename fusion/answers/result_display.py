"""What a result shows of itself: how the fit ended, what it leaves of the data, its components."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fusion.algebra.display import Display, Facts, Figure, Notes, Part
from fusion.algebra.text_columns import in_one_line

if TYPE_CHECKING:
    from fusion.answers.result import Result


def result_display(result: Result, png: Callable[[], bytes | None]) -> Display:
    """Status, loss, starts, factors, every data set, cautions; on a page a picture, too.

    Args:
        result: which.
        png: draws it.
    """
    facts = [
        ("status", result.status),
        ("loss", f"{result.loss:.8g} = {result.formula}"),
        ("solver", f"{result.solver.partition('(')[0]}, {result.seconds:.1f} s"),
        ("starts", result.told_of_starts()),
        ("factors", ", ".join(_factor(result, name) for name in result.factors)),
        *((in_one_line(name), summary.told()) for name, summary in result.data.items()),
    ]
    if (result.n_components or 0) > 1:
        facts.append(("unique?", "`fu.ambiguity(result)` says how far other answers go"))
    drawn = f"maps and spectra of the components of {_data_names(result)}"
    parts: list[Part] = [Facts(facts), Figure(png, drawn)]
    if result.messages:
        parts.append(Notes(result.messages))
    return Display(_title(result), parts)


def _title(result: Result) -> str:
    """The data and the number of components."""
    K = result.n_components
    number = "" if K is None else f", {K} component{'s' * (K != 1)}"
    if result.component_names:
        number += f": {', '.join(result.component_names)}"
    return f"Result of {_data_names(result)}{number}"


def _data_names(result: Result) -> str:
    return " and ".join(map(repr, result.data)) or "no data"


def _factor(result: Result, name: str) -> str:
    """ "C (y, x; 3)": what the rows run along, and how many columns there are."""
    axes = result.axes.get(name, (None,))
    shape = " × ".join(map(str, result.factors[name].shape))
    along = ", ".join(axis.name for axis in (axes[0] if axes else None) or ())
    return f"{name} {shape}" + (f" ({along})" if along else "")

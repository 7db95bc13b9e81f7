"""k and ζ factors as they are given: a csv file, or NAME=VALUE."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fusion.xrays.sensitivities import KFactors
    from fusion.xrays.zeta_factors import ZetaFactors

FLAG = "--k-factors"
FORMS = "O_K=1.9, Sr_La=1.2+-0.06, or a csv file of name, k and standard error"
Row = tuple[str, str, str]
"""Name, k and its error, or nothing, as they were written."""


def k_factors_of(
    texts: Sequence[str],
    kind: str | None,
    error: float,
    dose: float | None = None,
    dose_error: float | None = None,
) -> KFactors | ZetaFactors | None:
    """All that were given; None where none were, and they are computed.

    Args:
        texts: as they were written; kind: "weight", "atomic", "zeta"; error: of those without one.
        dose: electrons a pixel, of ζ factors; dose_error: relative.

    Raises:
        click.UsageError: if one is none, or it is not said for which fractions they are.
        ValueError: if a file cannot be read, or there is no such element or line.
    """
    if (dose is None) == (kind == "zeta") or (dose is None and dose_error is not None):
        raise click.UsageError("--dose and --k-kind zeta: the one goes with the other")
    if not texts:
        if kind is not None or error:
            flag = "--k-kind" if kind is not None else "--k-error"
            raise click.UsageError(f"{flag}: there are no k factors: give some, {FLAG} {FORMS}")
        return None
    if kind is None:
        raise click.UsageError(
            f"{FLAG}: say for which fractions they are, --k-kind weight (as those of Cliff and "
            "Lorimer, and of most programs), --k-kind atomic, or --k-kind zeta with the --dose"
        )

    values: dict[str, float | tuple[float, float]] = {}
    for where, (name, k, spread) in _rows(texts):
        called = " ".join(name.replace("_", " ").split())
        if called in values:
            raise click.UsageError(f"{FLAG} {where}: {called} has a k factor already: give one")
        value = _number(where, k)
        values[called] = (value, _number(where, spread)) if spread else value
    if dose is not None:
        from fusion.xrays.zeta_factors import ZetaFactors

        known = {} if dose_error is None else {"dose_error": dose_error}
        return ZetaFactors(values, dose, error=error, **known)
    from fusion.xrays.sensitivities import KFactors

    return KFactors(values, kind=kind, error=error)  # type: ignore[arg-type]


def _rows(texts: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """(where it stands, its row) of every k factor."""
    for text in texts:
        if Path(text).is_file() or "=" not in text:
            yield from _rows_of_file(Path(text))
        else:
            name, _, rest = text.partition("=")
            k, _, spread = rest.replace("+-", "±").partition("±")
            yield text, (name, k, spread)


def _rows_of_file(path: Path) -> Iterator[tuple[str, Row]]:
    """Of a csv file; a first line that is no number is its heads."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(_without_notes(file)))
    except FileNotFoundError:
        raise ValueError(f"{FLAG} {path}: no such file, and no NAME=VALUE: give {FORMS}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{FLAG} {path}: cannot be read ({error}): give {FORMS}") from None
    rows = [(i, [cell.strip() for cell in line]) for i, line in enumerate(lines, 1) if any(line)]
    for i, cells in rows:
        if len(cells) not in (2, 3):
            raise ValueError(
                f"{FLAG} {path}: line {i} has {len(cells)} columns: name, k and, if known, its "
                "standard error, divided by commas"
            )
        if (i, cells) == rows[0] and not _is_number(cells[1]):
            continue
        yield f"{path}, line {i}", (cells[0], cells[1], cells[2] if len(cells) == 3 else "")


def _without_notes(lines: Iterable[str]) -> Iterator[str]:
    """Lines of notes, which begin with #, left empty."""
    return ("\n" if line.startswith("#") else line for line in lines)


def _number(where: str, text: str) -> float:
    if not _is_number(text):
        raise click.UsageError(f"{FLAG} {where}: {text!r} is no number: give {FORMS}")
    return float(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

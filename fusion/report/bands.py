"""How far spectra and maps may be off: standard errors, and answers that fit as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.algebra.axis import Axes
from fusion.answers.result import Result
from fusion.report.averaging import means
from fusion.report.data_parts import Array, DataPart
from fusion.report.packing import floats

if TYPE_CHECKING:
    from fusion.uncertainty.ambiguity import Ambiguity
    from fusion.uncertainty.error_table import StandardErrors

SAME = 1e-4  # of a column's maximum, by which a factor may differ from what is drawn
Store = Callable[[str, dict[str, Any]], str]


@dataclass(frozen=True)
class Trust:
    """What is known of how far an answer may be off; None where it was not asked for."""

    errors: StandardErrors | None = None
    ambiguity: Ambiguity | None = None


def checked_trust(
    result: Result,
    errors: StandardErrors | bool,
    ambiguity: Ambiguity | bool,
    progress: bool,
) -> Trust:
    """Errors and ambiguity as they were given, or computed where they are True.

    Raises:
        ValueError: if they are of another result, or the result was loaded and True asks for them.
    """
    if errors is True:
        errors = result.errors(progress=progress)
    if ambiguity is True:
        from fusion.uncertainty.ambiguity import ambiguity as find_bands

        ambiguity = find_bands(result, progress=progress)
    _check_shapes(result, "errors", {} if errors is False else errors)
    _check_shapes(result, "ambiguity", {} if ambiguity is False else ambiguity.factors)
    return Trust(errors or None, ambiguity or None)


def _check_shapes(result: Result, option: str, given: Any) -> None:
    """Complain of what belongs to another result."""
    for name, values in given.items():
        own = result.factors.get(name)
        if own is None or own.shape != np.shape(values):
            held = "no such factor" if own is None else f"there it is {own.shape}"
            raise ValueError(
                f"`report({option}=…)`: {name} is of shape {np.shape(values)}, of this result "
                f"{held}: give those of this result, or {option}=True, which computes them."
            )


def factor_behind(result: Result, matrix: Array, axes: Axes) -> tuple[str, Array] | None:
    """The factor that a matrix is, and what its columns are multiplied with, (K,).

    None where the matrix is made of several, as C + N is.
    """
    for name, factor in result.factors.items():
        F = np.asarray(factor, dtype=float)
        if F.shape != matrix.shape or (result.axes.get(name) or (None,))[0] != axes:
            continue
        scale = (F * matrix).sum(0) / np.maximum((F * F).sum(0), np.finfo(float).tiny)
        near = SAME * np.abs(matrix).max(0, initial=0.0)
        if (np.abs(F * scale - matrix) <= near).all():
            return name, scale
    return None


def band_entry(
    result: Result,
    trust: Trust,
    part: DataPart,
    into: tuple[Array, int],
    store: Store,
    i: int,
    *,
    whole: bool,
) -> dict[str, Any]:
    """Arrays of a data set's bands, (K, channel), and of the errors of its maps, (K, pixel).

    Args:
        result: the answer; trust: what is known of it; part: the data set.
        into: into which average every channel goes, and how many there are.
        store: keeps an array; i: number of the data set.
        whole: whether maps are shown pixel by pixel.
    """
    entry: dict[str, Any] = {"errors": None, "mapErrors": None, "low": None, "high": None}
    if trust == Trust() or part.left is None or part.right is None:
        return entry
    spectra = factor_behind(result, part.right, part.channels)
    maps = factor_behind(result, part.left, part.pixels)
    if trust.errors is not None and spectra is not None:
        error = _finite(trust.errors[spectra[0]] * np.abs(spectra[1]))
        entry["errors"] = store(f"errors{i}", floats(means(error, *into).T))
    if trust.errors is not None and maps is not None and whole:
        error = trust.errors[maps[0]] * np.abs(maps[1])
        entry["mapErrors"] = store(f"mapErrors{i}", floats(error.T))
    if trust.ambiguity is not None and spectra is not None:
        ends = np.sort([band * spectra[1] for band in trust.ambiguity.bands[spectra[0]]], axis=0)
        for side, end in zip(("low", "high"), ends, strict=True):
            entry[side] = store(f"{side}{i}", floats(means(end, *into).T))
    return entry


def _finite(error: Array) -> Array:
    """NaN where the data leave an entry open, or it stands at its bound: no bar is drawn."""
    return np.where(np.isfinite(error), error, np.nan)


def band_texts(
    result: Result, trust: Trust, parts: Sequence[DataPart], entries: Sequence[dict[str, Any]]
) -> list[list[str]]:
    """What the bands of every data set's components are, in words."""
    texts: list[list[str]] = []
    for part, entry in zip(parts, entries, strict=True):
        told = []
        if entry["errors"] is not None:
            told.append(
                "Inner bands: ± 2 standard errors of every entry, given that the model and its "
                f"noise are right.{_without_bar(result, trust, part)}"
            )
        if entry["low"] is not None and trust.ambiguity is not None:
            told.append(
                "Outer bands: between the lowest and the highest of all answers that fit as well, "
                f"at {100 * trust.ambiguity.level:g} %. {_told(trust.ambiguity.unique)}"
            )
        asked = trust.errors is not None or trust.ambiguity is not None
        if asked and not told and part.right is not None:
            told.append(
                f"The spectra of {part.name} are made of several factors: no band of one of them "
                "is theirs, and none is drawn."
            )
        texts.append(told)
    return texts


def _without_bar(result: Result, trust: Trust, part: DataPart) -> str:
    """How many entries have none, and why."""
    assert part.right is not None
    assert trust.errors is not None
    found = factor_behind(result, part.right, part.channels)
    error = trust.errors[found[0]] if found else np.zeros(0)
    told = [
        f"{count} {words}"
        for count, words in (
            (int(np.isnan(error).sum()), "stand at their bound"),
            (int(np.isinf(error).sum()), "are left open by the data"),
        )
        if count
    ]
    return f" Without a band: {' and '.join(told)}." if told else ""


def _told(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")

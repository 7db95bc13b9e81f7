"""One number that is held against a bar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fusion.answers.matching import match, spectral_angle


@dataclass(frozen=True)
class Line:
    """One number that is held against a bar.

    Attributes:
        case: what is measured.
        bar: what it should be, in words.
        measured: what it is, in words.
        passed: whether it is; None: a number for comparison, that no bar stands for.
    """

    case: str
    bar: str
    measured: str
    passed: bool | None


def table(lines: Iterable[Line]) -> int:
    """Print lines as they come; the number of bars that are missed."""
    missed = 0
    print("| case | bar | measured | pass |\n|---|---|---|---|", flush=True)
    for line in lines:
        word = {None: "–", True: "yes", False: "NO"}[line.passed]
        missed += line.passed is False
        print(f"| {line.case} | {line.bar} | {line.measured} | {word} |", flush=True)
    return missed


def angles(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Degrees between matched columns, in the order of the truth."""
    return spectral_angle(found[:, match(truth, found)], truth)


def within(case: str, found: np.ndarray, bar: float | None) -> Line:
    """Angles below a bar; without one, for comparison."""
    measured = " / ".join(f"{angle:.1f}" for angle in found) + "°"
    if bar is None:
        return Line(case, "–", measured, None)
    return Line(case, f"≤ {bar:g}° each", measured, bool((found <= bar).all()))

"""What the methods find, on data whose truth is known: case, bar, measured, pass.

python -m benchmarks.science DATA [CASE …]   DATA: the folder that holds figure_cases/, multiway/ …
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fusion as fu
from fusion.comparison import match, spectral_angle
from fusion.losses import Poisson
from fusion.models import NMF


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


def angles(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Degrees between matched columns."""
    return spectral_angle(found[:, match(truth, found)], truth)


def geometry(data: Path) -> Iterator[Line]:
    """Three phases on top of each other, no pixel pure, 1000 counts a pixel."""
    file = np.load(data / "espm_simulated_edxs/AlFeSi3N4_multilayer.npz")
    edxs = fu.Dataset("edxs", file["counts_dose1000"].astype(float))
    truth = file["phases"].T
    model, loss = NMF(edxs, 3), 1.0 * Poisson(edxs)
    told = {"starts": 1, "progress": False}
    for name, init, bar in (
        ("VCA", fu.VCA(), None),
        ("SSS + VCA", fu.VCA(points=fu.SSS()), 6.0),
        ("SSS + SPA", fu.SPA(points=fu.SSS()), 6.0),
        ("SSS + N-FINDR", fu.NFINDR(points=fu.SSS()), 6.0),
    ):
        found = angles(fu.fit(model, loss, init=init, max_steps=0, **told).factors["S"], truth)
        yield _within(f"AlFeSi3N4, dose 1000: {name}", found, bar)
    found = angles(fu.fit(model, loss, progress=False).factors["S"], truth)
    yield _within("AlFeSi3N4, dose 1000: KL-NMF, best of ten", found, None)


def _within(case: str, found: np.ndarray, bar: float | None) -> Line:
    """Angles below a bar."""
    measured = " / ".join(f"{angle:.1f}" for angle in found) + "°"
    if bar is None:
        return Line(case, "–", measured, None)
    return Line(case, f"≤ {bar:g}° each", measured, bool((found <= bar).all()))


CASES: dict[str, Callable[[Path], Iterator[Line]]] = {f.__name__: f for f in (geometry,)}


def main(data: str, names: list[str]) -> int:
    """Print the table; the number of bars that are missed."""
    missed = 0
    print("| case | bar | measured | pass |\n|---|---|---|---|")
    for name in names or CASES:
        for line in CASES[name](Path(data)):
            word = {None: "–", True: "yes", False: "NO"}[line.passed]
            missed += line.passed is False
            print(f"| {line.case} | {line.bar} | {line.measured} | {word} |", flush=True)
    return missed


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"{__doc__}\ncases: {', '.join(CASES)}")
    sys.exit(1 if main(sys.argv[1], sys.argv[2:]) else 0)

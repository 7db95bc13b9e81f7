"""Plural scattering inside the factorisation, held against truth.

python -m benchmarks.science.eels DATA [row …] [--draws N]   some rows alone, with fewer draws
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.science import eels_other_rows as other
from benchmarks.science import eels_rows as rows
from benchmarks.science.eels_cases import Measured, Runs
from benchmarks.science.line import Line, table

DRAWS = 20


class Row(NamedTuple):
    """A row of the table: a short name, case and bar in words, and what measures it."""

    name: str
    case: str
    bar: str
    measure: Callable[[Runs], Measured]


ROWS = {
    row.name: row
    for row in (
        Row("default", "dual EELS, 0.5 eV, default call", "≤ 1.5° each", rows.default),
        Row("time", "its time, two cores", "≤ 15 s", rows.seconds),
        Row("random", "ten random starts, 1 eV", "10 of 10 at one objective, ≤ 1.5°", rows.random),
        Row("maps", "maps, over least squares with the true spectra", "≤ 1.15 ×", rows.maps),
        Row("thickness", "t/λ", "≤ 0.5 % rms", rows.thickness),
        Row("thin", "t/λ, 4000 electrons a pixel", "≤ 3 % rms", rows.thickness_of_few),
        Row("plateau", "a factor 30 of the weight, 1 eV", "≤ 1.7° each", rows.plateau),
        Row("ratio", "Fourier ratio, then soft orthogonality", "ours smaller", other.fourier_ratio),
        Row("coverage", "95 % intervals of spectra, draws, 1 eV", "90–98 %, ≥ 88 % each",
            other.coverage),
        Row("tenth", "a tenth of the core dose, 1 eV", "≤ 4°, or a caution", other.tenth),
        Row("convolve", "`convolve` beside a dense Toeplitz", "≤ 1e-10", other.convolve),
    )
}  # fmt: skip


def eels(data: Path) -> Iterator[Line]:
    """All rows."""
    yield from chosen(data, list(ROWS), DRAWS)


def chosen(data: Path, names: Sequence[str], draws: int) -> Iterator[Line]:
    """Rows by name; what one finds serves the others."""
    runs = Runs(data, draws)
    yield from (measured(ROWS[name], runs) for name in names)


def measured(row: Row, runs: Runs) -> Line:
    """A row; one that raises is missed, with the first line of what it says."""
    case = row.case.replace("draws", f"{runs.draws} draws")
    try:
        said, passed = row.measure(runs)
    except Exception as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        said, passed = f"{type(error).__name__}: {told[0]}", False
    return Line(case, row.bar, said.replace("|", "∣"), passed)


def main(argv: Sequence[str] | None = None) -> int:
    """Print some rows; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.science.eels")
    parser.add_argument("data", type=Path, help="the folder that holds physics_cases/")
    parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(ROWS))
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N")
    told = parser.parse_args(argv)
    if unknown := [name for name in told.rows if name not in ROWS]:
        parser.error(f"{', '.join(unknown)}: there are {', '.join(ROWS)}")
    return 1 if table(chosen(told.data, told.rows or list(ROWS), told.draws)) else 0


if __name__ == "__main__":
    sys.exit(main())

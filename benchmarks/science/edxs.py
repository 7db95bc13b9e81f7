"""X-ray compositions inside the factors, held against truth.

python -m benchmarks.science.edxs DATA [row …] [--draws N]   some rows alone, with fewer draws
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.science import edxs_other_rows, edxs_rows
from benchmarks.science.edxs_cases import Runs
from benchmarks.science.edxs_rows import Row
from benchmarks.science.line import Line, table

DRAWS = 50
ROWS = {row.name: row for row in (*edxs_rows.ROWS, *edxs_other_rows.ROWS)}


def edxs(data: Path) -> Iterator[Line]:
    """All rows."""
    yield from chosen(data, list(ROWS), DRAWS)


def chosen(data: Path, names: Sequence[str], draws: int) -> Iterator[Line]:
    """Rows by name; what one finds on the shared maps serves the others."""
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.science.edxs")
    parser.add_argument("data", type=Path, help="the folder that holds physics_cases/")
    parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(ROWS))
    parser.add_argument("--draws", type=int, default=DRAWS, metavar="N")
    told = parser.parse_args(argv)
    if unknown := [name for name in told.rows if name not in ROWS]:
        parser.error(f"{', '.join(unknown)}: there are {', '.join(ROWS)}")
    return 1 if table(chosen(told.data, told.rows or list(ROWS), told.draws)) else 0


if __name__ == "__main__":
    sys.exit(main())

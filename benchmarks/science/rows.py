"""Rows of a table of bars: measured one by one, by name, also from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.science.line import Line, table


class Row(NamedTuple):
    """A row of the table: a short name, case and bar in words, and what measures it."""

    name: str
    case: str
    bar: str
    measure: Callable[[Any], tuple[str, bool | None]]


class Case(NamedTuple):
    """Rows by name, what they measure on, made of (data, draws), and how many draws they want."""

    name: str
    rows: Mapping[str, Row]
    runs: Callable[[Path, int], Any]
    draws: int

    def chosen(self, data: Path, names: Sequence[str], draws: int) -> Iterator[Line]:
        """Some rows; what one finds on shared maps serves the others."""
        runs = self.runs(data, draws)
        yield from (measured(self.rows[name], runs) for name in names)

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Print some rows; 1 where a bar is missed."""
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.science.{self.name}")
        parser.add_argument("data", type=Path, help="the folder that holds physics_cases/")
        parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(self.rows))
        parser.add_argument("--draws", type=int, default=self.draws, metavar="N")
        told = parser.parse_args(argv)
        if unknown := [name for name in told.rows if name not in self.rows]:
            parser.error(f"{', '.join(unknown)}: there are {', '.join(self.rows)}")
        return 1 if table(self.chosen(told.data, told.rows or list(self.rows), told.draws)) else 0


def measured(row: Row, runs: Any) -> Line:
    """A row; one that raises is missed, with the first line of what it says."""
    case = row.case.replace("draws", f"{runs.draws} draws")
    try:
        said, passed = row.measure(runs)
    except Exception as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        said, passed = f"{type(error).__name__}: {told[0]}", False
    return Line(case, row.bar, said.replace("|", "∣"), passed)

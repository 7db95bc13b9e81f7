"""X-ray compositions inside the factors, held against truth.

python -m benchmarks.science.edxs DATA [row …] [--draws N]   some rows alone, with fewer draws
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.science import edxs_bias, edxs_limit, edxs_other_rows, edxs_rows
from benchmarks.science.edxs_cases import Runs
from benchmarks.science.line import Line
from benchmarks.science.rows import Case

DRAWS = 50
PARTS = edxs_rows, edxs_bias, edxs_limit, edxs_other_rows
ROWS = {row.name: row for part in PARTS for row in part.ROWS}
CASE = Case("edxs", ROWS, Runs, DRAWS)


def edxs(data: Path) -> Iterator[Line]:
    """All rows."""
    yield from CASE.chosen(data, list(ROWS), DRAWS)


if __name__ == "__main__":
    sys.exit(CASE.main())

"""Plural scattering inside the factorisation, held against truth.

python -m benchmarks.science.eels DATA [row …] [--draws N]   some rows alone, with fewer draws
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.science import eels_other_rows as other
from benchmarks.science import eels_rows as rows
from benchmarks.science.eels_cases import Runs
from benchmarks.science.line import Line
from benchmarks.science.rows import Case, Row

DRAWS = 20


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
CASE = Case("eels", ROWS, Runs, DRAWS)


def eels(data: Path) -> Iterator[Line]:
    """All rows."""
    yield from CASE.chosen(data, list(ROWS), DRAWS)


if __name__ == "__main__":
    sys.exit(CASE.main())

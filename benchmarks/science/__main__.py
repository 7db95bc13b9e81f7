"""What the methods find, on data whose truth is known: case, bar, measured, pass.

python -m benchmarks.science DATA [CASE …]   DATA: the folder that holds figure_cases/, multiway/ …
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.science.ambiguity import ambiguity
from benchmarks.science.ard import ard
from benchmarks.science.edxs import edxs
from benchmarks.science.eels import eels
from benchmarks.science.geometry import geometry
from benchmarks.science.joint import joint
from benchmarks.science.line import Line, table
from benchmarks.science.mlls import mlls
from benchmarks.science.noise import noise
from benchmarks.science.rank import rank
from benchmarks.science.solvers import solvers
from benchmarks.science.structure import structure
from benchmarks.science.tensors import tensors

CASES: dict[str, Callable[[Path], Iterator[Line]]] = {
    case.__name__: case
    for case in (
        geometry,
        rank,
        ard,
        solvers,
        structure,
        mlls,
        noise,
        tensors,
        joint,
        ambiguity,
        edxs,
        eels,
    )
}


def main(data: str, names: list[str]) -> int:
    """Print the table of some cases, or of all; the number of bars that are missed."""
    return table(line for name in names or CASES for line in CASES[name](Path(data)))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"{__doc__}\ncases: {', '.join(CASES)}")
    sys.exit(1 if main(sys.argv[1], sys.argv[2:]) else 0)

"""Values with errors in tables, and tables in files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

NONE = "–"


def with_error(value: float, error: float) -> str:
    """ "0.614 ± 0.012": two digits of the error; the value alone where there is none."""
    if not np.isfinite(value):
        return NONE
    if not np.isfinite(error):
        return f"{value:.4g}"
    if error <= 0:
        return f"{value:.6g}"
    places = 1 - int(np.floor(np.log10(float(f"{error:.1e}"))))
    if not 0 <= places <= 6:
        return f"{value:.6g} ± {error:.2g}"
    return f"{value:.{places}f} ± {error:.{places}f}"


def write_rows(path: Any, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A csv of them, whole or not at all.

    Raises:
        OSError: if the folder cannot be written.
    """
    from fusion.answers.whole_files import atomic_write

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([x if isinstance(x, str) else f"{x:.6g}" for x in row])
    with atomic_write(Path(path)) as file:
        file.write(text.getvalue().encode())

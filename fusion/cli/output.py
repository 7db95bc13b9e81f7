"""Files and words of an answer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fusion.answers.result import Result
from fusion.answers.storage import atomic_write


def check_writable(folder: Path) -> None:
    """Make the folder, and complain now if nothing can be written into it.

    Raises:
        OSError: if it cannot.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"-o {folder}: is a file: give a folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"-o {folder}: cannot be written ({error.strerror}): give another.") from None


def write_answer(result: Result, folder: Path, figure: Any = None) -> list[str]:
    """result.npz, summary.txt, figure.png, spectra.csv, report.html, each whole or not at all.

    Returns:
        What was written: without bokeh there is no report.
    """
    result.save(folder / "result.npz")
    with atomic_write(folder / "summary.txt") as file:
        file.write(summary_text(result).encode())
    result.save(folder / "spectra.csv")
    with atomic_write(folder / "figure.png") as file:
        (result.plot() if figure is None else figure).savefig(file, format="png", dpi=150)
    written = ["result.npz", "summary.txt", "figure.png", "spectra.csv"]
    if find_spec("bokeh") is None:
        return written
    result.report(folder / "report.html")
    return [*written, "report.html"]


def summary_text(result: Result) -> str:
    """The answer, the noise that was assumed, what was done before, and every start."""
    lines = [result.summary(), "", "noise assumed"]
    lines += [f"  {name}: {data.noise}" for name, data in result.data.items()]
    steps = [f"  {name}: {step}" for name, data in result.data.items() for step in data.history]
    lines += ["", "prepared", *steps] if steps else []
    lines += ["", "starts, best first"]
    for i in np.argsort(result.losses):
        lines.append(f"  {result.losses[i]:.8g}  {result.statuses[i]}")
    return "\n".join([*lines, ""])


def json_report(result: Result) -> dict[str, Any]:
    """The summary for machines, `--json`."""
    return {
        "status": result.status,
        "converged": result.converged,
        "seconds": result.seconds,
        "loss": result.loss,
        "n_components": result.n_components,
        "starts": [float(x) for x in result.losses],
        "data_sets": [
            {
                "name": name,
                "shape": list(data.shape),
                "noise": data.noise,
                "explained_variance": data.explained_variance,
                "chi2_per_value": data.chi2,
            }
            for name, data in result.data.items()
        ],
        "messages": list(result.messages),
    }


def print_answer(
    result: Result,
    report: Mapping[str, Any],
    folder: Path,
    written: Sequence[str],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print the answer for people, or for machines."""
    if as_json:
        print(json.dumps(report))
    elif not quiet:
        print(result.summary())
        print(f"wrote {', '.join(written[:-1])} and {written[-1]} to {folder}")
        if "report.html" not in written:
            print('for report.html, maps linked to spectra: pip install "sdfusion[report]"')

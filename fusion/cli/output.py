"""Files and words of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fusion.answers.result import Result
from fusion.cli.answer_folder import FILES, whole_answer
from fusion.cli.findings import Findings
from fusion.cli.words import command_words


def write_answer(
    result: Result,
    folder: Path,
    figure: Any = None,
    used: Sequence[str] = (),
    findings: Findings | None = None,
) -> list[str]:
    """result.npz, summary.txt, figure.png, spectra.csv, report.html: all of them, or none.

    Beside them, or in the place of spectra, the files of what else was found.

    Returns:
        What was written: without bokeh there is no report.
    """
    with whole_answer(folder) as part:
        result.save(part / "result.npz")
        text = summary_text(result, used)
        if findings is None or findings.spectra:
            result.save(part / "spectra.csv")
        if findings is not None:
            text += f"\n{findings.text()}\n"
            findings.write(part)
            figure = findings.figure() if figure is None else figure
        (part / "summary.txt").write_text(text, encoding="utf-8")
        drawn = result.plot() if figure is None else figure
        drawn.savefig(part / "figure.png", format="png", dpi=150)
        if find_spec("bokeh") is not None:
            found = {} if findings is None else findings.page()
            result.report(part / "report.html", **found)
        written = sorted((file.name for file in part.iterdir()), key=FILES.index)
    return written


def summary_text(result: Result, used: Sequence[str] = ()) -> str:
    """The answer, what it is of, the noise that was assumed, what was done before, all starts."""
    lines = [result.stamp.upper()] if result.stamp else []
    lines += [command_words(result.summary()), ""]
    lines += [*used, ""] if used else []
    lines += ["noise assumed"]
    lines += [f"  {name}: {data.noise}" for name, data in result.data.items()]
    steps = [f"  {name}: {step}" for name, data in result.data.items() for step in data.history]
    lines += ["", "prepared", *steps] if steps else []
    lines += ["", "starts, best first"]
    for i in np.lexsort([result.losses, ~result.ended]):  # those that were dropped come last
        lines.append(f"  {result.losses[i]:.8g}  {result.statuses[i]}")
    return "\n".join([*lines, ""])


def json_report(result: Result, used: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The summary for machines, `--json`; `used` is what else is known of each data set."""
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
                **(used or {}).get(name, {}),
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
    used: Sequence[str] = (),
    findings: Findings | None = None,
) -> None:
    """Print the answer for people, or for machines."""
    if as_json:
        print(json.dumps(report))
    elif not quiet:
        print("\n".join([*used, command_words(result.summary())]))
        if findings is not None:
            print(command_words(findings.text()))
        print(f"wrote {', '.join(written[:-1])} and {written[-1]} to {folder}")
        if "report.html" not in written:
            print('for report.html, maps linked to spectra: pip install "sdfusion[report]"')

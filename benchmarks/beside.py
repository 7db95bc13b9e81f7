"""Losses beside times of two commits, from what asv has kept: python -m benchmarks.beside A B."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TIME, LOSS = ".time_call", ".track_loss_of_call"
HEAD = ["case", "before", "after", "times as fast", "loss before", "change of it, in parts"]


def rows(folder: Path, before: str, after: str) -> list[list[str]]:
    """A line for every case that either commit has: times, their ratio, loss and its change.

    Raises:
        SystemExit: if asv has kept nothing of a commit.
    """
    old, new = _numbers(folder, before), _numbers(folder, after)
    names = sorted({name.removesuffix(TIME) for name in old | new if name.endswith(TIME)})
    return [_row(name, old, new) for name in names]


def _row(name: str, old: dict[str, float], new: dict[str, float]) -> list[str]:
    times = [numbers.get(name + TIME, math.nan) for numbers in (old, new)]
    losses = [numbers.get(name + LOSS, math.nan) for numbers in (old, new)]
    change = (losses[1] - losses[0]) / (abs(losses[0]) or 1.0)
    return [
        name,
        *(_time(numbers, name + TIME) for numbers in (old, new)),
        _told(f"{times[0] / times[1]:.2g}"),
        _told(f"{losses[0]:.9g}"),
        _told(f"{change:.1e}"),
    ]


def _time(numbers: dict[str, float], name: str) -> str:
    if name not in numbers:
        return "not run"
    return "failed, or skipped" if math.isnan(numbers[name]) else f"{numbers[name]:.3g} s"


def _told(text: str) -> str:
    return "" if text == "nan" else text


def _numbers(folder: Path, commit: str) -> dict[str, float]:
    """Benchmark → number, of all files of this commit; NaN where it failed or was skipped."""
    found: dict[str, float] = {}
    for path in sorted(folder.glob("*/*.json")):
        text = json.loads(path.read_text())
        if text.get("commit_hash") != commit:
            continue
        place = text["result_columns"].index("result")
        for name, entry in text["results"].items():
            values = entry[place] if isinstance(entry, list) else entry
            value = values[0] if isinstance(values, list) else values
            found[name] = math.nan if value is None else float(value)
    if not found:
        raise SystemExit(f"{commit[:8]}: no results in {folder}: run asv continuous first")
    return found


def _hash(commit: str) -> str:
    command = ["git", "rev-parse", f"{commit}^{{commit}}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main(before: str, after: str) -> None:
    """Print the table in Markdown."""
    table = rows(HERE / "asv_files" / "results", _hash(before), _hash(after))
    for row in [HEAD, ["---"] * len(HEAD), *table]:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main(*sys.argv[1:3])

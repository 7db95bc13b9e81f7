"""`sdfusion unmix` killed at any moment: no half answer, and nothing that stays for ever."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import fusion as fu
from fusion.cli import main
from fusion.cli.answer_folder import ANSWER, answer_folder
from fusion.cli.output import summary_text
from fusion.files.export import table

ENDS = {"figure.png": b"IEND\xaeB`\x82", "report.html": b"</html>"}
"""How files end that are whole."""


def kills(count: int = 100) -> tuple[list[str], int]:
    """Kill runs that are to take the place of an answer, at moments spread over a whole run.

    Returns:
        What went wrong, a line each, and how many runs were killed.
    """
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = np.random.default_rng(0).poisson(5.0, (5, 4, 9))
        np.savez(folder / "map.npz", data=counts)
        seconds = max(_run(folder, K=2), _run(folder, K=2))
        for i in range(count):
            before = _contents(folder / "answer")
            _run(folder, K=1 + i % 3, kill_after=seconds * 1.1 * i / count)
            failures += [f"kill {i}: {text}" for text in _left_wrong(folder / "answer", before)]
    return failures, count


def _run(folder: Path, *, K: int, kill_after: float | None = None) -> float:
    """One command, in a process of its own; the seconds it took."""
    begun = time.monotonic()
    call = ["unmix", str(folder / "map.npz"), "-k", str(K), "-o", str(folder / "answer")]
    child = _forked(lambda: main([*call, "--starts", "2", "--quiet"]))
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return time.monotonic() - begun


def _forked(function: Callable[[], int]) -> int:
    """The number of a process that runs it and ends: quicker than a new interpreter."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(function())
        finally:
            os._exit(1)
    return child


def _left_wrong(folder: Path, before: dict[str, bytes]) -> list[str]:
    """What is wrong in the folder after a kill, and what the next command does not clear."""
    wrong = []
    visible = {name: data for name, data in _contents(folder).items() if name[0] != "."}
    if visible != before:
        wrong += _half(folder)
    with answer_folder(folder):  # as the next command begins
        pass
    names = sorted(_contents(folder))
    if names != sorted(ANSWER):
        wrong.append(f"after the next command there are {', '.join(names)}")
    return wrong


def _contents(folder: Path) -> dict[str, bytes]:
    """All that lies in the folder, by name; of folders nothing but that."""
    return {p.name: p.read_bytes() if p.is_file() else b"" for p in folder.iterdir()}


def _half(folder: Path) -> list[str]:
    """Files of the answer that are not whole, or not of one run."""
    result = fu.Result.load(folder / "result.npz")
    wrong = [name for name, end in ENDS.items() if not _ends_so(folder / name, end)]
    written = iter((folder / "summary.txt").read_text(encoding="utf-8").splitlines())
    if not all(line in written for line in summary_text(result).splitlines()):  # in this order
        wrong.append("summary.txt")  # beside which it says what of which file was used
    if (folder / "spectra.csv").read_text(encoding="utf-8") != table(result):
        wrong.append("spectra.csv")
    return [f"{name} is half, or of another run" for name in wrong]


def _ends_so(file: Path, end: bytes) -> bool:
    return file.read_bytes().rstrip().endswith(end)

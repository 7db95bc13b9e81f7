"""What it costs to look at data: time and memory of `summary`, `noise`, `rank`, `crop`.

python -m benchmarks.looking KIND MEGABYTES ACTION   does one thing in this process and prints it as
JSON; the case of `python -m benchmarks looking` makes a process for each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Options
from benchmarks.measure import note
from benchmarks.memory import peak, reset, resident, tidy
from benchmarks.table import Report, seconds

ROOT = Path(__file__).resolve().parents[1]
CHANNELS, WIDTH = 2048, 128
SPARSE_CHANNELS = 4096
BYTES = 1e6  # of a megabyte; of sparse data 12 of every count: two places of 4, a value of 4
ACTIONS: dict[str, Callable[[Any], Any]] = {
    "info": lambda data: data.summary(),
    "noise": lambda data: data.noise(),
    "rank": lambda data: _rank(data),
    "crop": lambda data: data.crop(x=slice(0, WIDTH // 2)),
}


def looking(options: Options) -> Report:
    """Dense, lazy and sparse counts of several sizes, a fresh process for every action."""
    sizes = {"dense": (100, 1000, 4000), "lazy": (100, 1000, 4000), "sparse": (120, 360)}
    if not options.full:
        sizes = {"dense": (4,), "lazy": (4,), "sparse": (4,)}
    rows = []
    for kind, several in sizes.items():
        for megabytes in several:
            measure = _in_a_process if options.full else measured
            told = [measure(kind, megabytes, action) for action in ACTIONS]
            rows.append([f"{kind}, {megabytes} MB", *map(_cell, told)])
            note(f"looking: {rows[-1]}")
    title = f"counts in uint16 with {CHANNELS} channels: time, and peak memory above the data"
    notes = ["lazy: dask blocks of an HDF5 file; sparse: 12 bytes a count, 4096 channels"]
    return Report("looking", title, ["data", *ACTIONS], rows, notes)


def _in_a_process(kind: str, megabytes: int, action: str) -> dict[str, Any]:
    """What one action took, or the last line that it said."""
    argv = [sys.executable, "-m", "benchmarks.looking", kind, str(megabytes), action]
    run = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        lines = run.stderr.strip().splitlines() or [f"ended with {run.returncode}"]
        return {"failed": lines[-1]}
    return json.loads(run.stdout.splitlines()[-1])


def _cell(told: dict[str, Any]) -> str:
    """ "1.2 s, 80 MB"."""
    if "failed" in told:
        return f"failed: {told['failed'][:60]}"
    memory = "?" if told["peak"] is None else f"{told['peak'] / BYTES:.0f}"
    return f"{seconds(told['time'])}, {memory} MB"


def _rank(data: Any) -> Any:
    import fusion as fu

    return fu.rank(data, ard=False, stability=False)


@contextmanager
def _made(kind: str, megabytes: int) -> Iterator[Any]:
    """A data set of this kind and size."""
    import fusion as fu

    if kind == "sparse":
        yield fu.Dataset("eds", _events(int(megabytes * BYTES / 12)))
        return
    height = max(int(megabytes * BYTES / (2 * WIDTH * CHANNELS)), 8)
    if kind == "dense":
        counts = np.empty((height, WIDTH, CHANNELS), np.uint16)
        for y, row in enumerate(_rows(height)):
            counts[y] = row
        yield fu.Dataset("eels", counts)
        return
    import dask.array as da
    import h5py

    with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "map.h5", "w") as file:
        stored = file.create_dataset("map", (height, WIDTH, CHANNELS), "u2")
        for y, row in enumerate(_rows(height)):
            stored[y] = row
        yield fu.Dataset("eels", da.from_array(stored, chunks=(8, WIDTH, CHANNELS)))


def _rows(height: int) -> Iterator[Any]:
    """Counts of two phases, a row of the scan at a time; the same draws come again, turned."""
    rng, x = np.random.default_rng(0), np.linspace(0, 1, CHANNELS)
    spectra = 20 * np.stack([np.exp(-3 * x), np.exp(-2 * x) * (0.5 + (x > 0.4))])
    drawn = []
    for y in range(height):
        if y < 16:
            share = 0.5 + 0.5 * np.sin(np.arange(WIDTH) / 9 + y / 5)
            drawn.append(rng.poisson(np.stack([share, 1 - share], 1) @ spectra).astype("u2"))
        yield np.roll(drawn[y % 16], y // 16, axis=0)


def _events(count: int) -> Any:
    """Single counts of a map of 1024 × 1024, as `scipy.sparse` has them."""
    from scipy.sparse import coo_array

    rng = np.random.default_rng(0)
    pixels, peaks = rng.integers(0, 2**20, count), rng.choice([300, 640, 1700], count)
    channels = np.clip(peaks + rng.normal(0, 9, count), 0, SPARSE_CHANNELS - 1).astype(np.int64)
    ones = np.ones(count, np.int32)
    return coo_array((ones, (pixels, channels)), shape=(2**20, SPARSE_CHANNELS)).tocsr()


def measured(kind: str, megabytes: int, action: str) -> dict[str, Any]:
    """One action on one data set in this process, its time and its peak memory above the data."""
    with _made(kind, megabytes) as data:
        tidy()
        reset()
        before, begun = resident(), time.perf_counter()
        ACTIONS[action](data)
        taken = time.perf_counter() - begun
        above = None if before is None else (peak() or 0) - before
    return {"time": taken, "peak": above}


def main(argv: list[str]) -> None:
    """One action on one data set, after the same on one of next to nothing: what is loaded late."""
    kind, megabytes, action = argv
    with _made(kind, 8) as small:
        ACTIONS[action](small)
    print(json.dumps(measured(kind, int(megabytes), action)))


if __name__ == "__main__":
    main(sys.argv[1:])

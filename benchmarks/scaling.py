"""The cases without peers: several starts, growth with the size, memory, eq. (15)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fusion as fu
from benchmarks import generators
from benchmarks.cases import Options, Skipped
from benchmarks.measure import note, warm_up
from benchmarks.solvers import oxygen
from benchmarks.table import Report, seconds
from fusion.losses import Frobenius
from fusion.models import WithBackground

ROOT = Path(__file__).resolve().parents[1]
STARTS = 10
KNOWN = 1.1370e9
"""Σ (·)² of both terms that `background` should reach."""


def starts(options: Options) -> Report:
    """Ten starts together, against one, and against ten fits of one."""
    pixels, channels, K = (16384, 1024, 5) if options.full else (256, 32, 2)
    times, losses = [], []
    warm_up(generators.nmf(64, 32, 2, 0), [])
    for seed in range(options.seeds):
        problem = generators.nmf(pixels, channels, K, seed)
        given = [problem.start]
        for extra in range(1, STARTS):
            rng = np.random.default_rng([seed, extra])
            given.append(generators.matrix_start(rng, pixels, channels, K, problem.X.mean()))
        fits = {"one start": given[:1], "ten starts": given}
        timed = {name: _timed(problem, some) for name, some in fits.items()}
        alone = [_timed(problem, [start]) for start in given]
        timed["ten fits of one start"] = (sum(t for t, _ in alone), min(loss for _, loss in alone))
        note(f"starts, seed {seed}: {timed}")
        times.append([t for t, _ in timed.values()])
        losses.append([loss for _, loss in timed.values()])
        title, names = problem.title, list(timed)
    t, f = np.median(times, axis=0), np.median(losses, axis=0)
    worse = np.median([(row - min(row)) / abs(min(row)) for row in np.array(losses)], axis=0)
    rows = [
        [name, seconds(t[i]), f"{t[i] / t[0]:.2f}", f"{f[i]:.8g}", f"{worse[i]:.1e}"]
        for i, name in enumerate(names)
    ]
    columns = ["fit", "time", "times one start", "best loss", "above best"]
    return Report(
        "starts", title, columns, rows, losses=dict(zip(names, map(float, f), strict=True))
    )


def background(options: Options) -> Report:
    """Eq. (15) on the simulated O-K map, from ten random starts one by one."""
    raw, net = oxygen(options.folder())
    model, loss = WithBackground(raw, net, 3), Frobenius(raw) + Frobenius(net)
    rows, found, spent, arrived = [], [], [], []
    for seed in range(STARTS):
        there: list[float] = []
        begun = time.perf_counter()

        def look(_: int, loss: torch.Tensor, there: list[float] = there) -> None:
            if 2 * float(loss.min()) <= KNOWN:
                there.append(time.perf_counter())

        result = fu.fit(model, loss, starts=1, seed=seed, progress=False, callback=look)
        spent.append(time.perf_counter() - begun)
        arrived.append(there[0] - begun if there else float("inf"))
        found.append(2 * result.loss)  # Σ (·)², without the ½ of Frobenius
        when = seconds(arrived[-1]) if there else "never"
        rows.append([f"start {seed}", when, seconds(spent[-1]), f"{found[-1]:.6g}"])
        note(f"background: {rows[-1]}")
    begun = time.perf_counter()
    together = fu.fit(model, loss, starts=STARTS, progress=False)
    taken = time.perf_counter() - begun
    rows.append([f"{STARTS} together", "", seconds(taken), f"{2 * together.loss:.6g}"])
    good = sum(value <= KNOWN for value in found)
    notes = [
        f"{good} of {STARTS} starts reach {KNOWN:.4e}; lowest {min(found):.6g}; "
        f"{seconds(float(np.median(arrived)))} until there (median), "
        f"{seconds(float(np.median(spent)))} until the loss falls by less than 1e-9 (median)"
    ]
    columns = ["start", f"to {KNOWN:.4e}", "to the end", "Σ(·)²"]
    losses = {"best of ten": min(found), "together": 2 * together.loss}
    return Report("background", "eq. (15), fig. 9, 48 × 48 × 301", columns, rows, notes, losses)


def growth(options: Options) -> Report:
    """The time of one start against pixels and channels; of counts, against their number and K."""
    rows, notes = [], []
    warm_up(generators.nmf(64, 32, 2, 0), [])
    for which, cases in (_sizes if options.full else _small_sizes)().items():
        times = []
        for _, make in cases:
            problems = map(make, range(options.seeds))
            fits = [(p.title, _timed(p, [p.start])[0]) for p in problems]
            times.append(float(np.median([t for _, t in fits])))
            rows.append([fits[0][0], seconds(times[-1])])
            note(f"growth: {rows[-1]}")
        exponent = np.polyfit(np.log([size for size, _ in cases]), np.log(times), 1)[0]
        notes.append(f"time ∝ {which}^{exponent:.2f}")
    return Report("growth", "one start of NMF", ["problem", "time"], rows, notes)


def _sizes() -> dict[str, list[tuple[float, Callable[[int], Any]]]]:
    """(size, problem of a seed) of every series."""
    many = (4096, 16384, 65536, 262144)
    return {
        "pixels": [(n, partial(generators.nmf, n, 512, 5)) for n in (4096, 8192, *many[1:3])],
        "channels": [(n, partial(generators.nmf, 8192, n, 5)) for n in (256, 512, 1024, 2048)],
        "counts": [(x, _counts(16384, 1024, 4, x)) for x in (0.025, 0.1, 0.4, 1.5)],
        "pixels of counts": [(n, _counts(n, 1024, 4, 0.1)) for n in many],
        "components of counts": [(k, _counts(16384, 1024, k, 0.2)) for k in (2, 4, 8, 16)],
    }


def _small_sizes() -> dict[str, list[tuple[float, Callable[[int], Any]]]]:
    return {
        "pixels": [(n, partial(generators.nmf, n, 64, 2)) for n in (256, 1024)],
        "channels": [(n, partial(generators.nmf, 512, n, 2)) for n in (32, 128)],
        "counts": [(x, _counts(256, 64, 2, x)) for x in (0.1, 0.4)],
    }


def _counts(pixels: int, channels: int, K: int, level: float) -> Callable[[int], Any]:
    return partial(generators.poisson, pixels, channels, K, counts=level)


def memory(options: Options) -> Report:
    """Peak memory of a fit above the import, against the data; a fresh process each."""
    # the first has next to no data: what is loaded late, and the buffers of the libraries
    many = [(64, 32), (16384, 1024), (65536, 1024), (65536, 2048)]
    sizes = many if options.full else [(4096, 512)]
    rows, known = [], []
    for pixels, channels in sizes:
        argv = [sys.executable, "-m", "benchmarks.memory", str(pixels), str(channels), "5"]
        run = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode:
            raise Skipped(f"`benchmarks.memory` failed: {run.stderr.strip().splitlines()[-1]}")
        told = json.loads(run.stdout.splitlines()[-1])
        if told["peak"] is None:
            raise Skipped("this system has no /proc to read the memory from")
        known.append((told["data"] / 1e6, told["peak"] / 1e6))
        data, peak = known[-1]
        rows.append([f"{pixels} × {channels}", f"{data:.0f} MB", f"{peak:.0f} MB"])
        rows[-1].append(f"{peak / data:.2f}" if data > 1 else "–")
        note(f"memory: {rows[-1]}")
    notes = ["the data count: 1.00 is a fit that needs nothing beside them"]
    if len(known) > 1:
        slope, offset = np.polyfit(*zip(*known, strict=True), 1)
        notes.append(f"peak = {slope:.2f} × data + {offset:.0f} MB")
    title = "dense float32 NMF, K = 5, one start: peak above the import"
    return Report(
        "memory", title, ["pixels × channels", "data", "peak", "peak / data"], rows, notes
    )


def _timed(problem: generators.Matrix, given: list) -> tuple[float, float]:
    """(seconds, loss) of one fit from these starts, the data set made within the time."""
    begun = time.perf_counter()
    model, loss = problem.ours()
    result = fu.fit(model, loss, init=given, starts=len(given), progress=False)
    taken = time.perf_counter() - begun
    return taken, problem.loss(result.factors)

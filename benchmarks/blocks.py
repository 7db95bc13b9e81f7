"""Data larger than memory, block by block: the same answer, memory, passes, workers, rare phases.

python -m benchmarks blocks same large …              all cases, or those that are named
python -m benchmarks.blocks STORE MEMORY LIKELIHOOD [THREADS [STARTS]]
                                                      fits a store in this process, prints passes,
seconds and the most memory as JSON; the cases make a process for each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Options
from benchmarks.measure import note
from benchmarks.table import Report, seconds

ROOT = Path(__file__).resolve().parents[1]
EVERY = 0.02
"""Seconds between looks at the memory."""
K = 4
CHUNK = 64
"""Pixels along a chunk."""


# ---- data ----------------------------------------------------------------------------------------


def spectra(channels: int, seed: int = 0) -> NDArray[np.float64]:
    """K spectra of lines on a floor, columns that add up to 1, (channel, K)."""
    rng = np.random.default_rng(seed)
    energy = np.linspace(0, 1, channels)[:, None]
    places, widths = np.linspace(0.15, 0.85, K), rng.uniform(0.02, 0.15, K)
    lines = np.exp(-(((energy - places) / widths) ** 2)) + 0.02
    return lines / lines.sum(0)


def write_counts(
    path: Path, shape: Sequence[int], counts: float, seed: int = 0, drawn: int | None = None
) -> None:
    """A zarr store of counts in uint16, chunk by chunk: maps of a gamma law, `counts` a channel.

    Args:
        path: of the store; shape: (y, x, channel).
        counts: mean of a channel.
        seed: of the first chunk.
        drawn: so many chunks are drawn, the others repeat them; None: all are.
    """
    import zarr

    ny, nx, channels = shape
    S, rng = spectra(channels), np.random.default_rng(seed)
    store = zarr.open(
        str(path), mode="w", shape=tuple(shape), chunks=(CHUNK, CHUNK, channels), dtype="u2"
    )
    parts: list[NDArray[np.uint16]] = []
    corners = [(y, x) for y in range(0, ny, CHUNK) for x in range(0, nx, CHUNK)]
    for number, (y, x) in enumerate(corners):
        if drawn is None or number < drawn:
            C = rng.gamma(0.5, 2.0, (CHUNK * CHUNK, K)) * counts * channels / K
            part = rng.poisson(C @ S.T).astype("u2").reshape(CHUNK, CHUNK, channels)
            parts = [*parts, part] if drawn else [part]
        whole = parts[number % len(parts)]
        h, w = min(CHUNK, ny - y), min(CHUNK, nx - x)
        store[y : y + h, x : x + w] = whole[:h, :w]


@dataclass(frozen=True)
class Rare:
    """Three phases and a fourth of five pixels: 5 σ in 20 channels."""

    X: NDArray[np.float32]
    spectrum: NDArray[np.float64]
    pixels: NDArray[np.intp]


def rare(seed: int, size: int = 1000, channels: int = 64) -> Rare:
    """size² pixels; three of the five in one block, two in another far away."""
    rng = np.random.default_rng(seed)
    energy = np.linspace(0, 1, channels)[:, None]
    S = np.exp(-(((energy - [0.2, 0.5, 0.8]) / [0.1, 0.06, 0.15]) ** 2)) + 0.05
    y, x = np.mgrid[:size, :size] / size
    waves = [1 + np.sin(6 * x + seed), 1 + np.cos(7 * y), 1 + np.sin(9 * (x + y))]
    C = 10 * np.stack(waves, -1).reshape(-1, 3)
    X = (C @ S.T).astype("f4") + rng.standard_normal((size**2, channels), dtype="f4")
    spectrum = np.zeros(channels)
    spectrum[rng.permutation(channels)[:20]] = 5.0
    half = size // 2
    a = rng.integers(0, half - 20), rng.integers(0, size - 20)
    b = rng.integers(half, size - 20), rng.integers(0, size - 20)
    steps = [(0, 0), (3, 7), (9, 2)]
    places = [(a[0] + i, a[1] + j) for i, j in steps] + [(b[0], b[1]), (b[0] + 5, b[1] + 5)]
    pixels = np.array([i * size + j for i, j in places])
    X[pixels] = spectrum + rng.standard_normal((5, channels), dtype="f4")
    return Rare(X.reshape(size, size, channels), spectrum, pixels)


# ---- one fit in a fresh process ------------------------------------------------------------------


class Memory:
    """The most anonymous memory of this process and its children, looked at every 20 ms."""

    def __init__(self) -> None:
        self.most, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def _look_on(self) -> None:
        while not self._over.wait(EVERY):
            self.most = max(self.most, anonymous())

    def end(self) -> int:
        """Bytes."""
        self._over.set()
        self._thread.join()
        return self.most


def anonymous() -> int:
    """Bytes of anonymous memory of this process and all below it."""
    total, todo = 0, ["self"]
    while todo:
        root = Path("/proc", todo.pop())
        try:
            lines = (root / "status").read_text().splitlines()
            total += sum(
                1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")
            )
            for task in (root / "task").iterdir():
                todo += (task / "children").read_text().split()
        except (OSError, ValueError):
            continue
    return total


BY_TURNS = "by turns"
"""After every pass dask's own sum is timed."""


def fitted(
    path: str,
    memory: str,
    likelihood: str,
    threads: int | None = None,
    starts: int = 2,
    *,
    by_turns: bool = False,
) -> dict[str, Any]:
    """What a fit of a store takes; by turns: after every pass dask's own sum is timed."""
    import dask.array
    import numba  # noqa: F401, so that all that is imported counts before

    import fusion as fu
    from fusion.blocks import fit_by_blocks, passes  # noqa: F401

    spent: list[tuple[str, float, float]] = []
    run, x, sums = passes.Passes.run, dask.array.from_zarr(path), []

    def timed(self: Any, task: Any, *rest: Any) -> Iterator[Any]:
        begun, worked = time.monotonic(), time.process_time()
        yield from run(self, task, *rest)
        name = getattr(getattr(task, "func", task), "__name__", "more")  # of a partial its function
        spent.append((name, time.monotonic() - begun, time.process_time() - worked))
        if by_turns:
            begun = time.monotonic()
            x.sum().compute(scheduler="threads", num_workers=threads)
            sums.append(time.monotonic() - begun)

    passes.Passes.run = timed
    data = fu.Dataset("data", x)
    term = getattr(fu.losses, likelihood)(data)
    before, looker, begun = anonymous(), Memory(), time.monotonic()
    try:
        result = fu.fit(
            fu.models.NMF(data, K),
            term,
            starts=starts,
            threads=threads,
            blocks=fu.Blocks(memory=memory),
            progress=False,
        )
    finally:
        passes.Passes.run = run
    settled = [each[1:] for each in spent if each[0] == "settle_each"] or [(np.nan, np.nan)]
    clock, processor = np.median(settled, 0).tolist()
    return {
        "seconds": time.monotonic() - begun,
        "memory": looker.end(),
        "before": before,
        "passes": len(spent),
        "pass": clock,
        "pass processor": processor,
        "sum": float(np.median(sums)) if sums else np.nan,
        "loss": result.loss,
        "solver": result.solver,
    }


def in_a_process(*arguments: str) -> dict[str, Any]:
    """The same in a fresh process."""
    argv = [sys.executable, "-m", "benchmarks.blocks", *arguments]
    run = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    return json.loads(run.stdout.splitlines()[-1])


# ---- the rows of the table -----------------------------------------------------------------------


def blocks(options: Options) -> Report:
    """All of it; small: that it runs, in this process alone, of data that fit into memory."""
    rows: list[list[str]] = []
    names = PARTS if options.full else ("same", "rare")
    for name in options.parts or names:
        for row in PARTS[name](options.full):
            note(f"blocks: {row}")
            rows.append(row)
    title = "data larger than memory: what was asked for, and what was measured"
    notes = [
        "zarr stores of counts in uint16, chunks of 64 × 64 pixels with their spectra",
        "memory: RssAnon of all processes, every 20 ms",
    ]
    return Report("blocks", title, ["what", "bar", "measured", "holds"], rows, notes)


def _held(what: str, bar: str, measured: str, holds: bool | None) -> list[str]:
    """A row of the table."""
    return [what, bar, measured, "–" if holds is None else "yes" if holds else "**no**"]


def _same(full: bool) -> Iterator[list[str]]:
    """In memory and by blocks."""
    n = 128 if full else 32
    for name, worst in same_answers(n, 0.25 if full else 0.5, quick=not full).items():
        yield _held(
            f"same answer, {name}: loss; spectra",
            "1e-5; 0.05°",
            f"{worst[0]:.1e}; {worst[1]:.3f}°",
            worst[0] <= 1e-5 and worst[1] <= 0.05,
        )


def same_answers(n: int, share: float, *, quick: bool = False) -> dict[str, tuple[float, float]]:
    """By model and likelihood the largest relative difference of losses, and angle of spectra.

    Args:
        n: pixels along the scan; share: of them in the sample.
        quick: one model, two ways to take it apart.
    """
    import dask.array as da

    import fusion as fu

    rng = np.random.default_rng(0)
    S1, S2 = 20 * spectra(200) * 50, spectra(120, seed=1) * 60
    C = rng.gamma(0.5, 1.0, (n * n, K))
    X = (C @ S1.T + rng.normal(size=(n * n, 200))).reshape(n, n, 200)
    Y = rng.poisson(C @ S2.T).reshape(n, n, 120).astype("u1" if n < 64 else "u2")
    L, M = fu.losses, fu.models
    cases = {
        "NMF, Gaussian": (lambda x, y: M.NMF(x, K), lambda x, y: L.Gaussian(x)),
        "NMF, Poisson": (lambda x, y: M.NMF(y, K), lambda x, y: L.Poisson(y)),
        "SharedMaps": (
            lambda x, y: M.SharedMaps(x, y, K=K),
            lambda x, y: L.Gaussian(x) + L.Gaussian(y),
        ),
        "SoftlyCoupled": (
            lambda x, y: M.SoftlyCoupled(x, y, K),
            lambda x, y: L.Gaussian(x) + L.Gaussian(y) + L.SquaredNorm("N", 0.1 / n),
        ),
    }
    chunks = {1: (n, n), 7: (-(-n // 7), n), 64: (n // 8, n // 8), 0: (n // 3 + 1, n // 5 + 2)}
    if quick:
        cases, chunks = {"NMF, Gaussian": cases["NMF, Gaussian"]}, {k: chunks[k] for k in (1, 7)}
    settings = fu.Blocks(memory="1 GB", sample=int(share * n * n))
    found = {}
    for name, (model, loss) in cases.items():
        whole = fu.Dataset("x", X), fu.Dataset("y", Y)
        inside = fu.fit(model(*whole), loss(*whole), progress=False)
        worst = [0.0, 0.0]
        for size in chunks.values():
            lazy = [
                fu.Dataset(d.name, da.from_array(a, chunks=(*size, -1)))
                for d, a in zip(whole, (X, Y), strict=True)
            ]
            by = fu.fit(model(*lazy), loss(*lazy), blocks=settings, progress=False)
            worst[0] = max(worst[0], abs(by.loss - inside.loss) / abs(inside.loss))
            names = [f for f in inside.factors if f.startswith("S")]
            worst[1] = max(worst[1], *(_angle(inside[f], by[f]) for f in names))
        found[name] = worst[0], worst[1]
    return found


def _angle(one: NDArray, two: NDArray) -> float:
    """Largest angle between columns that belong together, in degrees."""
    one, two = one / np.linalg.norm(one, axis=0), two / np.linalg.norm(two, axis=0)
    met = (one.T @ two).clip(-1, 1)
    return float(np.degrees(np.arccos(met.max(1))).max())


def _memory(_: bool) -> Iterator[list[str]]:
    """1 GB, of which 300 MB may be in memory."""
    with _store((1024, 512, 1024), 0.1) as path:
        for likelihood in ("Gaussian", "Poisson"):
            made = in_a_process(str(path), "300 MB", likelihood)
            above = (made["memory"] - made["before"]) / 1e6
            yield _held(
                f"1.07 GB, {likelihood}: memory above the imports; passes",
                "300 MB; 7",
                f"{above:.0f} MB; {made['passes']} ({made['seconds']:.0f} s)",
                above <= 300 and made["passes"] <= 7,
            )


def _large(_: bool) -> Iterator[list[str]]:
    """16 GB of uint16."""
    shape, memory = (2048, 4096, 1024), "1800 MB"
    with _store(shape, 0.1) as path:
        size = np.prod(shape) * 2 / 1e9
        made = in_a_process(str(path), memory, "Gaussian")
        disk = sum(f.stat().st_size for f in path.rglob("*")) / 1e9
        yield _held(
            f"{size:.3g} GB ({disk:.2g} on disk), Gaussian: memory; passes",
            "2 GB; 7",
            f"{made['memory'] / 1e9:.2f} GB, {made['before'] / 1e9:.2f} of it before the fit; "
            f"{made['passes']} ({made['seconds']:.0f} s)",
            made["memory"] <= 2e9 and made["passes"] <= 7,
        )


def _against_sum(_: bool) -> Iterator[list[str]]:
    """A pass against dask's own sum, by turns in one process."""
    shape = (512, 1024, 1024)
    for likelihood, counts, bar in (("Gaussian", 2.0, 1.5), ("Poisson", 0.1, 3.0)):
        with _store(shape, counts) as path:
            made = in_a_process(str(path), "2 GB", likelihood, "2", BY_TURNS)
            ratio = made["pass"] / made["sum"]
            yield _held(
                f"a pass, {likelihood}, against x.sum(), two threads",
                f"{bar} ×",
                f"{ratio:.2f} × ({seconds(made['pass'])}, {seconds(made['sum'])})",
                ratio <= bar,
            )


def _workers(_: bool) -> Iterator[list[str]]:
    """Two worker processes against one; a worker that is killed."""
    import os
    import signal

    import dask.array as da
    from distributed import Client, LocalCluster

    import fusion as fu

    rng = np.random.default_rng(0)
    n, channels = 512, 512  # of fewer a pass takes less than what is sent takes
    X = rng.poisson(rng.gamma(0.5, 4.0, (n * n, K)) @ (spectra(channels) * 20).T)
    X = X.astype("u2").reshape(n, n, channels)
    spent, losses = {}, {}
    for workers in (1, 2):
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            lazy = client.persist(da.from_array(X, chunks=(n // 8, n // 4, -1)))
            data = fu.Dataset("data", lazy)
            times = [_passes_of(data) for _ in range(5)]
            spent[workers], losses[workers] = float(np.median([t for t, _ in times])), times[0][1]
            if workers == 2:
                pid = next(iter(client.run(os.getpid).values()))
                threading.Timer(0.3 * times[0][0], os.kill, (pid, signal.SIGKILL)).start()
                losses["killed"] = _passes_of(
                    fu.Dataset("data", da.from_array(X, chunks=lazy.chunks))
                )[1]
    faster = spent[1] / spent[2]
    what = "two workers against one, passes of counts, median of 5"
    yield _held(what, "1.6 ×", f"{faster:.2f} ×", faster >= 1.6)
    off = abs(losses["killed"] - losses[2]) / abs(losses[2])
    yield _held("a worker killed in a pass: loss", "1e-9", f"{off:.1e}", off <= 1e-9)


def _passes_of(data: Any) -> tuple[float, float]:
    """(seconds in passes, loss) of a fit."""
    import fusion as fu
    from fusion.blocks import passes

    spent, run = [], passes.Passes.run

    def timed(self: Any, *rest: Any) -> Iterator[Any]:
        begun = time.monotonic()
        made = list(run(self, *rest))
        spent.append(time.monotonic() - begun)
        yield from made

    passes.Passes.run = timed
    try:
        settings = fu.Blocks(memory="2 GB", sample=2048)
        result = fu.fit(
            fu.models.NMF(data, K),
            fu.losses.Poisson(data),
            starts=2,
            blocks=settings,
            progress=False,
        )
    finally:
        passes.Passes.run = run
    return sum(spent), result.loss


def _rare(full: bool) -> Iterator[list[str]]:
    """Five pixels of a phase in a million."""
    seeds, size = (10, 1000) if full else (1, 150)
    angles, hits = [], 0
    for seed in range(seeds):
        angle, all_five = rare_found(rare(seed, size))
        angles.append(angle)
        hits += all_five and angle <= 10
    yield _held(
        f"five pixels in {size**2:,} of a phase: angle; seeds",
        "10°; all",
        f"{max(angles):.1f}° at most; {hits} of {seeds}",
        hits == seeds,
    )


def rare_found(scene: Rare, sample: int | None = None) -> tuple[float, bool]:
    """(angle of the spectrum that is most like it, whether the five are the largest of its map)."""
    import dask.array as da

    import fusion as fu

    step = len(scene.X) // 10
    data = fu.Dataset("data", da.from_array(scene.X, chunks=(step, 2 * step, -1)))
    result = fu.fit(
        fu.models.NMF(data, 4),
        fu.losses.Gaussian(data),
        starts=3,
        blocks=fu.Blocks(memory="1 GB", sample=sample),
        progress=False,
    )
    met = result["S"].T @ (scene.spectrum / np.linalg.norm(scene.spectrum))
    k = int(met.argmax())
    five = set(np.argsort(-result["C"][:, k])[:5].tolist()) == set(scene.pixels.tolist())
    return float(np.degrees(np.arccos(met[k].clip(-1, 1)))), five


def _growth(_: bool) -> Iterator[list[str]]:
    """Time and memory from 1 to 64 times the pixels."""
    sizes = (256, 512, 1024, 2048)
    times, memories = [], []
    for n in sizes:
        with _store((n, n, 256), 0.5) as path:
            made = in_a_process(str(path), "512 MB", "Gaussian")
            times.append(made["pass processor"])
            memories.append(made["memory"] - made["before"])
            note(f"blocks: {n} × {n}: {made['seconds']:.1f} s, {made['memory'] / 1e6:.0f} MB")
    slope = np.polyfit(np.log(np.square(sizes[1:])), np.log(times[1:]), 1)[0]
    yield _held(
        f"growth of a pass over 1 : {(sizes[-1] // sizes[0]) ** 2} pixels, processor: exponent",
        "1.05",
        f"{slope:.2f} ({', '.join(seconds(t) for t in times)})",
        slope <= 1.05,
    )
    maps = [8 * K * n * n / 1e6 for n in sizes]
    told = ", ".join(f"{m / 1e6:.0f} ({c:.0f})" for m, c in zip(memories, maps, strict=True))
    yield _held("memory above the import over the same (maps)", "flat", f"{told} MB", None)


PARTS: dict[str, Callable[[bool], Iterator[list[str]]]] = {
    "same": _same,
    "gigabyte": _memory,
    "large": _large,
    "sum": _against_sum,
    "workers": _workers,
    "rare": _rare,
    "pixels": _growth,
}
"""The cases, by the names that the command line takes."""


@contextmanager
def _store(shape: Sequence[int], counts: float) -> Iterator[Path]:
    """A store of counts for a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.zarr"
        write_counts(path, shape, counts)
        yield path


def main(argv: list[str]) -> None:
    """Fit a store in this process, print what it took."""
    path, memory, likelihood, *rest = argv
    numbers = [int(each) for each in rest if each != BY_TURNS]
    made = fitted(path, memory, likelihood, *numbers, by_turns=BY_TURNS in rest)
    print(json.dumps(made))


if __name__ == "__main__":
    main(sys.argv[1:])

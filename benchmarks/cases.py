"""The cases that compare with peers: which problem, which methods, at which size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import generators, memory
from benchmarks.machine import Rates
from benchmarks.measure import compare, note, warm_up
from benchmarks.methods import (
    FOR_CORE,
    FOR_COUNTS,
    FOR_MATRIX,
    FOR_POLYADIC,
    LOOPS,
    OURS,
    Method,
)
from benchmarks.problems import Problem
from benchmarks.table import Report, compared

KNOWN = 883180.0
"""Σ (m − x ln m) that `gpa88` should reach."""


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        full: whether the sizes are the full ones.
        seeds: number of seeds.
        rates: of the machine.
        peers: names of the peers that run; None: all.
        data: folder of the real data.
        give_up: a peer is stopped once it has taken so many times our time.
        draw: the one draw of `trust` that is made, "fits:137"; None: all.
        parts: of `blocks`, those that run; empty: all.
    """

    full: bool
    seeds: int
    rates: Rates
    peers: frozenset[str] | None = None
    data: Path | None = None
    give_up: float = 50.0
    draw: str | None = None
    parts: tuple[str, ...] = ()

    def chosen(self, methods: Sequence[Method]) -> list[Method]:
        """The peers that run; a line for each that is not installed."""
        wanted = [m for m in methods if self.peers is None or m.peer in self.peers]
        for method in wanted:
            if method.missing:
                note(f"{method.name}: skipped: {method.peer} is not installed")
        return [method for method in wanted if not method.missing]

    def folder(self) -> Path:
        """The real data.

        Raises:
            Skipped: if none are given.
        """
        if self.data is None:
            raise Skipped("real data: give their folder with --data FOLDER")
        if not self.data.is_dir():
            raise Skipped(f"--data {self.data}: there is no such folder")
        return self.data


class Skipped(Exception):
    """A case cannot run here."""


DENSE = {True: (65536, 1024, 8), False: (1024, 64, 3)}
"""Pixels, channels and K of the dense maps, at full size or not."""


def nmf(options: Options) -> Report:
    """Dense Poisson counts of spectra that overlap, Frobenius."""
    return _against(
        "nmf",
        options,
        FOR_MATRIX,
        lambda seed: generators.nmf(*DENSE[options.full], seed),
        generators.nmf(64, 32, 2, 0),
    )


def separate(options: Options) -> Report:
    """The same with spectra that hardly overlap: the easiest for coordinate descent."""
    return _against(
        "separate",
        options,
        FOR_MATRIX,
        lambda seed: generators.nmf(*DENSE[options.full], seed, generators.lines),
        generators.nmf(64, 32, 2, 0),
    )


def poisson(options: Options) -> Report:
    """Sparse counts, Poisson."""
    sizes = (65536, 2048, 5) if options.full else (512, 128, 2)
    return _against(
        "poisson",
        options,
        FOR_COUNTS,
        lambda seed: generators.poisson(*sizes, seed),
        generators.poisson(64, 32, 2, 0, counts=0.5),
    )


def gpa88(options: Options) -> Report:
    """Real counts, Poisson."""
    folder = options.folder()
    report = _against(
        "gpa88",
        options,
        FOR_COUNTS,
        lambda seed: generators.gpa88(folder, seed),
        generators.poisson(64, 32, 2, 0, counts=0.5),
    )
    found = report.losses[OURS.name]
    verdict = f"Σ(m − x ln m) ≤ {KNOWN:.0f}: {'yes' if found <= KNOWN else 'no'}, {found:.2f}"
    return replace(report, notes=[*report.notes, verdict])


def cpd(options: Options) -> Report:
    """Collinear tensor with noise."""
    sizes = ((100, 256, 512), 5) if options.full else ((20, 24, 28), 3)
    return _against(
        "cpd",
        options,
        FOR_POLYADIC,
        lambda seed: generators.cpd(*sizes, seed),
        generators.cpd((6, 7, 8), 2, 0),
    )


def tucker(options: Options) -> Report:
    """Tensor with a core."""
    sizes = ((64, 128, 256), (4, 6, 5)) if options.full else ((12, 16, 20), (2, 2, 2))
    return _against(
        "tucker",
        options,
        FOR_CORE,
        lambda seed: generators.tucker(*sizes, seed),
        generators.tucker((6, 7, 8), (2, 2, 2), 0),
    )


def joint(options: Options) -> Report:
    """Eq. (14): soft coupling."""
    sizes = (16384, (1024, 800), 5) if options.full else (256, (64, 50), 3)
    return _against(
        "joint",
        options,
        LOOPS,
        lambda seed: generators.joint(*sizes, seed),
        generators.joint(64, (32, 32), 2, 0),
        levels=(1e-3, 1e-4),
    )


def _against(
    name: str,
    options: Options,
    methods: Sequence[Method],
    generate: Callable[[int], Problem],
    tiny: Problem,
    levels: tuple[float, float] = (1e-4, 1e-5),
) -> Report:
    """All methods on every seed; a tiny problem first, so that nothing is loaded within a time."""
    peers = warm_up(tiny, options.chosen(methods))
    traces = []
    for seed in range(options.seeds):
        memory.tidy()
        before = memory.resident()
        problem = generate(seed)
        memory.tidy()
        note(f"{name}, seed {seed}: {problem.title}")
        traces.append(
            compare(problem, peers, level=levels[0], give_up=options.give_up, before=before)
        )
        title, limit = problem.title, options.rates.limit(problem)
        del problem
    return compared(name, title, traces, levels, [limit])

"""The same fits on a CPU and on a GPU: time, loss, memory; beside Adam on that GPU."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

import fusion as fu
from benchmarks import generators, loops
from benchmarks.cases import Options, Skipped
from benchmarks.measure import note
from benchmarks.problems import Factors, Problem
from benchmarks.table import Report, seconds

Kind = tuple[str, torch.dtype]
KINDS: dict[str, Kind] = {
    "CPU, float64": ("cpu", torch.float64),
    "GPU, float64": ("cuda", torch.float64),
    "GPU, float32": ("cuda", torch.float32),
}
PATIENCE = 20.0
"""Adam is stopped at so many times our time on the GPU."""


def gpu(options: Options) -> Report:
    """Every problem once: `fit` as a user calls it, the move of the data within the time."""
    if not torch.cuda.is_available():
        raise Skipped("no CUDA device")
    rows = []
    for name, (make, tiny) in _problems(options.full).items():
        for device, dtype in KINDS.values():
            _fitted(tiny(), device, dtype)  # libraries are loaded, kernels chosen
        problem = make()
        note(f"gpu: {name}: {problem.title}")
        told = {kind: _fitted(problem, *where) for kind, where in KINDS.items()}
        best = min(problem.loss(factors) for _, factors, _ in told.values())
        for kind, (taken, factors, peak) in told.items():
            rows.append([f"{name}: {kind}", *_line(problem, taken, factors, peak, best)])
            note(f"  {rows[-1]}")
        rows.append([f"{name}: Adam, GPU", *_adam(problem, told["GPU, float32"][0], best)])
        note(f"  {rows[-1]}")
    columns = ["problem", "time", "loss", "above best", "GPU memory / data"]
    return Report("gpu", torch.cuda.get_device_name(), columns, rows)


def _problems(full: bool) -> dict[str, tuple[Callable[[], Problem], Callable[[], Problem]]]:
    return {
        "nmf": (
            lambda: generators.nmf(*((65536, 1024, 8) if full else (256, 32, 2)), 0),
            lambda: generators.nmf(256, 32, 2, 0),
        ),
        "poisson": (
            lambda: generators.poisson(*((65536, 2048, 5) if full else (256, 32, 2)), 0),
            lambda: generators.poisson(256, 64, 2, 0, counts=0.2),
        ),
        "cpd": (
            lambda: generators.cpd(*(((100, 256, 512), 5) if full else ((6, 7, 8), 2)), 0),
            lambda: generators.cpd((6, 7, 8), 2, 0),
        ),
        "tucker": (
            lambda: generators.tucker(
                *(((64, 128, 256), (4, 6, 5)) if full else ((6, 7, 8), (2, 2, 2))), 0
            ),
            lambda: generators.tucker((6, 7, 8), (2, 2, 2), 0),
        ),
        "joint": (
            lambda: generators.joint(*((16384, (1024, 800), 5) if full else (64, (32, 32), 2)), 0),
            lambda: generators.joint(64, (32, 32), 2, 0),
        ),
    }


def _fitted(problem: Problem, device: str, dtype: torch.dtype) -> tuple[float, Factors, int | None]:
    """Seconds, factors, and most bytes of the GPU that were in use."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before, begun = torch.cuda.memory_allocated(), time.perf_counter()
    model, loss = problem.ours()
    result = fu.fit(
        model, loss, init=[problem.start], starts=1, device=device, dtype=dtype, progress=False
    )
    taken = time.perf_counter() - begun
    peak = torch.cuda.max_memory_allocated() - before if device == "cuda" else None
    return taken, result.factors, peak


def _line(
    problem: Problem, taken: float, factors: Factors, peak: int | None, best: float
) -> list[str]:
    loss = problem.loss(factors)
    memory = "–" if peak is None else f"{peak / problem.nbytes:.2f}"
    return [seconds(taken), f"{loss:.9g}", f"{(loss - best) / abs(best):.1e}", memory]


def _adam(problem: Problem, ours: float, best: float) -> list[str]:
    """The first look within 1e-4 of the best loss; where that is never, the last one."""
    for taken, factors in loops.adam(problem, PATIENCE * ours, "cuda"):
        line = _line(problem, taken, factors, None, best)
        if problem.loss(factors) <= best + 1e-4 * abs(best):
            return line
    return [f"> {line[0]}", *line[1:]]

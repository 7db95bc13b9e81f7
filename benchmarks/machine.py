"""What the machine can do, and what runs on it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from benchmarks.problems import Problem

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "tensorly", "torchnmf")


@dataclass(frozen=True)
class Rates:
    """Measured: bytes/s read by a sum and moved by a copy, flop/s of a matrix product."""

    read: float
    copy: float
    float32: float
    float64: float

    @classmethod
    def measured(cls, nbytes: int, n: int) -> Rates:
        """With an array of so many bytes, and matrices n × n."""
        a = torch.ones(nbytes // 4, dtype=torch.float32)
        b = torch.empty_like(a)
        read, copy = nbytes / _best(lambda: a.sum()), 2 * nbytes / _best(lambda: b.copy_(a))
        gemm = []
        for dtype in (torch.float32, torch.float64):
            x = torch.ones((n, n), dtype=dtype)
            y = torch.empty_like(x)
            gemm.append(2 * n**3 / _best(lambda x=x, y=y: torch.mm(x, x, out=y)))
        return cls(read, copy, *gemm)

    def limit(self, problem: Problem) -> str:
        """The time that no method can go below, as far as it has to see the data once."""
        flops = self.float32 if problem.dtype == np.float32 else self.float64
        reading, working = problem.nbytes / self.read, problem.flops / flops
        return (
            f"limit {reading + working:.3g} s: {reading:.3g} s to read "
            f"{problem.nbytes / 1e6:.3g} MB once, {working:.3g} s for {problem.flops / 1e9:.2g} "
            "Gflop of one product with K columns"
        )

    def __str__(self) -> str:
        return (
            f"memory {self.read / 1e9:.1f} GB/s read, {self.copy / 1e9:.1f} GB/s copied; products "
            f"{self.float64 / 1e9:.0f} Gflop/s in float64, {self.float32 / 1e9:.0f} in float32"
        )


def _best(work: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of the fastest of a few runs."""
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def described(rates: Rates) -> list[str]:
    """Versions, threads, processor, rates and date; no names of hosts or folders."""
    from fusion import __version__

    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return [
        f"sdfusion {__version__}, Python {platform.python_version()}, {packages}",
        f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads of torch, "
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}",
        str(rates),
        date.today().isoformat(),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()

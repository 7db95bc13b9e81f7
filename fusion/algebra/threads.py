"""Threads of our own: how many there are to be had, and blocks of work shared among them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

CGROUPS = Path("/sys/fs/cgroup")


def threads() -> int:
    """Threads that a pass over data may use: those of torch, no more than there are cores for."""
    return max(1, min(torch.get_num_threads(), cores()))


def cores() -> int:
    """Cores that this process may use: its affinity, its group's share, what SLURM granted."""
    told = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()]
    told += [_quota(), _granted()]
    return max(1, min(n for n in told if n))


def _granted() -> int | None:
    text = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return int(text) if text.isdigit() else None


@cache
def _quota() -> int | None:
    """Cores of the control group (containers), rounded up; None without a limit."""
    try:
        limit, period = (CGROUPS / "cpu.max").read_text().split()[:2]
        return None if limit == "max" else max(1, -(-int(limit) // int(period)))
    except (OSError, ValueError):
        pass
    try:
        limit = int((CGROUPS / "cpu/cpu.cfs_quota_us").read_text())
        period = int((CGROUPS / "cpu/cpu.cfs_period_us").read_text())
        return max(1, -(-limit // period)) if limit > 0 else None
    except (OSError, ValueError):
        return None


class Workers:
    """A few threads that take blocks of work one after the other; the caller is one of them.

    What another process holds up is no more than the block that a thread has begun: the caller
    takes all others itself, and nobody spins.

    Args:
        count: threads, the caller's included.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count - 1, "fusion") if count > 1 else None

    def share(self, task: Callable[[int], object], blocks: int) -> None:
        """task(0) … task(blocks − 1), each once, in any order; they must not meet."""
        if self._pool is None or blocks == 1:
            for block in range(blocks):
                task(block)
            return
        places = itertools.count()

        def work() -> None:
            while (block := next(places)) < blocks:
                task(block)

        helpers = [self._pool.submit(work) for _ in range(min(self.count, blocks) - 1)]
        try:
            work()
        finally:
            for helper in helpers:
                if not helper.cancel():
                    helper.result()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()


@cache
def _workers(count: int) -> Workers:
    return Workers(count)


def shared_workers() -> Workers:
    """The process's own, as many as it may use now; made once, and anew after a fork."""
    return _workers(threads())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_workers.cache_clear)

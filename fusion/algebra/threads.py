"""Threads: how many there are to be had, a limit to them, and blocks of work shared among them."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from math import ceil
from threading import Lock
from typing import ParamSpec, TypeVar

import torch

from fusion.algebra.calls import whole_number
from fusion.algebra.cores import cores, is_worker
from fusion.algebra.thread_pools import limited_blas, pool_sizes

ROUNDS = (3, 5)
"""Runs of each by which one thread is held against all: of long tasks, of short ones."""
GAIN = 0.8
"""Share of the time of one thread that several may take: a busy neighbour leaves them less."""
LONG = 0.005
"""Seconds of a run, at least: shorter ones fit between what another process is given."""

P = ParamSpec("P")
T = TypeVar("T")

_asked: ContextVar[int | None] = ContextVar("threads asked for", default=None)
_before: list[tuple[int, int]] = []
_lock = Lock()


def threads() -> int:
    """Threads that a pass over data may use.

    As many as were asked for (`limited_threads`); else those of torch, which are the user's
    OMP_NUM_THREADS or `torch.set_num_threads`, no more than there are cores for; one in a worker of
    dask or joblib and in other processes of a pool, which share the cores.
    """
    asked = _asked.get()
    if asked is not None:
        return asked
    if is_worker():
        return 1
    with _lock:
        return max(1, min(_of_user()[0], cores()))


def asked_threads() -> int | None:
    """The number that the user asked for, of a call around this one."""
    return _asked.get()


def checked_threads(call: str, count: int | None) -> int | None:
    """A number of threads that can be.

    Raises:
        ValueError: if it is none.
    """
    return None if count is None else whole_number(call, count)


@contextmanager
def limited_threads(count: int | None, in_torch: int | None = None) -> Iterator[None]:
    """So many threads within, those of torch and BLAS as our own unless that is told.

    None: what `threads` says.
    """
    if count is None:
        with library_threads(threads()):
            yield
        return
    token = _asked.set(count)
    try:
        with library_threads(count if in_torch is None else in_torch):
            yield
    finally:
        _asked.reset(token)


def within_threads(function: Callable[P, T]) -> Callable[P, T]:
    """The same, within the number of threads that its option `threads` asks for."""

    @wraps(function)
    def limited(*args: P.args, **options: P.kwargs) -> T:
        count = options.get("threads")
        with limited_threads(checked_threads(f"{function.__name__}(threads={count!r})", count)):  # pyright: ignore[reportArgumentType]
            return function(*args, **options)

    return limited


_inside: ContextVar[bool] = ContextVar("threads set", default=False)


def _of_user() -> tuple[int, int]:
    """What torch and BLAS may use outside all of our calls."""
    return _before[0] if _before else pool_sizes()


@contextmanager
def library_threads(count: int) -> Iterator[None]:
    """So many threads in torch and no more in NumPy's and SciPy's BLAS, put back afterwards.

    What `threads` says does not depend on it. torch keeps the number for all threads of Python that
    begin later: calls at the same time must not take what one of them has set for what the user
    had.
    """
    nested = _inside.get()
    with _lock:
        of_user = _of_user()
        before = pool_sizes() if nested else of_user
        _before.append(before)
    token = _inside.set(True)
    torch.set_num_threads(count)
    try:
        with limited_blas(min(count, of_user[1])):
            yield
    finally:
        _inside.reset(token)
        with _lock:
            _before.remove(before)
            torch.set_num_threads(before[0])


def quicker(task: Callable[[], object], counts: tuple[int, int]) -> int:
    """The number of threads, ours and the libraries', with which a task ends sooner, by turns.

    Threads of OpenMP wait for each other by spinning: where another process holds one of their
    cores up, two of them take longer than one.
    """

    def run(count: int, times: int) -> float:
        with limited_threads(count):
            begun = time.perf_counter()
            for _ in range(times):
                task()
            return (time.perf_counter() - begun) / times

    first = min(run(count, 1) for _ in range(2) for count in counts)  # wakes threads, too
    times, rounds = max(1, ceil(LONG / max(first, 1e-6))), ROUNDS[first < LONG]
    many, few = [], []
    for done in range(1, rounds + 1):
        for count in counts:
            (many if count == max(counts) else few).append(run(count, times))
        better, worse = max(many) <= GAIN * min(few), min(many) > GAIN * max(few)
        if done > 1 and (better or worse):  # whichever run is taken of each
            break
    gains = statistics.median(many) <= GAIN * statistics.median(few)
    return max(counts) if gains else min(counts)


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

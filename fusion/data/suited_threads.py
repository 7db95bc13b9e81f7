"""How many threads what is done with a data set takes in torch and BLAS, outside a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from math import prod
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from fusion.algebra.threads import asked_threads, library_threads, quicker, threads
from fusion.data.dataset import Dataset

SMALL = 2_000_000
"""Numbers that are read below which one thread is used: barriers cost more than they bring."""
TRIED = (1000, 400)
"""Of the matrix whose product with itself is timed."""

P = ParamSpec("P")
T = TypeVar("T")


def values_read(data: Dataset) -> int:
    """Numbers that a pass over the data reads."""
    return prod(data.shape) if data.entries is None else len(data.entries.x)


@contextmanager
def suited_threads(*datasets: Dataset) -> Iterator[None]:
    """One thread in torch and BLAS for small data; else all or one, whichever is quicker now.

    Threads of BLAS and OpenMP wait for each other many times in a computation of many small steps:
    beside a busy neighbour each may wait as long as the neighbour is given, some milliseconds.
    """
    count = threads()
    if count > 1:
        if max(map(values_read, datasets), default=0) < SMALL:
            count = 1
        elif asked_threads() is None:
            matrix = np.ones(TRIED)
            count = quicker(lambda: matrix.T @ matrix, (count, 1))
    with library_threads(count):
        yield


def threads_suit_data(
    function: Callable[Concatenate[Dataset, P], T],
) -> Callable[Concatenate[Dataset, P], T]:
    """The same, within the threads that suit its first argument."""

    @wraps(function)
    def suited(data: Dataset, *args: P.args, **options: P.kwargs) -> T:
        with suited_threads(data):
            return function(data, *args, **options)

    return suited

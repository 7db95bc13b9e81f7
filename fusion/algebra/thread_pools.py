"""The threads of the libraries that compute: torch's own, and the BLAS of NumPy and of SciPy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


def pool_sizes() -> tuple[int, int]:
    """Threads that torch, and that every BLAS which is loaded, may use now."""
    blas = [library.num_threads for library in _blas().lib_controllers]
    return torch.get_num_threads(), min(blas, default=1)


@contextmanager
def limited_blas(count: int) -> Iterator[None]:
    """So many threads of BLAS.

    It has one pool for the process: where two threads of Python ask at the same time, threadpoolctl
    3.8 lets the first have its way, older ones the last.
    """
    with _blas().limit(limits=count, user_api="blas"):
        yield


def _blas() -> ThreadpoolController:
    """SciPy brings a BLAS of its own: what is loaded is looked for again once it is there."""
    return _loaded_blas("scipy.linalg" in sys.modules)


@cache
def _loaded_blas(with_scipy: bool) -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")

"""The threads of the libraries that compute: torch's own, and the BLAS of NumPy and of SciPy."""

from __future__ import annotations

import sys
from functools import cache

import torch
from threadpoolctl import LibController, ThreadpoolController

TORCH = "torch"


def pool_sizes() -> dict[str, int]:
    """{library: threads it may use now}; NumPy and SciPy bring a BLAS of their own each."""
    return {TORCH: torch.get_num_threads()} | {
        name: blas.num_threads for name, blas in _blas().items()
    }


def set_pools(sizes: dict[str, int]) -> None:
    """Give every library so many threads."""
    libraries = _blas()
    for name, count in sizes.items():
        if name == TORCH:
            if torch.get_num_threads() != count:
                torch.set_num_threads(count)
        elif libraries[name].num_threads != count:
            libraries[name].set_num_threads(count)


def _blas() -> dict[str, LibController]:
    """{file: library}, of those that are loaded."""
    return _loaded_blas("scipy.linalg" in sys.modules)


@cache
def _loaded_blas(with_scipy: bool) -> dict[str, LibController]:
    """Looked for again once SciPy's is there."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    return {library.filepath: library for library in libraries}

"""Compile what passes over counts are made of, and keep it on disk, while pip has one core alone.

Else both processes of the tests would compile it. `python .ci/compile_kernels.py`; without numba
nothing is done.
"""

import numpy as np
import torch

import fusion as fu
from fusion.algebra.threads import Workers
from fusion.likelihood import count_kernels, count_rows
from fusion.likelihood.count_maps import likeliest
from fusion.likelihood.count_newton import newton_rows

SHAPE = 12, 9
LARGE = 10**9
"""A count that single precision does not hold: then all are kept in double precision."""


def by_rows(X: np.ndarray, sizes: tuple[int, ...], workers: Workers, *, whole: bool = True) -> None:
    """The passes over these counts for so many components; not `whole`: curvatures alone."""
    data = fu.Dataset("x", X)
    rows = count_rows.CountRows(data.form(SHAPE, torch.device("cpu"), torch.float64))
    for K in sizes:
        L, R = (np.ones((n, K)) for n in SHAPE)
        into = np.empty_like(L), np.empty((len(L), K * (K + 1) // 2))
        rows.bend(0, L, R, workers, into, loss=True)
        if whole:
            newton_rows(L, into, rows.least, workers)
            rows.slopes(L, R, workers)
            rows.products(L, R, L, R, workers)


def main() -> None:
    """All that most tests need first."""
    if not count_kernels.installed():
        return
    workers, few = Workers(1), np.random.default_rng(0).poisson(1.0, SHAPE).astype("uint16")
    large = few.astype(float)
    large[0, 0] = LARGE
    by_rows(few, (2,), workers)  # so few counts are read by passes for any number of components
    ones = (torch.ones((n, 3), dtype=torch.float64) for n in SHAPE)
    likeliest(torch.from_numpy(few), *ones)
    by_rows(large, (2,), workers)
    count_rows.FEW = 0
    by_rows(large, (2, 6), workers)
    by_rows(large, (3, 1, 12), workers, whole=False)


if __name__ == "__main__":
    main()

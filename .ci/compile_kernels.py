"""Compile what passes over counts are made of, and keep it on disk, while pip has one core alone.

Else both processes of the tests would compile it. `python .ci/compile_kernels.py`; without numba
nothing is done.
"""

import numpy as np
import torch

import fusion as fu
from fusion.algebra.threads import Workers
from fusion.blocks import nearest_group
from fusion.engine import compiled_nnls
from fusion.forms import compiled_products, compiled_reading
from fusion.likelihood import count_kernels, count_rows
from fusion.likelihood.count_lists import listed
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


def dense_reading(few: np.ndarray) -> None:
    """The passes over a dense array, of counts in 16 bits; groups of rows."""
    array, (L, R) = torch.from_numpy(few), (torch.ones((n, 3)) for n in SHAPE)
    compiled_products.product(array, R)
    compiled_products.product_back(array, L)
    compiled_reading.sums(array, R[:, 0])
    compiled_reading.residual_squares(array, L, R, None, None)
    compiled_reading.group_sums(array, np.zeros(len(few), np.int64), 1)


def main() -> None:
    """All that most tests need first."""
    if not count_kernels.installed():
        return
    workers, few = Workers(1), np.random.default_rng(0).poisson(1.0, SHAPE).astype("uint16")
    large = few.astype(float)
    large[0, 0] = LARGE
    by_rows(few, (2,), workers)  # so few counts are read by passes for any number of components
    L, R = (torch.ones((n, 3), dtype=torch.float64) for n in SHAPE)
    for counts in (few, few[:, :8].copy()):  # the latter are whole words of eight bytes
        likeliest(torch.from_numpy(counts), L, R[: counts.shape[1]])
    by_rows(large, (2,), workers)
    count_rows.FEW = 0
    by_rows(large, (2, 6), workers)
    for kind in ("uint8", "uint16", "int64", "float64"):
        listed(few.astype(kind), 1.0)
    dense_reading(few)
    nearest_group.MANY = 0
    nearest_group.nearest(np.ones((12, 3)), nearest_group.Placed.of(np.ones((2, 3))))
    G, b = torch.eye(3, dtype=torch.float64), torch.ones((12, 3), dtype=torch.float64)
    compiled_nnls.pivoted(G, b, b > 0, 3, 9, 1e-12)
    by_rows(large, (3, 1, 12), workers, whole=False)


if __name__ == "__main__":
    main()

"""Parts and sums of sparse data equal those of the same data dense, whatever the signal is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu

AXES = ["y", "x", "ky", "kx"]
COUNTS = np.random.default_rng(1).poisson(0.3, (4, 6, 8, 10)).astype(np.int32)


def dense_of(data: fu.Dataset) -> np.ndarray:
    values = np.zeros(data.matrix_shape, int)
    held = data.form(data.matrix_shape, torch.device("cpu"), torch.float64)
    for rows, block in held.blocks(torch.float64):
        values[rows] = block.numpy()
    return values.reshape(data.shape)


@pytest.mark.parametrize("signal", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("part", "factors"),
    [
        ({"x": slice(1, 4)}, {"ky": 2, "y": 2}),
        ({"x": slice(1, 4), "ky": slice(2, 7)}, {"kx": 5}),
        ({"kx": slice(3, 9), "y": slice(0, 3)}, {"x": 3, "kx": 2}),
    ],
)
def test_sparse_parts_and_sums_are_those_of_the_dense_data(signal, part, factors):
    dense = fu.Dataset("d", COUNTS, axes=AXES, signal=signal)
    sparse = fu.Dataset("d", torch.from_numpy(COUNTS).to_sparse(), axes=AXES, signal=signal)
    np.testing.assert_array_equal(dense_of(sparse), COUNTS)
    np.testing.assert_array_equal(dense_of(sparse.crop(**part)), dense.crop(**part).numpy())
    np.testing.assert_array_equal(dense_of(sparse.bin(**factors)), dense.bin(**factors).numpy())


def test_sums_of_half_precision_do_not_overflow():
    values = np.full((4, 6, 8), 60000.0, np.float16)
    sparse = fu.Dataset("d", torch.from_numpy(values).to_sparse()).bin(y=2, x=2)
    np.testing.assert_allclose(sparse.entries.x.double().numpy(), 4 * float(values[0, 0, 0]))

"""Batched NNLS against SciPy's, row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from fusion.engine.batched_nnls import nnls as batched
from tests.helpers.reference_data import amounts


@pytest.mark.parametrize("K", [1, 2, 5, 12])
def test_batched_nnls_is_that_of_scipy(K):
    rng = np.random.default_rng(K)
    A, X = rng.random((40, K)), rng.standard_normal((300, 40))
    x, free = batched(torch.from_numpy(A.T @ A), torch.from_numpy(X @ A))
    expected = np.stack([nnls(A, row)[0] for row in X])
    assert np.abs(x.numpy() - expected).max() < 1e-10
    assert ((x > 0) <= free).all()


def test_a_gram_matrix_of_its_own_for_every_row_is_solved_likewise():
    rng = np.random.default_rng(0)
    A, X = rng.random((200, 15, 4)), rng.standard_normal((200, 15))
    G, b = np.einsum("nij,nik->njk", A, A), np.einsum("nij,ni->nj", A, X)
    x, _ = batched(torch.from_numpy(G), torch.from_numpy(b))
    expected = np.stack([nnls(a, row)[0] for a, row in zip(A, X, strict=True)])
    assert np.abs(x.numpy() - expected).max() < 1e-9


def test_degenerate_rows_end_and_meet_the_conditions_of_a_minimum():
    """Zero right sides, exact zeros of the answer, and nearly parallel columns."""
    rng = np.random.default_rng(1)
    A = rng.random((30, 6))
    A[:, 5] = A[:, 4] + 1e-4 * rng.random(30)
    X = np.concatenate([np.zeros((3, 30)), amounts(rng, 200, 6) @ A.T, -rng.random((3, 30))])
    G, b = torch.from_numpy(A.T @ A), torch.from_numpy(X @ A)
    x, _ = batched(G, b)
    slope = x @ G - b
    assert (x >= 0).all()
    assert float(slope.min()) > -1e-10 * float(b.abs().max())
    assert float((x * slope).abs().max()) < 1e-8


def test_more_than_a_machine_word_of_unknowns():
    rng = np.random.default_rng(2)
    A, X = rng.random((200, 70)), rng.standard_normal((20, 200))
    x, _ = batched(torch.from_numpy(A.T @ A), torch.from_numpy(X @ A))
    expected = np.stack([nnls(A, row)[0] for row in X])
    assert np.abs(x.numpy() - expected).max() < 1e-10

"""Batched NNLS against SciPy's, row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from fusion.engine.batched_nnls import MANY
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


def both_ways(G, b, likely=None):
    """(x, free) by rows together, and by compiled ones."""
    pytest.importorskip("numba")
    G, b = torch.from_numpy(G), torch.from_numpy(b)
    return batched(G, b, likely), batched(G, b, likely, of=MANY)


@pytest.mark.parametrize("K", [1, 4, 10, 11, 30])  # inverses are kept up to 10
@pytest.mark.parametrize("guessed", [False, True])
def test_compiled_rows_are_the_same(K, guessed):
    rng = np.random.default_rng(K)
    A, X = rng.random((60, K)), rng.standard_normal((500, 60))
    likely = torch.from_numpy(rng.random((500, K)) < 0.5) if guessed else None
    (x, free), (y, held) = both_ways(A.T @ A, X @ A, likely)
    assert torch.equal(free, held)
    assert float((x - y).abs().max()) < 1e-12 * float(x.abs().max())


def test_compiled_rows_with_a_matrix_each_are_the_same():
    rng = np.random.default_rng(0)
    A, X = rng.random((300, 15, 4)), rng.standard_normal((300, 15))
    (x, free), (y, held) = both_ways(np.einsum("nij,nik->njk", A, A), np.einsum("nij,ni->nj", A, X))
    assert torch.equal(free, held)
    assert float((x - y).abs().max()) < 1e-11 * float(x.abs().max())


def test_compiled_rows_that_are_degenerate_end_at_a_minimum():
    rng = np.random.default_rng(1)
    A = rng.random((30, 6))
    A[:, 5] = A[:, 4] + 1e-4 * rng.random(30)
    X = np.concatenate([np.zeros((3, 30)), amounts(rng, 200, 6) @ A.T, -rng.random((3, 30))])
    G, b = A.T @ A, X @ A
    x = both_ways(G, b)[1][0].numpy()
    slope = x @ G - b
    assert (x >= 0).all()
    assert (x[:3] == 0).all()
    assert (x[-3:] == 0).all()
    assert slope.min() > -1e-10 * np.abs(b).max()
    assert np.abs(x * slope).max() < 1e-8


def test_a_row_without_an_answer_is_no_number_and_harms_no_other():
    """A matrix that is not positive has no minimum."""
    G = np.stack([np.eye(2), [[1.0, 2.0], [2.0, 1.0]], np.eye(2)])
    x = both_ways(G, np.ones((3, 2)))[1][0].numpy()
    assert (x[[0, 2]] == 1).all()
    assert np.isnan(x[1]).all()


def test_compiled_rows_do_not_depend_on_the_number_of_threads(monkeypatch):
    pytest.importorskip("numba")
    from fusion.algebra import threads
    from fusion.engine import compiled_nnls

    monkeypatch.setattr(compiled_nnls, "ROWS", 64)
    rng = np.random.default_rng(3)
    A, X = rng.random((20, 3)), rng.standard_normal((1000, 20))
    G, b = torch.from_numpy(A.T @ A), torch.from_numpy(X @ A)
    found = []
    for count in (1, 2, 5):
        with threads.Workers(count) as workers:
            monkeypatch.setattr(compiled_nnls, "shared_workers", lambda workers=workers: workers)
            found.append(batched(G, b, of=MANY)[0])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])

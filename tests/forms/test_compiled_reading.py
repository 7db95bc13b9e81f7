"""Arrays that are converted as they are read, against literal NumPy in float64."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from fusion.answers.left_over import _residuals_by_products
from fusion.forms import compiled_products, compiled_reading
from fusion.forms.dense import Dense
from fusion.forms.weights import Weights

pytest.importorskip("numba")
RNG = np.random.default_rng(5)
N, P, K = 263, 37, 5
L, R = RNG.uniform(0.1, 1, (N, K)), RNG.uniform(0, 1, (P, K))
ROWS, COLUMNS = RNG.uniform(0.5, 2, N), RNG.uniform(0.5, 2, P)
COLUMNS[3] = 0


def counts(mean=1.0, offset=0):
    """Noisy counts of L Rᵀ, and a constant."""
    return (RNG.poisson(mean * L @ R.T) + offset).astype("u2")


@pytest.fixture(autouse=True)
def many(monkeypatch):
    """So few values, in parts, are read as very many are."""
    monkeypatch.setattr(compiled_reading, "MANY", 1)
    monkeypatch.setattr(compiled_reading, "ROWS", 100)


def form_of(x, weights=None):
    form = Dense(torch.from_numpy(x), weights or Weights(), torch.float64, resident=0)
    assert form.compiled
    return form


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("u1", "f4"), ("u2", "f4"), ("i2", "f4"), ("f4", "f4"),
        ("u2", "f8"), ("i4", "f8"), ("f4", "f8"), ("f8", "f8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("columns", [K, 8])
def test_products_are_those_of_the_values(kind, asked, columns, monkeypatch):
    monkeypatch.setattr(compiled_products, "LARGE", 1)
    monkeypatch.setattr(compiled_products, "LOADED", 1)
    x = counts(100).astype(kind)
    if kind[0] in "if":
        x[:, 3] = -7
    array, left = torch.from_numpy(x), RNG.uniform(-1, 1, (N, columns)).astype(asked)
    right = RNG.uniform(-1, 1, (P, columns)).astype(asked)
    form = Dense(array, Weights(), torch.float64, resident=0)
    for factor, product, expected in (
        (right, form.matmul, x.astype(float) @ right),
        (left, form.rmatmul, x.T.astype(float) @ left),
    ):
        assert compiled_products.multiplies(array, torch.from_numpy(factor))
        made = product(torch.from_numpy(factor))
        assert made.dtype == torch.from_numpy(factor).dtype
        off = np.abs(made.numpy() - expected).max() / np.abs(expected).max()
        assert off < (1e-6 if asked == "f4" else 1e-14)


def test_what_single_precision_does_not_hold_or_many_columns_or_what_is_small_goes_another_way():
    wide, narrow = torch.zeros(N, P), torch.zeros(N, P, dtype=torch.uint16)
    assert not compiled_products.multiplies(wide, torch.zeros(P, K))  # nothing is loaded for these
    assert compiled_products.multiplies(narrow, torch.zeros(P, K))
    assert not compiled_products.multiplies(narrow, torch.zeros(P, 9))
    assert not compiled_products.multiplies(narrow, torch.zeros(P, 25, dtype=torch.float64))
    assert not compiled_products.multiplies(narrow.int(), torch.zeros(P, K))
    assert not compiled_products.multiplies(narrow.T.contiguous().T, torch.zeros(P, K))


def test_sums_are_exact():
    x = counts(9, offset=60_000)
    form = form_of(x, Weights(cols=torch.from_numpy(COLUMNS)))
    squares, total = form.sums()
    np.testing.assert_allclose(squares, (x.astype(float) ** 2) @ COLUMNS, rtol=1e-14)
    np.testing.assert_array_equal(total, x.sum(0, dtype=float))


@pytest.mark.parametrize("mean", [2.0, 1e5])
@pytest.mark.parametrize("damped", [None, 1.0])
def test_residuals_are_those_of_the_values_however_large_the_counts(mean, damped):
    mean = min(mean, 60_000 / (L @ R.T).max())
    x, w = counts(mean), np.outer(ROWS, COLUMNS)
    form = form_of(x, Weights(torch.from_numpy(ROWS), torch.from_numpy(COLUMNS)))
    made = form.residual_squares(torch.from_numpy(mean * L), torch.from_numpy(R), damped)
    m = mean * L @ R.T
    own = (w * (x - m) ** 2 / (1 if damped is None else m + damped)).sum(1)
    np.testing.assert_allclose(made, own, rtol=1e-4)


def test_residuals_of_the_generic_form_are_the_same():
    x = counts(50)
    left, right = torch.from_numpy(50 * L), torch.from_numpy(R)
    wide = Dense(torch.from_numpy(x.astype("f8")), Weights(), torch.float64)
    assert not wide.compiled
    for damped in (None, 1.0):
        quick, slow = (f.residual_squares(left, right, damped) for f in (form_of(x), wide))
        np.testing.assert_allclose(quick, slow, rtol=1e-5)


@pytest.mark.parametrize("columns", [1, 3, 4, 9])
def test_what_is_kept_while_nothing_changes_is_read_once(columns, monkeypatch):
    x, left = counts(20), RNG.uniform(0, 1, (N, columns))
    right, read, real = RNG.uniform(0, 9, (P, columns)), [], compiled_reading.looked_over
    monkeypatch.setattr(
        compiled_reading, "looked_over", lambda *a, **k: read.append(k) or real(*a, **k)
    )
    form, beside = form_of(x), (torch.from_numpy(left), torch.from_numpy(right))
    with form.unchanged():
        damped, plain = (form.residual_squares(*beside, d) for d in (0.5, None))
        sums = form.sums()
        other = form.residual_squares(2 * beside[0], beside[1])
    m = left @ right.T
    np.testing.assert_allclose(plain, ((x - m) ** 2).sum(1), rtol=1e-5)
    np.testing.assert_allclose(damped, ((x - m) ** 2 / (m + 0.5)).sum(1), rtol=1e-5)
    np.testing.assert_allclose(other, ((x - 2 * m) ** 2).sum(1), rtol=1e-5)
    np.testing.assert_allclose(sums[0], (x.astype(float) ** 2).sum(1), rtol=1e-14)
    np.testing.assert_array_equal(sums[1], x.sum(0, dtype=float))
    assert len(read) == 2
    beside[0].data *= 3  # as a solver writes to a factor: nothing is kept outside
    again = form.residual_squares(*beside)
    np.testing.assert_allclose(again, ((x - 3 * m) ** 2).sum(1), rtol=1e-5)


def test_sums_of_weighted_channels_are_as_exact_beside_a_prediction():
    x = counts(9, offset=60_000)
    form = form_of(x, Weights(cols=torch.from_numpy(COLUMNS)))
    with form.unchanged():
        form.residual_squares(torch.from_numpy(L), torch.from_numpy(R), 1.0)
        squares, _ = form.sums()
    np.testing.assert_allclose(squares, (x.astype(float) ** 2) @ COLUMNS, rtol=1e-14)


def test_sums_do_not_depend_on_the_number_of_threads():
    x = counts(300)
    made = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            form = form_of(x)
            made.append((form.rmatmul(torch.from_numpy(L).float()), *form.sums()))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*made, strict=True))


@pytest.mark.parametrize("columns", [None, COLUMNS], ids=["all channels", "weighted channels"])
def test_what_a_fit_leaves_of_a_row_does_not_depend_on_its_weight(columns):
    x = counts(30)
    cols = None if columns is None else torch.from_numpy(columns)
    form = form_of(x, Weights(torch.from_numpy(ROWS), cols))
    squares = _residuals_by_products(form, torch.from_numpy(L), torch.from_numpy(R))[0]
    seen = np.ones(P) if columns is None else columns > 0
    np.testing.assert_allclose(squares, (x - L @ R.T) ** 2 @ seen, rtol=1e-5)


def test_fewer_wide_values_are_enough_where_what_compiles_is_loaded(monkeypatch):
    wide, factor = torch.zeros(N, P), torch.zeros(P, K)
    monkeypatch.setattr(compiled_products, "LOADED", wide.numel())
    monkeypatch.setitem(sys.modules, "numba", object())
    assert compiled_products.multiplies(wide, factor)
    monkeypatch.delitem(sys.modules, "numba")
    assert not compiled_products.multiplies(wide, factor)

"""Likeliest amounts of every pixel, and the slopes that they leave, against literal NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from fusion.forms.entries import Entries
from fusion.likelihood import count_maps
from fusion.likelihood.count_maps import likeliest

pytest.importorskip("numba")
count_maps_kernel = pytest.importorskip("fusion.likelihood.count_maps_kernel")
RNG = np.random.default_rng(7)
N, P, K = 90, 53, 3
ENERGY = np.linspace(0, 1, P)[:, None]
S = np.exp(-(((ENERGY - [0.2, 0.5, 0.8]) / 0.1) ** 2)) + 0.05
C = RNG.gamma(0.5, 20, (N, K))
X = RNG.poisson(C @ S.T).astype("u2")
X[4] = 0
COLUMNS = np.where(np.arange(P) % 9 == 4, 0.0, 1.0)
ROWS = RNG.uniform(0.5, 2, N)
ROWS[7] = 0


def of(x=X, start=None, S=S, rows=None, columns=None):
    start = np.ones((len(x), K)) if start is None else start
    weights = (None if w is None else torch.from_numpy(w) for w in (rows, columns))
    return likeliest(torch.from_numpy(x), torch.from_numpy(start), torch.from_numpy(S), *weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_the_rows_that_are_found(weighted):
    rows, columns = (ROWS, COLUMNS) if weighted else (np.ones(N), np.ones(P))
    made = of(rows=rows, columns=columns) if weighted else of()
    own, w = made.rows.numpy(), np.outer(rows, columns)
    M = np.maximum(own @ S.T, 1e-100)
    assert made.loss == pytest.approx((w * (M - X * np.log(M))).sum(), rel=1e-6)
    np.testing.assert_allclose(made.explained, (w * X / M).T @ own, rtol=1e-5)
    np.testing.assert_allclose(made.bent, (w * X / M**2).T @ own**2, rtol=1e-5)
    np.testing.assert_allclose(made.mass, rows @ own, rtol=1e-12)


FEW = RNG.poisson(0.02 * C @ S.T).astype("u2")
"""Counts most of which are zero, but in two rows."""
FEW[:2] = RNG.poisson(C[:2] @ S.T + 1)


def as_list(x):
    i, j = np.nonzero(x)
    return Entries(*map(torch.from_numpy, (i, j, x[i, j].astype("f8"))), x.shape)


@pytest.mark.parametrize("stored", [P, 48, "list"])
def test_rows_of_few_counts_are_the_likeliest_and_leave_their_sums(stored):
    p = P if stored == "list" else stored  # 53 channels are no whole words of eight bytes
    x, right, columns = FEW[:, :p].copy(), S[:p], COLUMNS[:p]
    taken = as_list(x) if stored == "list" else torch.from_numpy(x)
    given = (torch.from_numpy(each) for each in (np.ones((N, K)), right, ROWS, columns))
    made = likeliest(taken, *given)
    own, w = made.rows.numpy(), np.outer(ROWS, columns)
    M = np.maximum(own @ right.T, 1e-100)
    assert (count_maps_kernel.FULL * (x > 0).sum(1) < p).mean() > 0.5
    assert made.loss == pytest.approx((w * (M - x * np.log(M))).sum(), rel=1e-6)
    np.testing.assert_allclose(made.explained, (w * x / M).T @ own, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made.bent, (w * x / M**2).T @ own**2, rtol=1e-5, atol=1e-6)
    slope, bend = (w * (1 - x / M)) @ right, (w * x / M**2) @ right**2
    some = (ROWS > 0) & (x @ columns > 0)
    away = np.where((own > 1e-9) | (slope < 0), slope / np.sqrt(np.maximum(bend, 1e-9)), 0)
    assert abs(away[some]).max() < 5e-3  # standard errors


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("channels", [5, 32, 80, 131])
def test_rows_are_listed_by_their_channels_that_have_counts(kind, channels):
    x = RNG.poisson(RNG.choice([0.02, 0.3, 3], (60, 1)), (60, channels)).astype(kind)
    x[0], x[1, :-1], x[2] = 0, 0, 1  # none, one at most, all
    weights = RNG.uniform(0, 2, channels).astype("f4")
    read = _compiled_listing()
    for i, row in enumerate(x):
        v, at = np.empty(channels, "f4"), np.empty(channels + 4, "u8")
        n, total = read(x, i, weights, v, at)
        there = np.flatnonzero(row)
        assert n == len(there)
        np.testing.assert_array_equal(at[:n], there)
        np.testing.assert_array_equal(v[:n], row[there].astype("f4") * weights[there])
        assert total == pytest.approx((row * weights).sum(), rel=1e-5)


def _compiled_listing():
    from numba import njit

    from fusion.likelihood.count_maps_few import listed_of_array

    return njit(listed_of_array)


def test_what_is_added_by_fours_is_what_numpy_adds():
    from numba import njit

    from fusion.likelihood.count_maps_few import scatter

    lanes, at = (0,) * 8, np.array([3, 0, 6], "u8")
    q, w = RNG.normal(size=(2, 4, 9)).astype("f4")
    shares, room = RNG.normal(size=(1, 16)).astype("f4"), RNG.normal(size=(9, 16)).astype("f4")
    wanted = room.copy()
    wanted[at, :8] += np.outer(q[2, :3], shares[0, :8])
    wanted[at, 8:] += np.outer(w[2, :3], shares[0, 8:])
    njit(scatter)(lanes, 3, at, q, w, 2, shares, room)
    np.testing.assert_allclose(room, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fixed", [(), (1,), (0, 3)])
def test_a_step_is_newtons_within_its_bounds(fixed):
    from numba import njit
    from numba.extending import register_jitable

    from fusion.likelihood import count_maps_parts as parts

    register_jitable(parts.one_by_one)
    A = RNG.normal(size=(9, 4))
    h, g, c = A.T @ A, RNG.normal(size=4), RNG.uniform(1, 2, 4)
    for k in fixed:
        c[k], g[k] = 0.0, 50.0  # at its bound, and to stay there
    d, inverse, lower = np.zeros(4), np.zeros(4), np.zeros((4, 4))
    decrement = njit(parts.step)((0,) * 4, c, g, h, d, inverse, lower)
    made = minimize(
        lambda z: (g @ z + 0.5 * z @ h @ z, g + h @ z),
        np.zeros(4),
        jac=True,
        bounds=[(-a, None) for a in c],
        options={"ftol": 1e-15, "gtol": 1e-12},
    )
    np.testing.assert_allclose(d, made.x, atol=1e-5)
    assert decrement == pytest.approx(-g @ d)


def test_every_row_is_the_likeliest_within_its_bounds():
    own = of().rows.numpy()
    assert (own >= 0).all()
    np.testing.assert_array_equal(own[4], 0)  # no count
    for x, c in zip(X[:12], own[:12], strict=True):
        value = lambda c, x=x: (S @ c - np.where(x > 0, x * np.log(S @ c), 0)).sum()  # noqa: E731
        least = minimize(value, c + 0.1, bounds=[(1e-12, None)] * K, tol=1e-14)
        assert value(np.maximum(c, 1e-12)) <= least.fun + 1e-6


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e6])
def test_rows_do_not_depend_on_where_they_begin(scale):
    near, far = of(start=C).rows, of(start=np.full((N, K), scale) * [1, 1e-3, 1]).rows
    np.testing.assert_allclose(far, near, atol=2e-3 * float(near.mean()))


def test_rows_without_weight_stay():
    made = of(start=np.full((N, K), 3.5), rows=ROWS)
    np.testing.assert_allclose(made.rows[7], 3.5, rtol=1e-12)


def test_counts_where_nothing_is_predicted_are_impossible():
    dark = np.where(ENERGY > 0.9, 0, S)
    assert X[:, -1].any()
    assert of(S=dark).loss == np.inf


def test_high_counts_are_found_to_a_part_of_their_noise():
    x = RNG.poisson(600 * C @ S.T + 2e4).clip(0, 65535).astype("u2")
    flat = np.c_[S[:, :2], np.ones(P)]
    own = of(x, S=flat).rows.numpy()
    M = own @ flat.T
    slope, bend = (1 - x / M) @ flat, (x / M**2) @ flat**2
    off = np.where((own > 0) | (slope < 0), slope / np.sqrt(bend), 0)
    assert abs(off).max() < 5e-3  # standard errors


def test_rows_are_looked_at_a_few_times():
    cold = of(start=np.ones((N, K)))
    assert cold.looks < 5.5 * N
    again = of(start=cold.rows.numpy(), S=S * (1 + 0.02 * np.sin(20 * ENERGY)))
    assert again.looks < 3 * N
    assert of(start=cold.rows.numpy()).looks < 2.5 * N


def test_what_is_found_does_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(count_maps, "ROWS", 17)
    made, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            made.append(of())
    finally:
        torch.set_num_threads(before)
    one, two = made
    assert torch.equal(one.rows, two.rows)
    assert torch.equal(one.explained, two.explained)
    assert one.loss == two.loss


@pytest.mark.parametrize("listed", [False, True])
def test_what_is_kept_on_disk_is_found_by_every_process(listed):
    """Functions within functions are not written alike by all, and numba looks for them so."""
    own = count_maps_kernel.kernel(4, listed).py_func
    for cell in own.__closure__:
        value = cell.cell_contents
        nested = "<locals>" in getattr(value, "__qualname__", "")
        assert isinstance(value, int | tuple) or (callable(value) and not nested)

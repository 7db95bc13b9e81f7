"""What a block adds to the whole, against literal NumPy and differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls

import fusion as fu
from fusion.blocks.first_look import first_problem
from fusion.blocks.on_rows import scans_of
from fusion.blocks.work import settle
from fusion.constraints import NonNegative
from fusion.losses import Frobenius, Poisson
from tests.helpers.block_data import K, counted, noisy, planted

SCAN = (4, 5)
C, S = planted(SCAN, channels=18)
S = S + 0.05
RNG = np.random.default_rng(3)
GUESS = S * RNG.uniform(0.8, 1.2, S.shape)
COLUMNS = RNG.uniform(0.5, 2, len(S))
ROWS = RNG.uniform(0.5, 2, 20)
STEP = 1e-4


class Plain(fu.Model):
    """Spectra of any norm, so that one entry can be moved alone."""

    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, K), NonNegative())
        self.S = fu.Factor((data.channels, K), NonNegative())

    def forward(self):
        return {"a": fu.cp(self.C, self.S)}


def problem_of(loss, array, **options):
    data = fu.Dataset("a", array, **options)
    model, terms = Plain(data), 1.0 * loss(data)
    return first_problem(model, terms, scans_of(model, terms))


def settled(loss, array, spectra=GUESS, variance=None):
    """(what the rows at their least add up to, the data (pixel, channel))."""
    problem, flat = problem_of(loss, array, variance=variance), array.reshape(20, -1)
    variance = None if variance is None else variance.reshape(20, -1)
    rows = fu.Dataset("a", flat, axes=["pixel", "channel"], variance=variance)
    return settle(problem, {"S": torch.from_numpy(spectra)}, {"a": rows}, {}), flat


@pytest.mark.parametrize("weighted", [False, True])
def test_squares_are_those_of_non_negative_least_squares(weighted):
    variance = (ROWS[:, None] * COLUMNS).reshape(*SCAN, -1) if weighted else None
    w = ROWS[:, None] * COLUMNS if weighted else np.ones((20, len(S)))
    made, x = settled(Frobenius, noisy(C, S, scan=SCAN), variance=variance)
    sigma = np.sqrt(w)
    own = [nnls(GUESS / s[:, None], row / s)[0] for row, s in zip(x, sigma, strict=True)]
    own = np.stack(own)
    M = own @ GUESS.T
    np.testing.assert_allclose(made.rows["C"], own, atol=1e-9)
    assert made.sums.fits["a"] == pytest.approx((0.5 * (M**2 - 2 * x * M) / w).sum(), rel=1e-12)
    np.testing.assert_allclose(made.sums.gradient["S"], ((M - x) / w).T @ own, atol=1e-7)


def test_counts_are_those_of_the_likelihood_of_every_pixel():
    made, x = settled(Poisson, counted(C, S, scan=SCAN))
    own = made.rows["C"]
    M = own @ GUESS.T
    assert made.sums.fits["a"] == pytest.approx((M - x * np.log(M)).sum(), rel=1e-12)
    np.testing.assert_allclose(made.sums.gradient["S"], (1 - x / M).T @ own, atol=1e-7)
    np.testing.assert_allclose(made.sums.counts["S"], GUESS * ((x / M).T @ own), rtol=1e-9)
    np.testing.assert_allclose(made.sums.bends["S"], (x / M**2).T @ own**2, rtol=1e-9)
    for row, c in zip(x[:5], own[:5], strict=True):  # the least of each pixel alone
        least = minimize(
            lambda c, row=row: (GUESS @ c - row * np.log(GUESS @ c)).sum(),
            c + 0.1,
            bounds=[(1e-12, None)] * K,
            options={"ftol": 1e-15, "gtol": 1e-12},
        )
        np.testing.assert_allclose(c, least.x, atol=2e-4 * c.max())


@pytest.fixture
def as_many(monkeypatch):
    """So few counts are read as very many are: as they came."""
    pytest.importorskip("numba")
    monkeypatch.setattr("fusion.data.usable_form.RESIDENT", 0)
    monkeypatch.setattr("fusion.forms.compiled_reading.MANY", 1)


@pytest.mark.parametrize("loss", [Frobenius, Poisson])
def test_counts_that_are_read_as_they_came_add_up_to_the_same(loss, request):
    array = counted(C, S, scan=SCAN)
    slow, _ = settled(loss, array)
    request.getfixturevalue("as_many")
    quick, _ = settled(loss, array.astype("u2"))
    assert quick.sums.fits["a"] == pytest.approx(slow.sums.fits["a"], rel=1e-6)
    np.testing.assert_allclose(quick.rows["C"], slow.rows["C"], atol=1e-4 * slow.rows["C"].max())
    for name, rtol in (("gradient", 5e-4), ("counts", 1e-4), ("bends", 1e-3)):
        one, two = (getattr(made.sums, name) for made in (quick, slow))
        assert set(one) == set(two)
        for each in two:
            np.testing.assert_allclose(one[each], two[each], atol=rtol * abs(two[each]).max())


def test_least_rows_of_counts_read_as_they_came_are_found_without_a_solver(as_many, monkeypatch):
    monkeypatch.setattr("fusion.blocks.work._by_descent", None)
    made, _ = settled(Poisson, counted(C, S, scan=SCAN).astype("u2"))
    assert np.isfinite(made.sums.fits["a"])


@pytest.mark.parametrize(("loss", "array"), [(Frobenius, noisy), (Poisson, counted)])
def test_the_gradient_is_the_slope_of_the_least_loss(loss, array):
    array = array(C, S, scan=SCAN)
    gradient = settled(loss, array)[0].sums.gradient["S"]
    for channel, k in [(2, 0), (9, 1), (15, 2), (16, 0)]:
        ends = []
        for sign in (1, -1):
            moved = GUESS.copy()
            moved[channel, k] += sign * STEP
            ends.append(settled(loss, array, moved)[0].sums.fits["a"])
        slope = (ends[0] - ends[1]) / (2 * STEP)
        assert gradient[channel, k] == pytest.approx(
            slope, rel=1e-4, abs=1e-4 * abs(gradient).max()
        )


def test_sums_of_two_blocks_are_the_sum_of_both():
    array = counted(C, S, scan=SCAN)
    problem = problem_of(Poisson, array)
    flat, shared = array.reshape(20, -1), {"S": torch.from_numpy(GUESS)}
    parts = [slice(0, 20), slice(0, 7), slice(7, 20)]
    whole, one, two = (
        settle(problem, shared, {"a": fu.Dataset("a", flat[p], axes=["pixel", "channel"])}, {}).sums
        for p in parts
    )
    both = one + two
    assert both.fits["a"] == pytest.approx(whole.fits["a"], rel=1e-10)
    for kind in ("gradient", "counts", "bends"):
        mine, theirs = getattr(both, kind)["S"], getattr(whole, kind)["S"]
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6 * abs(theirs).max())


@pytest.mark.parametrize(("kind", "kept"), [("u2", "u2"), ("f4", "f8")])
def test_counts_of_a_block_are_read_as_they_came_however_small_their_blocks(kind, kept):
    pytest.importorskip("numba")
    data = fu.Dataset("a", np.ones((300, 256), kind), signal=1)
    data._passing = True
    form = data.form((300, 256), torch.device("cpu"), torch.float64)
    assert form.array.numpy().dtype == np.dtype(kept)

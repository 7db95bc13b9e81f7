"""`fit(threads=…)`: how many are taken, and that counts do not depend on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from fusion.algebra.threads import asked_threads, limited_threads, threads
from fusion.engine import thread_count
from fusion.losses import L1, Frobenius, Poisson
from fusion.models import NMF
from tests.helpers.planted_pixels import planted


def counts(pixels=500, channels=200, K=3):
    random = np.random.default_rng(0)
    mean = random.gamma(0.5, 1.0, (pixels, K)) @ random.gamma(0.5, 1.0, (K, channels))
    return fu.Dataset("counts", random.poisson(0.4 * mean / mean.mean()))


@pytest.fixture
def large(monkeypatch):
    """Every problem is one that may use several threads."""
    monkeypatch.setattr(thread_count, "SMALL", 1)


@pytest.fixture
def four():
    """Torch as on a machine of four cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def during(loss, model, **options):
    """(threads of torch, our own) at each step."""
    seen = []
    look = lambda step, losses: seen.append((torch.get_num_threads(), threads())) and None  # noqa: E731
    fu.fit(model, loss, starts=1, max_steps=3, progress=False, callback=look, **options)
    return set(seen)


@pytest.mark.parametrize("penalty", [None, 0.01 * L1("C")])
def test_the_fit_of_counts_is_equal_in_every_bit_with_1_2_and_5_threads(
    large, monkeypatch, penalty
):
    monkeypatch.setattr("fusion.likelihood.count_rows.LEAST", 10)
    data = counts()
    loss = Poisson(data) if penalty is None else Poisson(data) + penalty
    one, *others = (
        fu.fit(NMF(data, 3), loss, starts=3, threads=n, progress=False) for n in (1, 2, 5)
    )
    assert one.solver.startswith("RowNewton")
    for other in others:
        assert np.array_equal(other.losses, one.losses)
        for name in ("C", "S"):
            assert np.array_equal(other[name], one[name])


def test_a_small_problem_takes_one_thread_and_a_large_one_what_was_asked_for(four, monkeypatch):
    data = counts()
    assert during(Frobenius(data), NMF(data, 3), threads=2) == {(1, 1)}
    monkeypatch.setattr(thread_count, "SMALL", 1)
    for n in (1, 2, 5):
        assert during(Frobenius(data), NMF(data, 3), threads=n) == {(n, n)}
    assert torch.get_num_threads() == 4
    assert asked_threads() is None


def test_what_is_asked_for_around_a_fit_holds_in_it(large, four):
    data = counts()
    with limited_threads(2):
        assert during(Frobenius(data), NMF(data, 3)) == {(2, 2)}
        assert during(Frobenius(data), NMF(data, 3), threads=3) == {(3, 3)}


@pytest.mark.parametrize("best", [1, 4])
def test_without_a_number_dense_products_say_whether_one_or_all(large, four, monkeypatch, best):
    monkeypatch.setattr("fusion.algebra.threads.cores", lambda: 4)
    asked = []

    def quicker(product, numbers):
        asked.append((tuple(product().shape), numbers))
        return best

    monkeypatch.setattr(thread_count, "quicker", quicker)
    data = fu.Dataset("data", planted()[0])
    assert during(Frobenius(data), NMF(data, 3)) == {(best, best)}
    assert asked == [((data.matrix_shape[1], thread_count.COLUMNS), (4, 1))]


@pytest.mark.parametrize("best", [1, 4])
def test_so_do_passes_over_counts_from_fewer_values_on(four, monkeypatch, best):
    pytest.importorskip("numba")
    monkeypatch.setattr("fusion.algebra.threads.cores", lambda: 4)
    monkeypatch.setattr(thread_count, "FEW", 1)
    asked = []

    def quicker(one_pass, numbers):
        asked.append((float(one_pass()), numbers))
        return best

    monkeypatch.setattr(thread_count, "quicker", quicker)
    data = counts()
    # torch keeps to one, as the factors are small
    assert during(Poisson(data), NMF(data, 3)) == {(1, best)}
    assert [numbers for _, numbers in asked] == [(4, 1)]


@pytest.mark.parametrize("given", [0, -1, 1.5, "2", True])
def test_threads_that_are_no_number_are_refused(given):
    data = counts()
    with pytest.raises(ValueError, match=r"`fit\(threads=.*`: give a whole number of 1 or more"):
        fu.fit(NMF(data, 3), Poisson(data), threads=given)


def test_the_name_of_scikit_learn_is_told_apart():
    data = counts()
    with pytest.raises(TypeError, match="`threads=`"):
        fu.fit(NMF(data, 3), Poisson(data), n_jobs=2)


def test_threads_are_put_back_after_an_error_within_the_fit(large, four):
    data = counts()

    def fails(step, losses):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fu.fit(NMF(data, 3), Poisson(data), threads=2, progress=False, callback=fails)
    assert torch.get_num_threads() == 4

"""Ctrl-C at any evaluation: the best answer so far, with a status that says so."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from benchmarks.trust.interrupts import CASES, Countdown, interrupts
from fusion.engine.status import Status
from fusion.losses import ARD, Frobenius, Gaussian
from fusion.models import NMF
from fusion.search import downhill as search
from fusion.solvers import Watch
from tests.helpers.short_fits import counts

SOLVERS = ["GaussNewton", "HALS", "LBFGS", "Adam", "RowNewton", "counts", "soft orthogonality"]


@pytest.mark.parametrize("name", SOLVERS)
def test_interrupted_at_any_evaluation_a_fit_gives_the_best_so_far(name):
    failures, tried = interrupts(4, [case for case in CASES if case.name == name])
    assert failures == []
    assert tried == 4


def test_moves_and_pruning_that_are_interrupted_leave_the_best_so_far():
    failures, _ = interrupts(5, [case for case in CASES if case.name == "ARD of counts"])
    assert failures == []


def fit(at: int = 0, loss=Frobenius, **options) -> tuple[fu.Result, int]:
    data = fu.Dataset("a", counts())
    model, countdown = NMF(data, 2), Countdown()
    with countdown.over(model, at):
        options = {"starts": 2, "progress": False} | options
        return fu.fit(model, loss(data), **options), countdown.made


def test_before_the_first_step_the_answer_is_the_best_start():
    result, _ = fit(2)
    assert result.status == Status.INTERRUPTED.value
    start, _ = fit(max_steps=0)
    assert result.loss == pytest.approx(start.loss)


def test_interrupted_while_it_is_summarised_a_converged_answer_is_one():
    whole, made = fit()
    result, _ = fit(made)
    assert result.converged
    assert result.loss == whole.loss


def test_interrupted_in_moves_a_converged_start_is_no_answer_yet(monkeypatch):
    def stopped(objective, solver, outcome, watch, steps, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "improve", stopped)
    result, _ = fit(loss=lambda data: Gaussian(data) + ARD("C"))
    assert result.status == Status.INTERRUPTED.value
    assert np.isfinite(result.loss)


def test_a_second_ctrl_c_ends_the_fit():
    def twice():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watch().kept(twice)


def test_ctrl_c_in_a_criterion_of_rank_leaves_that_out(monkeypatch):
    data = fu.Dataset("a", counts())
    monkeypatch.setattr(search, "improve", lambda *a, **o: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.warns(fu.ClaimWarning, match="`rank` was stopped: not asked were ARD; "):
        ranking = fu.rank(data, held_out=False, stability=False)
    assert "ARD" not in [criterion.name for criterion in ranking.criteria]

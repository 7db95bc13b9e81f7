"""The draws of `trust` are told by their number, and its judge hears a wrong answer."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import fusion as fu
from benchmarks.__main__ import main
from benchmarks.trust import commands, files, fits, preparing
from benchmarks.trust.outcome import Steps, judged


def first_answer(start=0):
    return next(n for n in range(start, 200) if fits.outcome(n).verdict == "answer")


def test_a_draw_is_told_by_its_number_alone():
    assert str(fits.draw_fit(137)) == str(fits.draw_fit(137)) != str(fits.draw_fit(138))
    one, two = fits.draw_fit(137).piece.data[0], fits.draw_fit(137).piece.data[0]
    assert np.array_equal(one.x, two.x, equal_nan=True)


def test_every_pair_of_model_and_solver_is_drawn_ten_times_in_a_thousand():
    assert 1000 // len(fits.PAIRS) >= 10


def test_a_few_draws_are_answered_or_refused():
    outcomes = [fits.outcome(number) for number in range(0, 90, 15)]
    assert [o.reason for o in outcomes if o.verdict == "failure"] == []


@pytest.mark.parametrize("kind", [preparing, files, commands], ids=lambda k: k.__name__)
def test_a_few_draws_of_other_kinds_are_answered_or_refused(kind):
    outcomes = [kind.outcome(number) for number in range(0, 300, 60)]
    assert [o.reason for o in outcomes if o.verdict == "failure"] == []


def test_damage_is_told_by_its_number():
    rng = [np.random.default_rng(5) for _ in range(2)]
    assert files.damaged(rng[0], "npz") == files.damaged(rng[1], "npz") != files.whole("npz")


def test_a_wrong_loss_and_a_wrong_factor_are_heard(monkeypatch):
    fit = fits.draw_fit(first_answer())
    assert fit.run(Steps()) == ""
    plain = fu.fit
    monkeypatch.setattr(fu, "fit", lambda *a, **k: _with(plain(*a, **k), lambda x: 1.01 * x + 1))
    assert "by NumPy" in fit.run(Steps())
    monkeypatch.setattr(fu, "fit", lambda *a, **k: _spoiled(plain(*a, **k)))
    assert "is not that of its model" in fit.run(Steps())


def _with(result, change):
    return replace(result, loss=change(result.loss))


def _spoiled(result):
    name = next(iter(result.factors))
    return replace(result, factors={**result.factors, name: 2 * result.factors[name] + 1})


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("ask", "verdict", "reason"),
    [
        (lambda: "", "answer", ""),
        (lambda: "wrong", "failure", "wrong"),
        (lambda: _raise(ValueError("`call`: no")), "failure", "foreign ValueError"),
        (lambda: str(fu.Dataset("a", np.zeros(0))), "refusal", "the array is empty"),
        (lambda: warnings.warn("by zero", RuntimeWarning, stacklevel=2) or "", "failure", "leaks"),
    ],
)
def test_foreign_errors_and_warnings_are_failures(ask, verdict, reason):
    made = judged(0, "", ask)
    assert made.verdict == verdict
    assert reason in made.reason


def test_an_error_after_a_step_is_a_failure():
    made = judged(0, "", lambda: str(fu.Dataset("a", np.zeros(0))), Steps(made=3))
    assert made.verdict == "failure"
    assert made.reason.startswith("after 3 steps")


def test_one_draw_can_be_made_again(capsys):
    assert main(["trust", "--size", "small", "--draw", "fits:137"]) == 0
    assert "fits 137: " in capsys.readouterr().out

"""What is said while one waits: on one line, from the outermost step to the innermost."""

from __future__ import annotations

import io
import logging

import numpy as np
import pytest

import fusion as fu
from fusion.algebra import waiting as module
from fusion.algebra.waiting import waiting


@pytest.fixture
def lines(caplog, monkeypatch):
    """The log, with a line at every word."""
    monkeypatch.setattr(module, "SELDOM", 0.0)
    caplog.set_level(logging.INFO, logger="fusion")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def data():
    return fu.Dataset("a", np.random.default_rng(0).poisson(5.0, (12, 14, 40)))


def test_a_step_within_another_speaks_on_its_line(lines):
    with waiting("rank") as outer:
        outer.say("held-out entries", 3, 8)
        with waiting("fit", progress=False) as inner:
            inner.say(lambda: "race of 10 starts, 3 left")
        outer.say("ARD", 7, 8)
    first, second, last = lines()
    assert first == "rank 4 of 8: held-out entries (0 s)"
    assert second == "rank 4 of 8: held-out entries; fit: race of 10 starts, 3 left (0 s)"
    assert last == "rank 8 of 8: ARD (0 s)"


def test_nothing_is_said_where_the_outermost_step_is_quiet(lines):
    with waiting("rank", progress=False) as outer, waiting("fit") as inner:
        outer.say("a")
        inner.say(lambda: pytest.fail("asked"))
    assert lines() == []


def test_a_log_has_a_line_every_half_minute(caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="fusion")
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with waiting("fit") as step:
        for clock[0] in np.arange(0, 95, 0.5):
            step.say("race")
    assert [r.getMessage() for r in caplog.records] == [
        "fit: race (30 s)", "fit: race (60 s)", "fit: race (2 min)"
    ]  # fmt: skip


def test_a_terminal_is_silent_for_two_seconds_and_clean_afterwards(monkeypatch, caplog):
    screen, clock = io.StringIO(), [0.0]
    screen.isatty = lambda: True
    monkeypatch.setattr(module.sys, "stderr", screen)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with waiting("fit") as step:
        for clock[0] in (0.5, 1.0, 1.9):
            step.say("race")
        assert screen.getvalue() == ""
        for clock[0] in (2.1, 2.2, 2.5):
            step.say("race")
        assert "fit: race (2 s)" in screen.getvalue()
    assert screen.getvalue().split("\r")[-1].strip() == ""
    assert not caplog.records


def test_a_fit_says_its_phase_the_starts_left_and_how_far_the_loss_falls(lines, data):
    fu.fit(fu.models.NMF(data, 3), fu.losses.Frobenius(data), starts=10, seed=0)
    said = lines()
    assert said[0].startswith("fit: reads the data")
    assert any("race of 10 starts, 10 left, step 1" in line for line in said)
    assert any("race of 10 starts, 3 left" in line and "falls " in line for line in said)


def test_a_rank_names_every_criterion_and_an_ambiguity_its_pulls(lines, data):
    fu.rank(data, stability=False, ard=False)
    assert "rank 6 of 6: held-out entries (0 s)" in lines()
    result = fu.fit(fu.models.NMF(data, 2), fu.losses.Poisson(data), starts=1, progress=False)
    fu.ambiguity(result)
    assert any("ambiguity: pulls, " in line for line in lines())


def test_a_rank_that_is_stopped_gives_the_criteria_that_are_known(data, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fusion.ranking.cross_validation.held_out", interrupt)
    with pytest.warns(fu.ClaimWarning, match="not asked were held-out entries, ARD; the recomm"):
        ranking = fu.rank(data, stability=False, progress=False)
    whole = fu.rank(data, stability=False, ard=False, held_out=False, progress=False)
    assert [c.name for c in ranking.criteria] == [c.name for c in whole.criteria]
    assert ranking.recommended == whole.recommended


def test_an_ambiguity_that_is_stopped_gives_the_answers_found(data, monkeypatch):
    from fusion.uncertainty.extreme_answers import BandSearch

    result = fu.fit(fu.models.NMF(data, 2), fu.losses.Poisson(data), starts=1, progress=False)
    monkeypatch.setattr(BandSearch, "run", _stopped(BandSearch.run))
    with pytest.warns(fu.ClaimWarning, match="at least so wide"):
        found = fu.ambiguity(result, progress=False)
    assert len(found.solutions) >= 1


def _stopped(run):
    def stopped(self):
        start = self.objective.current()
        nothing = start.new_zeros(1, len(self.term.mixes))
        self.down.descend(start, nothing, start.new_full((1, 1), self.allowed))
        raise KeyboardInterrupt

    return stopped

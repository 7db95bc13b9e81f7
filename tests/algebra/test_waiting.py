"""What is said while one waits: on one line, from the outermost step to the innermost."""

from __future__ import annotations

import inspect
import io
import logging
import threading

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


def test_one_long_call_of_another_package_is_told_of(monkeypatch):
    screen, written = io.StringIO(), threading.Event()
    screen.isatty = lambda: True
    write = screen.write
    monkeypatch.setattr(screen, "write", lambda text: (write(text), written.set())[0])
    monkeypatch.setattr(module.sys, "stderr", screen)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    monkeypatch.setattr(module, "OFTEN", 0.01)
    with waiting("load") as step:
        step.say("map.dm4")
        written.clear()
        assert written.wait(30)  # without another word
    assert "load: map.dm4" in screen.getvalue()


def test_another_thread_never_asks_what_is_at_work_for_its_words(monkeypatch, caplog):
    monkeypatch.setattr(module, "SELDOM", 0.0)
    monkeypatch.setattr(module, "OFTEN", 0.01)
    caplog.set_level(logging.INFO, logger="fusion")
    asked = set()

    def words():
        asked.add(threading.current_thread())
        return "descent"

    with waiting("fit") as step:
        step.say(words)
        before = len(caplog.records)
        while len(caplog.records) < before + 2:
            threading.Event().wait(0.01)
    assert asked == {threading.current_thread()}
    assert caplog.records[-1].getMessage() == "fit: descent (0 s)"


def test_no_thread_is_left_and_none_is_begun_where_nobody_listens():
    before = threading.active_count()
    with waiting("fit"):
        assert threading.active_count() == before


LONG = {
    "functions": (fu.fit, fu.rank, fu.ambiguity, fu.standard_errors, fu.report, fu.load, fu.mlls,
                  fu.detectability, fu.separate_fixed_pattern, fu.separate_moving_spectrum,
                  fu.prepare.drifts, fu.elements.composition),
    "a data set": tuple(
        getattr(fu.Dataset, name)
        for name in ("sum", "mean", "bin", "subtract_background", "remove_spikes", "align",
                     "estimate_variance", "denoise", "noise", "summary", "save")
    ),
    "a result": tuple(getattr(fu.Result, name) for name in ("errors", "composition", "report")),
}  # fmt: skip


@pytest.mark.parametrize("of", LONG)
def test_what_may_take_seconds_has_the_option_and_tells_of_it(of):
    for function in LONG[of]:
        option = inspect.signature(function).parameters["progress"]
        assert option.default is True, function
        assert option.kind is option.KEYWORD_ONLY, function
        assert "progress" in (function.__doc__ or "") or function is fu.Result.errors, function


SHORT = {
    "noise": lambda data, path, **o: data.noise(**o),
    "denoise": lambda data, path, **o: data.denoise(2, **o),
    "estimate_variance": lambda data, path, **o: data.estimate_variance(**o),
    "sum": lambda data, path, **o: data.sum(**o),
    "bin": lambda data, path, **o: data.bin(y=2, **o),
    "save": lambda data, path, **o: data.save(path / "b.npz", **o),
    "remove_spikes": lambda data, path, **o: data.remove_spikes(**o),
    "summary": lambda data, path, **o: data.summary(**o),
    "load: a.npz": lambda data, path, **o: fu.load(path / "a.npz", **o),
    "load 2 of 2: a.npz": lambda data, path, **o: fu.load([path / "a.npz"] * 2, **o),
    "mlls": lambda data, path, **o: fu.mlls(data, {"flat": np.ones(40)}, **o),
    "detectability": lambda data, path, **o: fu.detectability(data, np.arange(40), 0.1, **o),
}  # fmt: skip


@pytest.mark.parametrize("name", SHORT)
def test_every_long_step_says_its_name_or_nothing_at_all(name, data, tmp_path, monkeypatch):
    data.save(tmp_path / "a.npz", progress=False)
    lines = []
    begin = module.Step.__init__

    def begun(self, waiting, word):
        begin(self, waiting, word)
        lines.append((word, waiting.shown))

    def say(self, now, done=0, total=0):
        self.now, self.part = now, (done, total)
        lines.append((self.words(), self.waiting.shown))

    monkeypatch.setattr(module.Step, "__init__", begun)
    monkeypatch.setattr(module.Step, "say", say)
    SHORT[name](data, tmp_path)
    assert (name, True) in lines
    lines.clear()
    SHORT[name](data, tmp_path, progress=False)
    assert lines
    assert not any(shown for _, shown in lines)


def test_what_ctrl_c_ends_says_what_it_was_and_leaves_no_file(data, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        data.save(tmp_path / "a.npz")
    assert caught.value.__notes__ == ["`save` was stopped before its end: nothing of it is kept."]
    assert list(tmp_path.iterdir()) == []


def test_a_composition_whose_errors_are_stopped_takes_those_of_the_lines(monkeypatch):
    from fusion.simulate import concurrent

    edxs = concurrent(shape=(6, 8), channels=60).datasets["edxs"]
    model = fu.models.NMF(edxs, K=2)
    result = fu.fit(model, fu.losses.Frobenius(edxs), starts=1, progress=False)
    lines = {"Si Ka": 1.0, "Al Ka": 1.0}

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("fusion.uncertainty.standard_errors.standard_errors", interrupt)
    found = result.composition(lines, progress=False)
    assert any("errors of S were stopped" in text for text in found.messages)
    assert np.isfinite(found.atomic_errors[np.isfinite(found.atomic)]).all()


def test_an_unmixer_is_told_to_be_quiet(data, lines):
    pytest.importorskip("sklearn")
    from fusion.estimators import Unmixer

    X = data.numpy().reshape(-1, 40)
    Unmixer(2, starts=1, max_steps=3, progress=False).fit(X)
    assert lines() == []
    Unmixer(2, starts=1, max_steps=3).fit(X)
    assert lines()[0].startswith("Unmixer; fit: reads the data")

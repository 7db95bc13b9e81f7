"""The benchmarks run at their small size and reach the same losses; nothing is timed here."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

import fusion as fu
from benchmarks import generators, likelihood, looking, methods
from benchmarks.__main__ import CASES, main
from benchmarks.cases import Options
from benchmarks.machine import Rates

SMALL = Options(full=False, seeds=1, rates=Rates(1e9, 1e9, 1e9, 1e9), give_up=0.5)
METHODS = {
    "nmf": methods.FOR_MATRIX,
    "separate": methods.FOR_MATRIX,
    "poisson": methods.FOR_COUNTS,
    "cpd": methods.FOR_POLYADIC,
    "tucker": methods.FOR_CORE,
    "joint": methods.LOOPS,
}


@pytest.mark.parametrize("name", METHODS)
def test_ours_is_within_a_thousandth_of_the_best_and_every_method_has_a_line(name):
    report = CASES[name](SMALL)
    ours, best = report.losses[methods.OURS.name], min(report.losses.values())
    assert np.isfinite(list(report.losses.values())).all()
    assert ours <= best + 1e-3 * abs(best)
    expected = [methods.OURS, *SMALL.chosen(METHODS[name])]
    assert [row[0] for row in report.rows] == [method.name for method in expected]


def test_ten_starts_together_are_as_good_as_ten_fits():
    losses = CASES["starts"](SMALL).losses
    assert losses["ten starts"] <= losses["ten fits of one start"] * (1 + 1e-3)
    assert losses["ten starts"] <= losses["one start"] * (1 + 1e-3)


def test_growth_and_memory_have_a_line_for_every_size():
    assert len(CASES["growth"](SMALL).rows) == 6
    assert len(CASES["memory"](SMALL).rows) == 1


def test_looking_has_a_line_for_every_kind_of_data_and_no_action_fails(monkeypatch):
    monkeypatch.delitem(looking.ACTIONS, "rank")  # half a minute; tests/ranking has it
    for name, value in {"CHANNELS": 512, "WIDTH": 64, "BYTES": 2.5e5}.items():
        monkeypatch.setattr(looking, name, value)
    rows = CASES["looking"](SMALL).rows
    assert [row[0] for row in rows] == ["dense, 4 MB", "lazy, 4 MB", "sparse, 4 MB"]
    told = {cell for row in rows[:2] for cell in row[1:]} | set(rows[2][1:])
    assert not [cell for cell in told if cell.startswith("failed")]


def test_a_peer_that_is_not_installed_is_skipped_with_a_line(monkeypatch, capsys):
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    assert SMALL.chosen(methods.FOR_POLYADIC) == list(methods.LOOPS)
    assert capsys.readouterr().err == "tensorly HALS: skipped: tensorly is not installed\n"


def test_the_command_writes_what_it_prints_and_skips_real_data_that_are_not_given(tmp_path, capsys):
    file = tmp_path / "table.md"
    main(
        [
            "joint",
            "gpa88",
            "background",
            "--size",
            "small",
            "--peers",
            "none",
            "--markdown",
            str(file),
        ]
    )
    printed = capsys.readouterr().out
    assert file.read_text(encoding="utf-8").splitlines() == printed.strip().splitlines()
    assert printed.count("skipped: real data: give their folder with --data FOLDER") == 2
    assert "| sdfusion" in printed
    assert "Adam" not in printed


@pytest.mark.parametrize("chunk", [1, 7, 1 << 22])
def test_the_common_losses_equal_the_formulas(monkeypatch, chunk):
    monkeypatch.setattr(likelihood, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    L, R, v = rng.random((9, 2)), rng.random((5, 2)), rng.random(5)
    X, M = rng.poisson(1.0, (9, 5)).astype(np.float32), L @ R.T
    assert likelihood.half_squares(X, L, R) == pytest.approx(0.5 * np.sum((X - M) ** 2))
    assert likelihood.half_squares(X, L, R, v) == pytest.approx(0.5 * np.sum((X - M) ** 2 / v))
    direct = np.sum(M - X * np.log(M))
    assert likelihood.poisson(csr_matrix(X), L, R) == pytest.approx(direct)
    assert likelihood.poisson(csr_matrix(X), 0 * L, R) == np.inf


def test_this_software_and_a_user_of_torch_minimise_the_loss_that_judges():
    problems = (
        generators.nmf(24, 12, 2, 0),
        generators.poisson(24, 12, 2, 0, counts=0.5),
        generators.cpd((5, 6, 7), 2, 0),
        generators.tucker((5, 6, 7), (2, 2, 2), 0),
        generators.joint(24, (12, 10), 2, 0),
    )
    for problem in problems:
        model, loss = problem.ours()
        found = fu.fit(model, loss, init=[problem.start], starts=1, max_steps=2, progress=False)
        after, before = problem.loss(found.factors), problem.loss(problem.start)
        assert found.loss == pytest.approx(after, rel=1e-5), problem.title
        written = [
            float(problem.written()({n: tensor(v, problem.dtype) for n, v in factors.items()}))
            for factors in (found.factors, problem.start)
        ]
        assert written[0] / written[1] == pytest.approx(after / before, rel=1e-4), problem.title


def tensor(value, dtype):
    return torch.from_numpy(value.astype(dtype))


def test_collinear_factors_have_the_cosines_that_were_asked_for():
    columns = generators.unit(generators.collinear(np.random.default_rng(0), 100, 5))
    assert 0.9 <= (columns.T @ columns).min() < 0.95

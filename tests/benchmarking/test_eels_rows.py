"""The rows of `benchmarks.science.eels` measure what they say, on a small pair."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.science import eels, eels_other_rows, eels_rows, rows
from benchmarks.science.eels_cases import Runs
from fusion.simulate import dual_eels

SHAPE = (8, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file like the shared one: gain 1, no noise of readout."""
    scene = dual_eels(shape=SHAPE, channels=120, seed=4)
    core, low = scene.datasets["core"], scene.datasets["low"]
    S = scene.truth["S"].T
    norms = np.linalg.norm(S, axis=1)
    made = {
        "energy": core.channels[0].values,
        "low_energy": low.channels[0].values,
        "core": core.data,
        "low": low.data,
        "S": S / norms[:, None],
        "C": (scene.truth["C"] * norms).T.reshape(3, *SHAPE),
        "t_over_lambda": scene.truth["t/λ"].reshape(SHAPE),
        "gain": 1.0,
        "readout": 0.0,
        "pixel_nm": 0.5,
    }
    path = tmp_path_factory.mktemp("data")
    (path / "physics_cases").mkdir()
    np.savez(path / "physics_cases/dual_eels.npz", **made)
    return path


@pytest.fixture(scope="module")
def runs(folder):
    return Runs(folder, 1)


def test_truth_is_in_the_units_of_the_core_loss(runs):
    pair = runs.fine
    found = eels_rows.least_squares(pair, pair.S)
    assert eels_rows.relative_rms(found, pair.C) < 0.1
    np.testing.assert_allclose(np.linalg.norm(runs.coarse.S, axis=0), 1)
    coarse = eels_rows.least_squares(runs.coarse, runs.coarse.S)
    assert eels_rows.relative_rms(coarse, runs.coarse.C) < 0.15


def test_rows_pass_and_fail_by_their_bars(runs, monkeypatch):
    assert eels_rows.thickness(runs)[1] is True
    assert eels_other_rows.convolve(runs)[1] is True
    assert "×" in eels_rows.maps(runs)[0]
    monkeypatch.setattr(eels_rows, "BAR", 0.0)
    assert eels_rows.default(runs)[1] is False


def test_draws_are_of_the_truth(runs):
    pair = eels_other_rows.runs_drawn(runs)(0)
    X = pair.core.matrix.double().numpy()
    expected = runs.coarse.core.matrix.double().numpy()
    assert np.sqrt(np.mean((X - expected) ** 2 / expected)) == pytest.approx(np.sqrt(2), rel=0.15)


def test_a_row_that_raises_is_missed_with_its_words(folder, capsys):
    row = eels.Row("broken", "what", "bar", lambda runs: runs.nothing)
    line = rows.measured(row, Runs(folder, 1))
    assert line.passed is False
    assert line.measured.startswith("AttributeError: 'Runs' object has no attribute 'nothing'")
    assert eels.CASE.main([str(folder), "convolve"]) == 0
    assert "| yes |" in capsys.readouterr().out


def test_without_exspy_the_row_beside_it_is_not_run(runs, monkeypatch):
    monkeypatch.setattr(eels_other_rows, "find_spec", lambda name: None)
    said, passed = eels_other_rows.fourier_ratio(runs)
    assert passed is None
    assert "pip install" in said

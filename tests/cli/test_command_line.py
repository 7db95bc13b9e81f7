"""The command line: what it writes, and one line for everything that is wrong."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.cli import main
from fusion.cli.windows import enclosing_window
from fusion.simulate import layers
from tests.helpers.commands import fails, run
from tests.helpers.undrawn import draw_no_picture

WRITTEN = ["figure.png", "report.html", "result.npz", "spectra.csv", "summary.txt"]


@pytest.mark.parametrize(
    "loss", [pytest.param("auto", marks=pytest.mark.drawn), "frobenius", "gaussian", "poisson"]
)
def test_unmix_writes_five_files_and_prints_the_summary(file, tmp_path, capsys, loss):
    folder = tmp_path / "new" / "answer"
    assert run("unmix", file, "-k", 2, "-o", folder, "--starts", 2, "--loss", loss) == 0
    assert sorted(p.name for p in folder.iterdir()) == WRITTEN
    result = fu.Result.load(folder / "result.npz")
    assert result["C"].shape == (30, 2)
    assert result.axes["S"][0][0].label == "energy (eV)"
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert result.summary() in capsys.readouterr().out
    text = (folder / "summary.txt").read_text()
    assert f"data: {'poisson' if loss in ('auto', 'poisson') else 'gaussian'}" in text
    rows = list(csv.reader((folder / "spectra.csv").read_text().splitlines()))
    assert rows[0] == ["S: energy (eV)", "S 1", "S 2"]
    np.testing.assert_allclose(np.array(rows[1:], float)[:, 1:], result["S"])


def test_json_is_the_only_thing_on_standard_output_and_quiet_says_nothing(file, tmp_path, capsys):
    tail = ("-k", 2, "-o", tmp_path / "out", "--starts", 2)
    assert run("unmix", file, *tail, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_components"] == 2
    assert len(told["starts"]) == 2
    assert told["data_sets"][0]["noise"] == "poisson"
    assert told["data_sets"][0]["shape"] == [5, 6, 12]
    assert told["data_sets"][0]["explained_variance"] > 0.9
    assert run("unmix", file, *tail, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_energies_bins_and_masks_are_applied_and_told(file, tmp_path, capsys):
    mask = np.zeros((5, 6), bool)
    mask[1, 2] = True
    np.save(tmp_path / "mask.npy", mask)
    options = ("--energy", "92:101", "--bin", "2", "--mask", tmp_path / "mask.npy")
    tail = ("-k", 2, "-o", tmp_path / "out", "--starts", 1, "--json")
    assert run("unmix", file, *options, *tail) == 0
    assert json.loads(capsys.readouterr().out)["data_sets"][0]["shape"] == [5, 6, 5]
    text = (tmp_path / "out" / "summary.txt").read_text()
    assert "crop(energy=(92.0, 101.0))" in text
    assert "bin(energy=2)" in text
    assert "1 of 30 left out" in text
    assert np.isnan(fu.Result.load(tmp_path / "out" / "result.npz")["C"][8]).all()


def test_orthogonality_and_ard_enter_the_formula(file, tmp_path, capsys):
    options = ("--orthogonality", 0.01, "--ard", "--starts", 1, "--variance", "estimate")
    assert run("unmix", file, "-k", 3, "-o", tmp_path / "out", *options) == 0
    said = capsys.readouterr().out
    assert "/σ‖²" in said
    assert "0.01" in said
    assert "ln(" in said


def test_warnings_stand_in_the_summary(tmp_path, capsys):
    scene = layers(shape=(12, 14), channels=80)
    counts = 4.0 * np.random.default_rng(0).poisson(scene.datasets["counts"].numpy() / 4)
    blurred = counts[..., :-2] / 4 + counts[..., 1:-1] / 2 + counts[..., 2:] / 4
    np.savez(tmp_path / "a.npz", data=blurred)
    tail = ("-k", 2, "-o", tmp_path / "out", "--starts", 1, "--variance", "estimate")
    assert run("unmix", tmp_path / "a.npz", *tail) == 0
    said = capsys.readouterr()
    assert "warning: " in said.out
    assert said.err == ""
    assert "correlated" in (tmp_path / "out" / "summary.txt").read_text()


def test_a_device_that_is_not_there_is_named_in_one_line(file, tmp_path, capsys):
    tail = ("-k", 2, "-o", tmp_path / "out", "--device", "meta:x")
    assert "--device meta:x" in fails(capsys, "unmix", file, *tail)


def test_a_background_window_may_lie_outside_the_energies_of_the_fit(tmp_path):
    scene = layers(shape=(8, 9), channels=60).datasets["counts"]
    energy = scene.channels[0].values
    np.savez(tmp_path / "m.npz", data=scene.numpy(), energy=energy, energy_units="eV")
    chosen = ["--energy", "100:130", "--background-window", "85:98", "--variance", "estimate"]
    assert run("unmix", tmp_path / "m.npz", "-k", 2, *chosen, "-o", tmp_path, "--starts", 1) == 0
    told = fu.Result.load(tmp_path / "result.npz").data["data"]
    assert told.axes[-1].values.min() >= 100
    assert told.axes[-1].values.max() <= 130
    steps = [step.split("(")[0] for step in told.history]
    assert steps[0] == steps[-1] == "crop"
    assert steps[-2] == "subtract_background"


@pytest.mark.parametrize(
    ("wanted", "window", "needed"),
    [
        ((None, None), (85.0, 98.0), (85.0, None)),
        ((100.0, 130.0), (85.0, 98.0), (85.0, 130.0)),
        ((100.0, None), (85.0, 98.0), (85.0, None)),
        ((90.0, 130.0), (95.0, 98.0), (90.0, 130.0)),
        ((100.0, 130.0), (None, 98.0), (None, 130.0)),
    ],
)
def test_what_is_read_holds_the_window_and_the_energies(wanted, window, needed):
    assert enclosing_window(wanted, window) == needed


def test_variance_may_be_a_number_or_a_file(file, tmp_path, capsys):
    read = ["unmix", file, "--signal", "data", "-k", 2, "--starts", 1, "-o", tmp_path / "a"]
    assert run(*read, "--variance", "4") == 0
    four = fu.Result.load(tmp_path / "a" / "result.npz")
    np.save(tmp_path / "v.npy", np.full(12, 4.0))
    assert run(*read, "--variance", tmp_path / "v.npy") == 0
    assert fu.Result.load(tmp_path / "a" / "result.npz").loss == pytest.approx(four.loss)
    assert "½" in four.formula
    capsys.readouterr()
    assert "-1" in fails(capsys, *read, "--variance", "-1")
    assert "no such file" in fails(capsys, *read, "--variance", "estmate")


@pytest.mark.drawn
@pytest.mark.slow
def test_the_demo_shows_that_together_is_better_than_alone(tmp_path, capsys):
    assert run("demo", "-o", tmp_path / "demo", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["worst_angle_joint_deg"] < 5
    assert told["worst_angle_alone_deg"] > 2 * told["worst_angle_joint_deg"]
    assert sorted(p.name for p in (tmp_path / "demo").iterdir()) == WRITTEN


def test_the_same_seed_gives_the_same_answer(file, tmp_path):
    for name in ("a", "b"):
        tail = ("--starts", 2, "--seed", 5, "--quiet")
        assert run("unmix", file, "-k", 2, "-o", tmp_path / name, *tail) == 0
    a, b = (fu.Result.load(tmp_path / name / "result.npz") for name in ("a", "b"))
    np.testing.assert_array_equal(a["C"], b["C"])


def test_several_arrays_are_listed_and_one_can_be_chosen(tmp_path, cube, capsys):
    path, out = tmp_path / "a.npz", tmp_path / "out"
    np.savez(path, eels=cube, edxs=cube)
    said = fails(capsys, "unmix", path, "-k", 1, "-o", out, lines=3)
    assert '--signal "eels"  5 × 6 × 12 map' in said
    assert '--signal "edxs"  5 × 6 × 12 map' in said
    assert not out.exists()
    assert "no data set 'adf'" in fails(
        capsys, "unmix", path, "-k", 1, "-o", out, "--signal", "adf"
    )
    tail = ("-o", out, "--starts", 1, "--signal", "edxs", "--quiet")
    assert run("unmix", path, "-k", 1, *tail) == 0


def test_bad_files_and_windows_and_bins_are_named_in_one_line(file, tmp_path, cube, capsys):
    tail = ("-k", 2, "-o", tmp_path / "out")
    assert "no such file" in fails(capsys, "unmix", tmp_path / "none.npz", *tail)
    assert "is a folder" in fails(capsys, "unmix", tmp_path, *tail)
    assert "runs from 90 to 101 eV" in fails(capsys, "unmix", file, *tail, "--energy", "200:300")
    assert "do not divide by 5" in fails(capsys, "unmix", file, *tail, "--bin", "5")
    np.save(tmp_path / "mask.npy", np.zeros((6, 5), bool))
    said = fails(capsys, "unmix", file, *tail, "--mask", tmp_path / "mask.npy", status=2)
    assert "mask of shape (6, 5)" in said
    assert "K must be a whole number from 1 to 12" in fails(
        capsys, "unmix", file, "-k", 13, "-o", tmp_path / "out"
    )
    np.savez(tmp_path / "net.npz", data=cube - 5.0)
    said = fails(capsys, "unmix", tmp_path / "net.npz", *tail, "--loss", "poisson")
    assert "negative" in said
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_named_in_one_line(file, tmp_path, capsys):
    file.write_bytes(file.read_bytes()[:500])
    assert "npz" in fails(capsys, "unmix", file, "-k", 2, "-o", tmp_path / "out")


@pytest.mark.parametrize(
    "options",
    [
        ["-k", "0"],
        ["-k", "two"],
        ["-k", "2", "--starts", "0"],
        ["-k", "2", "--loss", "l1"],
        ["-k", "2", "--energy", "a:b"],
        ["-k", "2", "--bin", "x=1.5"],
        [],
    ],
)
def test_wrong_options_leave_with_status_2(file, tmp_path, capsys, options):
    fails(capsys, "unmix", file, "-o", tmp_path / "out", *options, status=2)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named_before_the_fit(file, tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert "is a file" in fails(capsys, "unmix", file, "-k", 1, "-o", tmp_path / "taken")
    fails(capsys, "unmix", file, "-k", 1, "-o", tmp_path / "taken" / "below")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if not os.access(locked, os.W_OK):  # root may write anywhere
        assert "locked" in fails(capsys, "unmix", file, "-k", 1, "-o", locked)


def test_a_failing_figure_leaves_no_half_file(file, tmp_path, monkeypatch, capsys):
    def broken(self, **options):
        raise OSError("disk full")

    monkeypatch.setattr(fu.Result, "plot", broken)
    out = tmp_path / "out"
    assert run("unmix", file, "-k", 1, "-o", out, "--starts", 1, "--quiet") == 1
    assert [p.name for p in out.iterdir() if p.suffix == ".part" or p.name == "figure.png"] == []
    assert "disk full" in capsys.readouterr().err


def test_help_tells_of_every_command(capsys):
    assert run("--help") == 0
    said = capsys.readouterr().out
    for command in ("demo", "info", "unmix", "fuse", "plot"):
        assert f"sdfusion {command}" in said


@pytest.mark.parametrize(
    "options",
    [
        ["--mask", "cut.npz"],
        ["--mask", "empty.npy"],
        ["--max-seconds", "nan"],
        ["--variance", "haadf=25"],
    ],
)
def test_what_is_damaged_or_no_number_is_told_in_a_line(two, options, capsys):
    assert main(["unmix", "two.npz", "--signal", "eels", "-k", "2", *options]) in (1, 2)
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said


@pytest.mark.drawn
def test_a_fit_that_did_not_converge_leaves_with_status_3(two, capsys, monkeypatch):
    draw_no_picture(monkeypatch)
    options = ["-k", "2", "--max-seconds", "1e-6", "-o", "out", "--quiet"]
    assert main(["unmix", "two.npz", "--signal", "eels", *options]) == 3
    told = Path("out/summary.txt").read_text(encoding="utf-8")
    assert told.startswith("NOT CONVERGED")
    assert "not an answer" in told
    assert 'class="verdict bad"' in Path("out/report.html").read_text(encoding="utf-8")

"""The command line: what it writes, and one line for everything that is wrong."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.cli import main
from fusion.cli.windows import enclosing_window
from fusion.simulate import layers

WRITTEN = ["figure.png", "report.html", "result.npz", "spectra.csv", "summary.txt"]


@pytest.fixture
def cube() -> np.ndarray:
    rng = np.random.default_rng(0)
    cube = rng.gamma(1, 1, (30, 2)) @ rng.gamma(1, 1, (12, 2)).T
    return rng.poisson(20 * cube).reshape(5, 6, 12)


@pytest.fixture
def file(tmp_path, cube):
    path = tmp_path / "map.npz"
    np.savez(path, data=cube, other=cube, energy=np.linspace(90, 101, 12), energy_units="eV")
    return path


def run(*arguments) -> int:
    return main([str(a) for a in arguments])


def fails(capsys, *arguments, status: int = 1, lines: int = 1) -> str:
    """The one line that a failing call writes; one more for each of several choices."""
    assert run(*arguments) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == lines
    return said.err


@pytest.mark.parametrize("loss", ["auto", "frobenius", "gaussian", "poisson"])
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


def test_plot_makes_a_page_of_a_saved_answer_and_says_what_is_missing(
    file, tmp_path, capsys, monkeypatch
):
    assert run("unmix", file, "-k", 2, "-o", tmp_path, "--starts", 2, "--quiet") == 0
    assert "not at hand" not in (tmp_path / "report.html").read_text()
    assert run("plot", tmp_path / "result.npz", "-o", tmp_path / "page.html") == 0
    assert "not at hand" in (tmp_path / "page.html").read_text()
    monkeypatch.setitem(sys.modules, "bokeh", None)
    monkeypatch.setattr("fusion.cli.output.find_spec", lambda name: None)
    told = fails(capsys, "plot", tmp_path / "result.npz", "-o", tmp_path / "page.html")
    assert 'pip install "sdfusion[report]"' in told
    assert run("unmix", file, "-k", 2, "-o", tmp_path / "b", "--starts", 2) == 0
    assert 'pip install "sdfusion[report]"' in capsys.readouterr().out
    assert not (tmp_path / "b" / "report.html").exists()


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


def test_fuse_shares_spectra_between_files_and_maps_within_one(file, tmp_path, cube, capsys):
    np.savez(tmp_path / "b.npz", data=cube[:3], energy=np.linspace(90, 101, 12), energy_units="eV")
    tail = ("-k", 2, "-o", tmp_path / "out", "--starts", 1, "--json")
    assert run("fuse", file, tmp_path / "b.npz", "--share", "spectra", *tail) == 0
    told = json.loads(capsys.readouterr().out)
    assert [d["name"] for d in told["data_sets"]] == ["map", "b"]
    np.savez(tmp_path / "two.npz", eels=cube, edxs=cube[..., :7])
    assert run("fuse", tmp_path / "two.npz", *tail) == 0
    told = json.loads(capsys.readouterr().out)
    assert [d["name"] for d in told["data_sets"]] == ["eels", "edxs"]
    with_other = ("fuse", file, tmp_path / "b.npz", "--share", "maps", "-k", 2)
    assert "pixels" in fails(capsys, *with_other, "-o", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_of_several_signals_some_can_be_fused_and_images_are_left_as_they_are(
    tmp_path, cube, capsys
):
    np.savez(tmp_path / "a.npz", eels=cube, edxs=cube[..., :8], more=cube)
    tail = ("-k", 2, "-o", tmp_path / "out", "--starts", 1, "--json", "--bin", 2)
    assert run("fuse", tmp_path / "a.npz", "--signal", "edxs", "--signal", "eels", *tail) == 0
    told = json.loads(capsys.readouterr().out)["data_sets"]
    assert [(d["name"], d["shape"][-1]) for d in told] == [("edxs", 4), ("eels", 6)]
    asked = ("fuse", tmp_path / "a.npz", "--signal", "adf", *tail)
    assert "no data set 'adf'" in fails(capsys, *asked)
    asked = ("unmix", tmp_path / "a.npz", "--signal", "eels", "--signal", "edxs", *tail)
    assert "2 names for 1 file" in fails(capsys, *asked, status=2)


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


def test_info_describes_every_data_set(file, tmp_path, cube, capsys):
    assert run("info", file) == 0
    said = capsys.readouterr().out
    assert "5 × 6 × 12" in said
    assert "90 to 101 eV" in said
    np.savez(tmp_path / "two.npz", eels=cube, edxs=cube[..., :7])
    assert run("info", tmp_path / "two.npz", "--json") == 0
    assert [d["name"] for d in json.loads(capsys.readouterr().out)] == ["eels", "edxs"]


def test_plot_draws_the_data_of_a_file(file, tmp_path, cube, capsys):
    assert run("plot", file, "--signal", "data", "-o", tmp_path / "a.png") == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    np.savez(tmp_path / "two.npz", eels=cube, edxs=cube)
    said = fails(capsys, "plot", tmp_path / "two.npz", "-o", tmp_path / "b.png", lines=3)
    assert "edxs" in said  # which of the two?
    assert not (tmp_path / "b.png").exists()


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


def test_plot_draws_an_answer_again(file, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("unmix", file, "-k", 2, "-o", out, "--starts", 1, "--quiet") == 0
    assert run("plot", out / "result.npz", "-o", tmp_path / "a.pdf") == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert ".png, .pdf or .svg" in fails(
        capsys, "plot", out / "result.npz", "-o", tmp_path / "a.doc", status=2
    )


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
    assert "K must be 1 to 12" in fails(capsys, "unmix", file, "-k", 13, "-o", tmp_path / "out")
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


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two data sets in one file, and files that are none."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.savez("two.npz", eels=random.poisson(5.0, (6, 7, 30)), eds=random.poisson(5.0, (6, 7, 30)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:-200])
    (tmp_path / "empty.npy").write_bytes(b"")


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


def test_a_data_set_that_is_named_twice_is_refused(two, capsys):
    assert main(["fuse", "two.npz", "--signal", "eels", "--signal", "eels", "-k", "2"]) == 2
    assert "once" in capsys.readouterr().err


def test_a_fit_that_did_not_converge_leaves_with_status_3(two, capsys):
    options = ["-k", "2", "--max-seconds", "1e-6", "-o", "out", "--quiet"]
    assert main(["unmix", "two.npz", "--signal", "eels", *options]) == 3
    told = Path("out/summary.txt").read_text(encoding="utf-8")
    assert told.startswith("NOT CONVERGED")
    assert "not an answer" in told
    assert 'class="verdict bad"' in Path("out/report.html").read_text(encoding="utf-8")


def test_a_variance_for_one_data_set_by_its_name(two):
    options = ["-k", "2", "-o", "out", "--quiet", "--starts", "1", "--variance", "eels=5"]
    assert main(["fuse", "two.npz", *options]) == 0
    assert fu.Result.load("out/result.npz").data["eels"].noise != "gaussian, size unknown"


def test_an_array_of_the_pixels_of_the_map_beside_it_is_an_image(tmp_path, cube):
    np.savez(tmp_path / "map.npz", data=cube, energy=np.linspace(90, 101, 12), energy_units="eV")
    np.save(tmp_path / "adf.npy", cube.sum(-1) + np.random.default_rng(1).normal(0, 5, (5, 6)))
    files = tmp_path / "map.npz", tmp_path / "adf.npy"
    tail = ("-k", 2, "--starts", 1, "--variance", "adf=25", "-o", tmp_path / "out", "--quiet")
    assert run("fuse", *files, *tail) == 0
    result = fu.Result.load(tmp_path / "out" / "result.npz")
    assert result.data["adf"].shape == (5, 6)
    assert result.data["adf"].signal == 0

"""`sdfusion fuse`: what is fitted together, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.cli import main
from fusion.cli.chosen_files import Chosen, _distinct
from tests.helpers.commands import fails, run
from tests.helpers.undrawn import draw_nothing


@pytest.mark.drawn
def test_fuse_shares_spectra_between_files_and_maps_within_one(
    file, tmp_path, cube, capsys, monkeypatch
):
    np.savez(tmp_path / "b.npz", data=cube[:3], energy=np.linspace(90, 101, 12), energy_units="eV")
    tail = ("-k", 2, "-o", tmp_path / "out", "--starts", 1, "--json")
    assert run("fuse", file, tmp_path / "b.npz", "--share", "spectra", *tail) == 0
    told = json.loads(capsys.readouterr().out)
    assert [d["name"] for d in told["data_sets"]] == ["map", "b"]
    np.savez(tmp_path / "two.npz", eels=cube, edxs=cube[..., :7])
    draw_nothing(monkeypatch)  # maps of one scan are drawn by the demo
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


def test_a_data_set_that_is_named_twice_is_refused(two, capsys):
    assert main(["fuse", "two.npz", "--signal", "eels", "--signal", "eels", "-k", "2"]) == 2
    assert "once" in capsys.readouterr().err


def test_a_variance_for_one_data_set_by_its_name(two):
    options = ["-k", "1", "-o", "out", "--quiet", "--starts", "1", "--variance", "eels=5"]
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


def test_files_of_one_name_give_data_sets_of_distinct_names_that_are_said(tmp_path, cube, capsys):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "x.npz", data=cube)
    tail = ("--share", "spectra", "-k", 2, "--starts", 1, "-o", tmp_path / "out")
    assert run("fuse", tmp_path / "a/x.npz", tmp_path / "b/x.npz", "--bin", "x_2:x=2", *tail) == 0
    said = capsys.readouterr().out
    assert f'x: {tmp_path / "a/x.npz"} "data", 5 × 6 × 12, channel 0 to 11, poisson' in said
    assert f'x_2: {tmp_path / "b/x.npz"} "data", 5 × 3 × 12' in said


def test_names_keep_the_signs_of_files():
    chosen = [Chosen(fu.Dataset("eds", np.ones((3, 4, 5))), Path(f"tilt_{a}.v1.bcf"), "eds", ())
              for a in (-10, 0, 10)]  # fmt: skip
    assert [each.data.name for each in _distinct(chosen)] == [
        "tilt_-10_v1",
        "tilt_0_v1",
        "tilt_10_v1",
    ]


def test_a_pattern_stands_for_the_files_that_it_fits(tmp_path, cube, capsys):
    for angle in (0, 10):
        np.savez(tmp_path / f"tilt_{angle}.npz", data=cube)
    tail = ("--share", "spectra", "-k", 2, "--starts", 1, "-o", tmp_path / "out", "--json")
    assert run("fuse", tmp_path / "tilt_*.npz", *tail) == 0
    told = json.loads(capsys.readouterr().out)["data_sets"]
    assert [each["name"] for each in told] == ["tilt_0", "tilt_10"]
    assert [each["file"] for each in told] == [str(tmp_path / f"tilt_{a}.npz") for a in (0, 10)]
    assert "no file fits" in fails(capsys, "fuse", tmp_path / "none_*.npz", *tail)


def test_what_was_used_and_left_out_is_said(tmp_path, cube, capsys):
    np.savez(tmp_path / "a.npz", eels=cube, edxs=cube[..., :8], more=cube)
    asked = (
        "--signal",
        "eels",
        "--signal",
        "edxs",
        "--loss",
        "edxs=gaussian",
        "--energy",
        "eels=2:",
    )
    np.savez(
        tmp_path / "a.npz",
        eels=cube,
        edxs=cube[..., :8],
        more=cube,
        eels_energy=np.arange(12.0),
        eels_energy_units="eV",
    )
    tail = ("-k", 2, "-o", tmp_path / "out", "--starts", 1)
    assert run("fuse", tmp_path / "a.npz", *asked, *tail) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"eels: {tmp_path / 'a.npz'}, 5 × 6 × 10, energy 2 to 11 eV, poisson",
        f"edxs: {tmp_path / 'a.npz'}, 5 × 6 × 8, channel 0 to 7, gaussian",
        f"left out of {tmp_path / 'a.npz'} (--signal): more (map)",
    ]
    assert "\n".join(lines[:3]) in (tmp_path / "out" / "summary.txt").read_text(encoding="utf-8")
    result = fu.Result.load(tmp_path / "out" / "result.npz")
    assert result.data["edxs"].noise.startswith("gaussian")

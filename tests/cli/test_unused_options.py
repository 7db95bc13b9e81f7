"""An option that could be used for nothing is an error that says why, and what there is."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from tests.helpers.commands import fails, run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    energy = {"energy": 100.0 + np.arange(12), "energy_units": "eV"}
    np.savez("map.npz", data=random.poisson(9.0, (5, 6, 12)), **energy)
    np.savez("two.npz", eels=random.poisson(9.0, (5, 6, 12)), edxs=random.poisson(9.0, (5, 6, 9)))
    np.save("mask.npy", np.zeros((4, 4), bool))
    images = random.poisson(9.0, (3, 5, 6))
    fu.Dataset("stack", images, axes=["t", "y", "x"], signal=0).save("stack.hspy")
    fu.Dataset("s", np.arange(1.0, 9), axes=[fu.Axis("energy", units="keV")]).save("s.msa")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["unmix", "stack.hspy", "--energy", "1:2"], "stack is a stack of images (3 × 5 × 6)"),
        (["unmix", "stack.hspy", "--channels", "1:2"], "stack is a stack of images"),
        (["unmix", "stack.hspy", "--variance", "estimate"], "--variance stack=estimate"),
        (["unmix", "stack.hspy", "--background-window", "1:2"], "stack is a stack of images"),
        (["unmix", "stack.hspy", "--bin", "2"], "without channels"),
        (["unmix", "map.npz", "--energy", "edxs=1:2"], 'no data set "edxs"; there is "data"'),
        (["unmix", "map.npz", "--bin", "z=2"], "data has the axes y, x, energy"),
        (["unmix", "map.npz", "--bin", "edxs:y=2"], 'no data set "edxs"'),
        (["unmix", "map.npz", "--loss", "haadf=poisson"], 'no data set "haadf"'),
        (["unmix", "map.npz", "--variance", "haadf=4"], 'no data set "haadf"'),
        (["unmix", "map.npz", "--mask", "mask.npy"], "mask of shape (4, 4)"),
        (["unmix", "map.npz", "--mask", "edxs=mask.npy"], 'no data set "edxs"'),
        (["unmix", "map.npz", "--wavelength", "1:2"], "energy in eV: --energy 1:2"),
        (["unmix", "two.npz", "--signal", "eels", "--signal", "edxs"], "2 names for 1 file"),
        (["fuse", "two.npz", "--energy", "1:2"], "without a unit"),
        (["fuse", "map.npz", "--share", "spectra"], "one data set is there, data"),
        (["fuse", "map.npz", "--share", "maps"], "one data set is there, data"),
        (["fuse", "two.npz", "--signal", "eels", "--share", "maps"], "edxs (map)"),
    ],
)
def test_what_nothing_uses_is_refused(folder, capsys, options, reason):
    said = fails(capsys, *options, "-k", 2, "-o", "out", status=2)
    assert reason in said
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--reader", "index=1"], "--reader index: NumPy's files have no such option"),
        (["--segments"], "--segments: no maps of several segments"),
        (["--dataset", "/a/b"], "is not HDF5"),
    ],
)
@pytest.mark.parametrize("command", ["info", "plot", "rank", "unmix", "fuse"])
def test_options_of_readers_that_have_none_are_refused(folder, capsys, command, options, reason):
    tail = ["-k", 2] if command in ("unmix", "fuse") else []
    assert reason in fails(capsys, command, "map.npz", *options, *tail)


def test_options_that_the_reader_lacks_are_named_as_they_were_given(folder, capsys):
    said = fails(capsys, "info", "s.msa", "--reader", "colour=3", "--reader", "encoding=ascii")
    assert "s.msa: --reader colour: the reader MSA has no such option; it has encoding" in said
    assert "no maps of several segments" in fails(capsys, "info", "s.msa", "--segments")
    assert "twice" in fails(capsys, "info", "s.msa", *["--reader", "a=1"] * 2, status=2)
    assert "OPTION=VALUE" in fails(capsys, "info", "s.msa", "--reader", "a", status=2)


@pytest.mark.parametrize("command", ["info", "plot"])
def test_a_second_name_is_refused(folder, capsys, command):
    asked = (command, "two.npz", "--signal", "eels", "--signal", "edxs")
    assert "eels, edxs: give one" in fails(capsys, *asked, status=2)


def test_info_of_one_and_of_all_is_refused(folder, capsys):
    assert "--all" in fails(capsys, "info", "two.npz", "--signal", "eels", "--all", status=2)


def test_an_answer_is_drawn_as_a_whole(folder, capsys):
    assert run("unmix", "map.npz", "-k", 2, "--starts", 1, "--quiet", "-o", "out") == 0
    said = fails(capsys, "plot", "out/result.npz", "--signal", "S", "--segments", status=2)
    assert "--signal, --segments: out/result.npz is an answer" in said

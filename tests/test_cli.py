"""The command line: what it writes, and one line for everything that is wrong."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest

import fusion as fu
from fusion.__main__ import main
from fusion.simulate.__main__ import main as simulate


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


def fails(capsys, *arguments) -> str:
    """The one line that a failing call writes."""
    assert run(*arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize("loss", ["frobenius", "poisson"])
def test_maps_and_spectra_are_written_and_the_summary_is_printed(file, tmp_path, capsys, loss):
    folder = tmp_path / "new" / "answer"
    assert run(file, "-k", 2, "-o", folder, "--starts", 2, "--loss", loss) == 0
    assert sorted(p.name for p in folder.iterdir()) == ["figure.png", "result.npz"]
    result = fu.Result.load(folder / "result.npz")
    assert result["C"].shape == (30, 2)
    assert result["S"].shape == (12, 2)
    assert result.axes["S"][0][0].label == "energy (eV)"
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert result.summary() in capsys.readouterr().out


def test_the_first_command_of_the_readme_works(tmp_path, capsys):
    example = tmp_path / "example.npz"
    assert simulate(["-o", str(example)]) == 0
    assert run(example, "-k", 3, "-o", tmp_path / "example", "--starts", 1) == 0
    assert fu.Result.load(tmp_path / "example" / "result.npz").explained_variance["data"] > 0.98
    assert "wrote" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_answer(file, tmp_path):
    for name in ("a", "b"):
        assert run(file, "-k", 2, "-o", tmp_path / name, "--starts", 2, "--seed", 5) == 0
    a, b = (fu.Result.load(tmp_path / name / "result.npz") for name in ("a", "b"))
    np.testing.assert_array_equal(a["C"], b["C"])


def test_an_older_answer_is_replaced(file, tmp_path):
    for K in (2, 1):
        assert run(file, "-k", K, "-o", tmp_path / "out", "--starts", 1) == 0
    assert fu.Result.load(tmp_path / "out" / "result.npz").n_components == 1
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_single_array_of_any_name_is_taken(tmp_path, cube):
    np.savez(tmp_path / "a.npz", counts=cube, tag="x", eV=np.arange(12.0))
    assert run(tmp_path / "a.npz", "-k", 1, "-o", tmp_path / "out", "--starts", 1) == 0
    result = fu.Result.load(tmp_path / "out" / "result.npz")
    assert list(result.data) == ["counts"]
    assert result.axes["S"][0][0].name == "eV"


def test_several_arrays_are_listed_and_one_can_be_chosen(tmp_path, cube, capsys):
    path, out = tmp_path / "a.npz", tmp_path / "out"
    np.savez(path, eels=cube, edxs=cube)
    said = fails(capsys, path, "-k", 1, "-o", out)
    assert "eels (5, 6, 12) int64, edxs" in said
    assert "--array NAME" in said
    assert not out.exists()
    assert "no numeric array 'adf'" in fails(capsys, path, "-k", 1, "-o", out, "--array", "adf")
    assert run(path, "-k", 1, "-o", out, "--starts", 1, "--array", "edxs") == 0


def test_files_that_cannot_be_used_are_named_in_one_line(tmp_path, cube, capsys):
    out = tmp_path / "out"
    tail = ("-k", 2, "-o", out)
    assert "no such file" in fails(capsys, tmp_path / "none.npz", *tail)
    assert "is a folder" in fails(capsys, tmp_path, *tail)
    np.save(tmp_path / "a.npy", cube)
    assert "not an npz file" in fails(capsys, tmp_path / "a.npy", *tail)
    np.savez(tmp_path / "few.npz", spectrum=np.ones(4))
    assert "no numeric array of two axes" in fails(capsys, tmp_path / "few.npz", *tail)
    np.savez(tmp_path / "pickled.npz", data=np.array([[{}, {}]], dtype=object))
    assert "no numeric array" in fails(capsys, tmp_path / "pickled.npz", *tail)
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no numeric array" in fails(capsys, tmp_path / "zip.npz", *tail)
    np.savez(tmp_path / "short.npz", data=cube, energy=np.arange(7.0))
    assert "energy is of shape (7,)" in fails(capsys, tmp_path / "short.npz", *tail)
    assert not out.exists()


def test_a_damaged_file_is_named_in_one_line(file, tmp_path, capsys):
    bytes_ = bytearray(file.read_bytes())
    bytes_[400:600] = bytes(200)
    file.write_bytes(bytes_)
    fails(capsys, file, "-k", 2, "-o", tmp_path / "out")
    file.write_bytes(file.read_bytes()[:500])
    assert "not an npz file" in fails(capsys, file, "-k", 2, "-o", tmp_path / "out")


def test_data_that_do_not_suit_are_named_in_one_line(file, tmp_path, cube, capsys):
    out = tmp_path / "out"
    assert "K must be 1 to 12" in fails(capsys, file, "-k", 13, "-o", out)
    bad = cube.astype(float)
    bad[0, 1, 2] = np.nan
    np.savez(tmp_path / "nan.npz", data=bad)
    assert "first at (0, 1, 2)" in fails(capsys, tmp_path / "nan.npz", "-k", 2, "-o", out)
    np.savez(tmp_path / "net.npz", data=cube - 5.0)
    said = fails(capsys, tmp_path / "net.npz", "-k", 2, "-o", out, "--loss", "poisson")
    assert "negative" in said
    assert not out.exists()


@pytest.mark.parametrize(
    "options",
    [["-k", "0"], ["-k", "two"], ["-k", "2", "--starts", "0"], ["-k", "2", "--loss", "l1"], []],
)
def test_wrong_options_leave_with_status_2(file, tmp_path, capsys, options):
    with pytest.raises(SystemExit) as left:
        run(file, "-o", tmp_path / "out", *options)
    assert left.value.code == 2
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named_before_the_fit(file, tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert "is a file" in fails(capsys, file, "-k", 1, "-o", tmp_path / "taken")
    fails(capsys, file, "-k", 1, "-o", tmp_path / "taken" / "below")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if not os.access(locked, os.W_OK):  # root may write anywhere
        assert "locked" in fails(capsys, file, "-k", 1, "-o", locked)


def test_a_failing_figure_leaves_no_half_file(file, tmp_path, monkeypatch, capsys):
    def broken(self, **options):
        raise OSError("disk full")

    monkeypatch.setattr(fu.Result, "plot", broken)
    assert run(file, "-k", 1, "-o", tmp_path / "out", "--starts", 1) == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["result.npz"]
    assert "disk full" in capsys.readouterr().err

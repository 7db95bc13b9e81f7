"""`sdfusion info`: what is in a file."""

from __future__ import annotations

import json
import os
import re
import subprocess

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.axis import Axis
from fusion.cli.chosen_files import in_quotes
from fusion.files import READERS, contents_of
from fusion.files.calibration import complete_axes
from fusion.files.contents import StoredDataset
from tests.helpers.commands import fails, run
from tests.helpers.microscope_files import velox


def test_info_describes_every_data_set(file, tmp_path, cube, capsys):
    assert run("info", file) == 0
    said = capsys.readouterr().out
    assert "5 × 6 × 12" in said
    assert "90 to 101 eV" in said
    np.savez(tmp_path / "two.npz", eels=cube, edxs=cube[..., :7])
    assert run("info", tmp_path / "two.npz", "--json") == 0
    assert [d["name"] for d in json.loads(capsys.readouterr().out)] == ["eels", "edxs"]


def test_a_file_of_many_is_a_table_and_its_maps_and_all_can_be_had(tmp_path, capsys):
    counts = np.random.default_rng(0).poisson(3.0, (4, 5, 60))
    path = velox(tmp_path / "a.emd", counts, {"haadf": np.arange(20.0).reshape(4, 5)})
    assert run("info", path) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{path}: 3 data sets\n  name ")
    assert said.count("\nspikes") == 1  # the map alone is inspected
    assert "--signal" in said
    assert run("info", path, "--all") == 0
    assert capsys.readouterr().out.count("\ntotal") == 3


def test_the_table_has_kind_shape_energies_and_sum_of_each(tmp_path, cube, capsys):
    energy = {"eels_energy": np.arange(12) + 90.0, "eels_energy_units": "eV"}
    np.savez(tmp_path / "a.npz", eels=cube, line=cube[0], **energy)
    assert run("info", tmp_path / "a.npz") == 0
    rows = [re.split(r"  +", line.strip()) for line in capsys.readouterr().out.splitlines()[1:4]]
    assert rows[0] == ["name", "kind", "shape", "spectra", "type", "sum"]
    total = f"{cube.sum():.5g}"
    assert rows[1] == ["eels", "map", "5 × 6 × 12", "energy 90 to 101 eV", "int64", total]
    assert rows[2][:3] == ["line", "line of spectra", "6 × 12"]


@pytest.mark.skipif(os.name != "posix", reason="asks a shell of POSIX")
def test_each_choice_can_be_pasted_into_a_shell(tmp_path, cube, capsys):
    names = ['a"b', "c$HOME`d", "e\\f"]
    np.savez(tmp_path / "a.npz", **dict.fromkeys(names, cube))
    lines = fails(capsys, "plot", tmp_path / "a.npz", lines=4).splitlines()[1:]
    options = [re.sub(r"  \d+ × .*", "", line) for line in lines]
    for name, option in zip(names, options, strict=True):
        told = subprocess.run(["sh", "-c", f"printf %s {option}"], capture_output=True, text=True)
        assert told.stdout == f"--signal{name}"
    assert [in_quotes(name) for name in names] == ['a\\"b', "c\\$HOME\\`d", "e\\\\f"]


def test_options_reach_the_reader_with_their_types(tmp_path, monkeypatch, capsys):
    asked = {}

    def reader(path, **options):
        asked.update(options)
        axes = complete_axes([Axis(""), Axis(""), Axis("")], (3, 4, 5), 1)
        read = lambda: fu.Dataset("a", np.ones((3, 4, 5)))  # noqa: E731
        return [StoredDataset("a", (3, 4, 5), np.float64, axes, read, cautions=("no calibration",))]

    monkeypatch.setitem(READERS, ".made", reader)
    monkeypatch.setattr("fusion.files.at_path", lambda path, name, **told: reader(path, **told))
    (tmp_path / "a.made").write_text("x")
    options = ["--reader", "index=1", "--reader", "sum=true", "--reader", "type=a b"]
    assert run("info", tmp_path / "a.made", *options) == 0
    assert asked == {"index": 1, "sum": True, "type": "a b"}
    assert asked["sum"] is True
    asked.clear()
    assert capsys.readouterr().out.count("warning: no calibration") == 1
    assert run("info", tmp_path / "a.made", "--dataset", "/a/b", "--reader", "energy=/e") == 0
    assert asked == {"dataset": "/a/b", "energy": "/e"}
    assert capsys.readouterr().out.count("warning: no calibration") == 1


def test_a_file_of_single_spectra_has_no_map_and_says_what_serves(tmp_path, capsys):
    counts = np.random.default_rng(0).poisson(3.0, (4, 5, 60))
    path = velox(tmp_path / "a.emd", counts, {})
    for each in contents_of(path, {}):
        assert each.detector == ("" if each.is_map else "SuperX")
    energy = {"a_energy": np.arange(60) / 100 + 0.3, "a_energy_units": "keV"}
    energy |= {f"b{key[1:]}": value for key, value in energy.items()}
    np.savez(tmp_path / "b.npz", a=counts[0, 0], b=counts[0, 1], **energy)
    assert run("info", tmp_path / "b.npz") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "No map in it, single spectra" in said
    assert 'sdfusion compositions FILE --signal "NAME" --elements' in said
    assert "a single spectrum, no map" in fails(capsys, "rank", tmp_path / "b.npz", "--signal", "a")
    assert "A single spectrum, no map" in fails(
        capsys, "unmix", tmp_path / "b.npz", "--signal", "a", "-k", 2, status=2
    )


def test_a_spectrum_that_is_the_sum_of_the_others_is_called_so(tmp_path, capsys):
    parts = np.random.default_rng(0).poisson(3.0, (2, 60))
    np.savez(tmp_path / "a.npz", whole=parts.sum(0), one=parts[0], other=parts[1])
    assert run("info", tmp_path / "a.npz") == 0
    rows = capsys.readouterr().out.splitlines()[2:5]
    assert ["the sum of the others" in row for row in rows] == [True, False, False]


def test_what_options_leave_of_a_file_is_looked_at(tmp_path, cube, capsys):
    energy = {"energy": np.arange(12) + 90.0, "energy_units": "eV"}
    np.savez(tmp_path / "a.npz", eels=cube, **energy)
    assert run("info", tmp_path / "a.npz", "--energy", "95:", "--bin", "y=5", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["shape"] == [1, 6, 7]
    assert told["total"] == cube[..., 5:].sum()
    assert "has energy in eV" in fails(
        capsys, "info", tmp_path / "a.npz", "--wavelength", "95:", status=2
    )

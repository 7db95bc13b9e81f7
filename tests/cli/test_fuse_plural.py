"""`sdfusion fuse --plural`: which range is which, what is written, and calls that cannot be."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

import fusion as fu
from fusion.simulate import dual_eels
from tests.helpers.commands import fails, run
from tests.helpers.planted_factors import nearest_angles
from tests.helpers.undrawn import draw_nothing

FILES = {"result.npz", "summary.txt", "figure.png", "spectra.csv", "thickness.npz"}
FILES |= {"scattering.png"}
TAIL = ("--plural", "-k", 3, "--starts", 1)


@pytest.fixture(scope="module")
def scene():
    return dual_eels(shape=(10, 14), channels=80, seed=1)


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory):
    """Both ranges in one file, the low loss first, with an image beside; and each in its own."""
    folder = tmp_path_factory.mktemp("dual")
    core, low = scene.datasets["core"], scene.datasets["low"]
    calibrated = {
        f"{d.name}_{key}": value
        for d in (core, low)
        for key, value in (("energy", d.axes[-1].values), ("energy_units", "eV"))
    }
    arrays = {"low": low.numpy(), "core": core.numpy()}
    np.savez(folder / "dual.npz", **arrays, adf=np.ones((10, 14)), **calibrated)
    core.save(folder / "core.hspy")
    low.save(folder / "low.hspy")
    low[:6].save(folder / "less.hspy")
    keV = fu.Axis("energy", scale=0.01, size=20, units="keV")
    edxs = fu.Dataset("edxs", np.ones((10, 14, 20)), axes=(*core.axes[:2], keV))
    edxs.save(folder / "edxs.hspy")
    edxs_axis = {"edxs_energy": keV.values, "edxs_energy_units": "keV"}
    np.savez(folder / "three.npz", **arrays, edxs=edxs.numpy(), **edxs_axis, **calibrated)
    return folder


@pytest.fixture(scope="module")
def answer(folder, tmp_path_factory):
    """Of the one file, and what was printed."""
    out = tmp_path_factory.mktemp("answer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusion.cli.output.find_spec", lambda name: None)  # no page
        draw_nothing(patch)  # tests/plots looks at the pictures
        assert run("fuse", folder / "dual.npz", *TAIL, "-o", out, "--quiet") == 0
    return out


def test_it_writes_single_scattering_and_the_thickness_of_every_pixel(scene, answer):
    assert {path.name for path in answer.iterdir()} == FILES
    result = fu.Result.load(answer / "result.npz")
    assert nearest_angles(result["S"], scene.truth["S"]).max() < 4
    written = np.loadtxt(answer / "spectra.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(written[:, 1:], result["S"], rtol=1e-5, atol=1e-8)
    expected = fu.relative_thickness(scene.datasets["low"])
    with np.load(answer / "thickness.npz") as found:
        np.testing.assert_allclose(found["values"], expected.values, rtol=0.02)
        np.testing.assert_allclose(found["errors"], expected.errors, rtol=0.5)


def test_the_summary_says_which_range_is_which_and_what_is_left_out(folder, answer):
    text = (answer / "summary.txt").read_text(encoding="utf-8")
    path = folder / "dual.npz"
    assert f"core: {path}, 10 × 14 × 80, energy 480 to 720 eV, core loss, frobenius" in text
    assert f"low: {path}, 10 × 14 × 80, energy -20 to 220 eV, low loss\n" in text
    assert f"left out of {path} (--signal): adf (image)" in text
    assert "t/λ" in text
    assert "edges from 5" in text
    assert "core: estimate_variance()" in text


def test_two_files_in_any_order_with_options_of_the_model(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fusion.cli.output.find_spec", lambda name: None)
    monkeypatch.setattr(fu.Result, "plot", lambda result: Figure())
    place = "fusion.cli.thickness_files.plot_plural_scattering"
    monkeypatch.setattr(place, lambda result: Figure())
    how = ("--onset", 521, "--exponents", 3, "--zero-loss", "-2:2", "--overlap", 0, "--bin", 2)
    how = (*how, "--max-seconds", 0.01, "--json")
    files = folder / "low.hspy", folder / "core.hspy"
    assert run("fuse", *files, *TAIL, *how, "-o", tmp_path) == 3  # stopped, and written
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told["data_sets"]] == ["core"]
    assert told["low_loss"]["file"] == str(folder / "low.hspy")
    found = told["plural_scattering"]
    assert found["onset_eV"] == pytest.approx(521, abs=4)
    assert found["zero_loss_eV"] == pytest.approx([-2, 2], abs=4)
    assert 0.7 < found["thickness_mean"] < 0.95
    result = fu.Result.load(tmp_path / "result.npz")
    assert result["N"].shape == (140, 1)
    assert "Overlap" not in result.formula
    assert "\n  low: bin(energy loss=2)" in (tmp_path / "summary.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "options", "status", "said"),
    [
        (["core.hspy"], [], 2, "no low loss, 1 core loss (core 480 to 720 eV)"),
        (["core.hspy"], [], 2, "give its file, too"),
        (["low.hspy"], [], 2, "no core loss: the energies of a core loss lie above zero"),
        (["low.hspy", "low.hspy"], [], 2, "2 low losses (low_2 -20 to"),
        (["core.hspy", "low.hspy", "low.hspy"], [], 2, "give the files of these two alone"),
        (["core.hspy", "low.hspy", "edxs.hspy"], [], 2, "edxs is EDS_TEM: it takes a core loss"),
        (["three.npz"], [], 2, 'give --signal "low" --signal "core"'),
        (["core.hspy", "less.hspy"], [], 1, "'core' has pixels (10, 14), 'low' (6, 14)"),
        (["dual.npz"], ["--onset", "900"], 1, "--onset 900: the core loss runs from 480"),
        (["dual.npz"], ["--energy", "core=480:515"], 1, "give --onset EV"),
        (["dual.npz"], ["--energy", "low=40:"], 2, "no low loss"),
        (["dual.npz"], ["--zero-loss", "3:"], 2, "give both ends"),
        (["dual.npz"], ["--exponents", "2,x"], 2, "such as 2.6,3.4"),
        (["dual.npz"], ["--share", "maps"], 2, "--share: not with --plural"),
        (["dual.npz"], ["--loss", "poisson"], 2, "--loss: not with --plural"),
        (["dual.npz"], ["--orthogonality", "0.1"], 2, "--overlap keeps the maps apart"),
        (["dual.npz"], ["--ard"], 2, "give -k K"),
        (["dual.npz"], ["--background-window", "480:510"], 2, "a part of the fit"),
        (["dual.npz"], ["--variance", "core=none"], 2, "in units of the noise"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_told_with_a_way_out(
    folder, tmp_path, monkeypatch, capsys, files, options, status, said
):
    monkeypatch.chdir(tmp_path)
    paths = [folder / name for name in files]
    assert said in fails(capsys, "fuse", *paths, "--plural", "-k", 3, *options, status=status)
    assert not (tmp_path / "sdfusion-result").exists()


@pytest.mark.parametrize("option", [("--onset", 500), ("--overlap", 3), ("--zero-loss", "-2:2")])
def test_its_options_are_refused_without_it(folder, capsys, option):
    told = fails(capsys, "fuse", folder / "dual.npz", "-k", 3, *option, status=2)
    assert f"{option[0]}: goes with --plural" in told

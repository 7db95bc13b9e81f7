"""What is done in the first hour takes so many lines, and does it."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.simulate import layers

HERE = Path(__file__).parent
LIMITS = {
    "picture_of_a_file": 4,
    "fused_map_with_report": 8,
    "atomic_per_cent": 4,
    "one_fixed_spectrum": 5,
    "go_on_from_a_saved_answer": 3,
    "rename_and_save": 3,
}
ENERGY = np.linspace(5.0, 8.0, 151)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of a user: a map, two detectors of one scan, X-rays, a reference, an answer."""
    folder = tmp_path_factory.mktemp("user")
    scene = layers(shape=(8, 10), channels=60)
    eels = scene.datasets["net"].renamed("eels")
    eels.save(folder / "map.npz")
    known = fu.Dataset("reference", scene.truth["S"][:, 2], axes=eels.channels)
    known.save(folder / "reference.npz")
    maps = scene.truth["C"].reshape(8, 10, 3)
    lines = np.stack([_line(x, 0.08) for x in (5.5, 6.2, 7.4)])
    counts = np.random.default_rng(0).poisson(400 * maps / maps.max() @ lines)
    np.savez(folder / "scan.npz", eels=eels.data, edxs=counts)
    model = fu.models.NMF(eels, 3)
    fu.fit(model, fu.losses.Frobenius(eels), starts=2, max_steps=30, progress=False).save(
        folder / "fit.npz"
    )
    return folder


def _line(energy, width):
    return np.exp(-(((ENERGY - energy) / width) ** 2) / 2)


def lines_of(path):
    """Lines that are no comment and not empty."""
    text = path.read_text(encoding="utf-8").splitlines()
    return [line for line in text if line.strip() and not line.lstrip().startswith("#")]


def run(task, folder, monkeypatch):
    """What the script has made, in the folder of its files."""
    monkeypatch.chdir(folder)
    return runpy.run_path(str(HERE / f"{task}.py"))


def test_every_task_has_a_limit():
    scripts = {p.stem for p in HERE.glob("*.py") if not p.stem.startswith(("test_", "__"))}
    assert scripts == set(LIMITS)


@pytest.mark.parametrize("task", LIMITS)
def test_a_task_takes_no_more_lines_than_it_should(task):
    lines = lines_of(HERE / f"{task}.py")
    assert len(lines) <= LIMITS[task]
    assert all(len(line) <= 100 and ";" not in line for line in lines)


def test_a_picture_of_a_file(folder, monkeypatch):
    run("picture_of_a_file", folder, monkeypatch)
    assert (folder / "map.png").read_bytes().startswith(b"\x89PNG")


def test_a_fused_map_with_its_report(folder, monkeypatch):
    pytest.importorskip("bokeh", reason="bokeh is not installed")
    made = run("fused_map_with_report", folder, monkeypatch)
    assert made["result"].converged
    assert made["result"].maps.shape == (8, 10, 3)
    page = (folder / "fit.html").read_text(encoding="utf-8")
    assert "eels" in page
    assert "edxs" in page


def test_atomic_per_cent_with_given_k_factors(folder, monkeypatch):
    pytest.importorskip("xraydb", reason="xraydb is not installed")
    from tests.helpers.xray_phases import EDXS, planted, truth

    rng = np.random.default_rng(0)
    amounts = 4000 * rng.dirichlet([0.1, 0.1], (10, 12))
    counts = rng.poisson(amounts @ planted().T)
    np.savez(folder / "edxs.npz", data=counts, energy=EDXS.values, energy_units="keV")
    composition = run("atomic_per_cent", folder, monkeypatch)["composition"]
    assert composition.elements == ("O", "Mn", "Ni")
    order = np.argsort(-composition.atomic[:, 0])  # which phase comes first is not fixed
    # 8 at.%: both phases hold Mn, of which non-negativity alone gives one too much
    np.testing.assert_allclose(composition.atomic[order], truth(), atol=8)


def test_one_fixed_spectrum(folder, monkeypatch):
    made = run("one_fixed_spectrum", folder, monkeypatch)
    known = made["known"].data
    found = made["result"].spectrum("silica")
    np.testing.assert_allclose(found / found.max(), known / known.max(), atol=1e-6)
    assert made["silica"].shape == (8, 10)


def test_to_go_on_from_a_saved_answer(folder, monkeypatch):
    result = run("go_on_from_a_saved_answer", folder, monkeypatch)["result"]
    before = fu.Result.load(folder / "fit.npz")
    assert result.converged
    assert result.loss <= before.loss


def test_to_rename_and_save(folder, monkeypatch):
    run("rename_and_save", folder, monkeypatch)
    named = fu.Result.load(folder / "named.npz")
    assert named.components == ["shell", "core", "3"]

"""Real files of nine vendors: every data set in them, and the commands that people run first."""

from __future__ import annotations

import json
import tomllib
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusion as fu
from fusion.cli import main
from fusion.files import SeveralDatasets, contents_of, load, one, scan_in
from tests.helpers.microscope_files import io
from tests.helpers.paths import shared_file
from tests.helpers.undrawn import draw_nothing

FILES = tomllib.loads(Path(__file__).with_name("vendor_files.toml").read_text(encoding="utf-8"))
MAPS = {
    "EELS_SI.dm4": [],
    "MonarcCL_spectrum-SI.dm4": [],
    "P45.bcf": ["--bin", "y=5", "--bin", "x=5", "--bin", "energy=8"],
    "jobinyvon_test_map_x3-y2.xml": [],
    "renishaw_test_map.wdf": [],
    "sparc-hyperspectral.h5": [],
    "test_TEM.bcf": ["--bin", "y=4", "--bin", "x=4", "--bin", "energy=8"],
    "test_spectral_map.sur": [],
    "velox_emd_version11.zip/Test SI 16x16 215 kx.emd": [],
}
"""Options with which a map is small enough for a test."""
LOOKED_AT = ("sparc-hyperspectral.h5", "P45.bcf")
"""Maps of which the picture and the page are made in full: in nm, and of X-rays."""
BINS = ["--bin", "y=16", "--bin", "x=16", "--bin", "energy=8"]
pytestmark = io


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vendor")


def place(name: str, unpacked: Path) -> Path:
    """The file, taken out of its archive where it lies in one."""
    archive, _, member = name.partition(".zip/")
    if not member:
        return shared_file("vendor", name)
    path = shared_file("vendor", f"{archive}.zip")
    folder = unpacked / archive
    if not folder.exists():
        with zipfile.ZipFile(path) as file:
            file.extractall(folder)
    return folder / member


def total(data: fu.Dataset) -> float:
    values = data.tensor if data.entries is None else data.entries.x
    return float(values.double().sum())


def beam(data: fu.Dataset) -> float:
    """keV."""
    instruments = (data.metadata.get("Acquisition_instrument") or {}).values()
    found = [each.get("beam_energy") for each in instruments if isinstance(each, dict)]
    return next((float(energy) for energy in found if energy is not None), 0.0)


@pytest.mark.parametrize("name", FILES)
def test_every_data_set_of_a_real_file(name, unpacked):
    wanted, path = FILES[name], place(name, unpacked)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        held = load(path)
    said = [str(warning.message) for warning in caught]
    assert len(said) == len(wanted["said"])
    for text, start in zip(said, wanted["said"], strict=True):
        assert text.startswith(start)
    held = held if isinstance(held, dict) else {held.name: held}
    assert list(held) == [each["name"] for each in wanted["held"]]
    for each in wanted["held"]:
        compare(held[each["name"]], each)
        assert all(text in held[each["name"]].history for text in said)


def compare(data: fu.Dataset, wanted: dict[str, Any]) -> None:
    """Order, lengths, places and units of the axes, type, beam, and the sum of all values."""
    assert [axis.name for axis in data.axes] == [axis[0] for axis in wanted["axes"]]
    assert data.shape == tuple(axis[1] for axis in wanted["axes"])
    for axis, (_, _, first, step, units) in zip(data.axes, wanted["axes"], strict=True):
        assert axis.units == units
        assert axis.values[0] == pytest.approx(first, rel=1e-5)
        assert (axis.scale if axis.uniform else 0) == pytest.approx(step, rel=1e-5)
    assert data.signal == wanted["signal"]
    assert str(data.dtype).removeprefix("torch.") == wanted["dtype"]
    assert ((data.metadata.get("Signal") or {}).get("signal_type") or "") == wanted["type"]
    assert beam(data) == pytest.approx(wanted["beam"], rel=1e-3)
    assert total(data) == pytest.approx(wanted["sum"], rel=1e-8)


@pytest.mark.parametrize("name", FILES)
def test_what_is_meant_without_a_name_and_what_is_of_one_scan(name, unpacked, monkeypatch):
    wanted, path = FILES[name], place(name, unpacked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fu.FileWarning)
        contents = contents_of(path, {})  # read once for both
        monkeypatch.setattr("fusion.files.contents_of", lambda *_: contents)
        if wanted["meant"]:
            assert one(path).name == wanted["meant"]
        else:
            with pytest.raises(SeveralDatasets) as caught:
                one(path)
            assert len(caught.value.contents) == len(wanted["held"])
        if wanted["fused"]:
            assert [data.name for data in scan_in(path)] == wanted["fused"]
        else:
            with pytest.raises(SeveralDatasets):
                scan_in(path)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("command", ["info", "rank", "unmix"])
def test_the_first_commands_run_on_every_map(
    name, command, unpacked, tmp_path, capsys, monkeypatch
):
    if name not in LOOKED_AT:
        draw_nothing(monkeypatch)
    path, small = place(name, unpacked), MAPS[name]
    more = {
        "info": [],
        "rank": [*small, "--quick"],
        "unmix": [*small, "-k", "2", "--starts", "1", "-o", str(tmp_path / "out"), "--quiet"],
    }[command]
    assert main([command, str(path), *more]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "velox_emd_version11.zip/Test SI 16x16 215 kx.emd",
        "P45.bcf",
        "velox_EELS_EDS.zip/example_velox_EELS_EDS.emd",
        "EDS-STO.emd",
    ],
)
def test_fuse_takes_what_is_of_one_scan(name, unpacked, tmp_path, capsys, monkeypatch):
    draw_nothing(monkeypatch)
    bins = ["--bin", "y=5", "--bin", "x=5"] if name == "P45.bcf" else []
    tail = ["-k", "1", "--starts", "1", "-o", str(tmp_path / "out"), "--json", *bins]
    assert main(["fuse", str(place(name, unpacked)), *tail]) == 0, capsys.readouterr().err
    used = json.loads(capsys.readouterr().out)["data_sets"]
    assert [each["name"] for each in used] == FILES[name]["fused"]


def test_tilts_of_one_particle_share_their_spectra(unpacked, tmp_path, capsys, monkeypatch):
    draw_nothing(monkeypatch)
    paths = [str(place(f"tilt_{angle}.bcf", unpacked)) for angle in (-20, 20)]
    tail = ["--share", "spectra", "-k", "2", "--starts", "1", "-o", str(tmp_path / "out")]
    assert main(["fuse", *paths, *tail, "--json", *BINS]) == 0, capsys.readouterr().err
    used = json.loads(capsys.readouterr().out)["data_sets"]
    assert [each["name"] for each in used] == [Path(path).stem for path in paths]


def test_wavelengths_of_a_map_of_attolight_are_in_nm(unpacked):
    data = load(place("test_spectral_map.sur", unpacked))
    peak = data.axes[-1].values[data.numpy().mean((0, 1)).argmax()]
    assert 350 < peak < 370  # near the band edge of GaN
    assert np.ptp(data.axes[0].values) == pytest.approx(11 * 82.52, rel=1e-3)

"""Readers that are stubbed: what they hand on, warn of or refuse, as `load` makes of it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusion as fu
from fusion.files import load
from fusion.files.reader_repairs import REPAIRS
from tests.helpers.microscope_files import io

RNG = np.random.default_rng(0)


def entry(title: str, data: np.ndarray, kind: str = "EDS_SEM", **more: Any) -> dict[str, Any]:
    names = ("y", "x", "Energy")[-data.ndim :] if kind else ("y", "x")
    units = {"Energy": "keV"}
    axes = [
        {"name": name, "size": n, "scale": 0.02, "offset": 0.0, "units": units.get(name, "µm"),
         "navigate": bool(kind) and name != "Energy", "index_in_array": i}
        for i, (name, n) in enumerate(zip(names, data.shape, strict=True))
    ]  # fmt: skip
    metadata = {"Signal": {"signal_type": kind}, "General": {"title": title}}
    return {"data": data, "axes": axes, "metadata": metadata, "original_metadata": {}, **more}


def stub(monkeypatch: pytest.MonkeyPatch, module: str, reader: Any, path: Path) -> Path:
    monkeypatch.setattr(f"rsciio.{module}.file_reader", reader)
    path.write_bytes(b"stub")
    return path


@io
def test_all_detectors_of_a_bruker_file_are_read_and_stacked_where_it_is_asked_for(
    tmp_path, monkeypatch
):
    both = [entry(f"EDS {i}", RNG.poisson(2, (8, 8, 64))) for i in (1, 2)]

    def reader(filename, lazy=False, index=None):
        return both if index == "all" else both[:1] if index is None else [both[index]]

    path = stub(monkeypatch, "bruker", reader, tmp_path / "x.bcf")
    held = load(path)
    assert list(held) == ["eds_1", "eds_2"]
    for name, each in zip(held, both, strict=True):
        np.testing.assert_array_equal(held[name].numpy(), each["data"])
    np.testing.assert_array_equal(load(path, index=1).numpy(), both[1]["data"])
    stack = load(path, segments=True)
    np.testing.assert_array_equal(stack.numpy(), [each["data"] for each in both])


@io
def test_what_a_reader_logs_is_heard_once_and_silenced_by_class(tmp_path, monkeypatch, caplog):
    def reader(filename, lazy=False):
        logging.getLogger("rsciio.emd._emd_velox").warning("spectra are\nnot in this file")
        return [entry(title, RNG.random((8, 8)), "") for title in ("HAADF", "BF")]

    path = stub(monkeypatch, "emd", reader, tmp_path / "x.emd")
    with pytest.warns(fu.FileWarning, match="the reader says: spectra are not in") as caught:
        held = load(path)
    assert len(caught) == 1
    assert not caplog.records
    for data in held.values():
        assert "the reader says: spectra are not in this file" in data.history
        assert "spectra are not in this file" in str(data.summary())


@io
def test_counts_that_overflow_the_readers_type_are_read_in_a_wider_one(tmp_path, monkeypatch):
    def reader(filename, lazy=False, SI_dtype=np.uint8):
        if np.dtype(SI_dtype).itemsize < 4:
            raise ValueError("The range of the dtype is too small, use `SI_dtype`")
        return [entry("EDS", np.full((6, 5, 40), 70_000, SI_dtype))]

    path = stub(monkeypatch, "jeol", reader, tmp_path / "x.pts")
    assert int(load(path).numpy().max()) == 70_000
    with pytest.raises(ValueError, match="the dtype is too small"):
        load(path, SI_dtype=np.uint16)


@io
def test_only_what_can_be_read_lazily_is_read_where_that_is_asked_for(tmp_path, monkeypatch):
    da = pytest.importorskip("dask.array")

    def reader(filename, lazy=False):
        if lazy and "eager" in filename:
            raise NotImplementedError("not lazily")
        data = np.ones((6, 5, 40))
        return [entry("EDS", da.from_array(data) if lazy else data)]

    eager = stub(monkeypatch, "bruker", reader, tmp_path / "eager.bcf")
    lazily = stub(monkeypatch, "bruker", reader, tmp_path / "lazily.bcf")
    assert load(lazily, lazy=True).lazy is not None
    assert load(lazily).lazy is not None
    assert load(lazily, lazy=False).lazy is None
    assert load(eager).lazy is None
    with pytest.raises(ValueError, match="not lazily"):
        load(eager, lazy=True)


def test_offsets_of_tia_are_in_the_unit_of_their_steps():
    held = entry("EELS", np.ones((3, 4, 5)), "EELS")
    held["axes"][0] |= {"units": "nm", "scale": 2.0, "offset": -3.5e-8}
    held["axes"][2] |= {"units": "eV", "offset": 400.0}
    (mended,) = REPAIRS["TIA"](Path("x.ser"), [held], lambda **_: [])
    assert mended["axes"][0]["offset"] == pytest.approx(-35.0)
    assert mended["axes"][2]["offset"] == 400.0


@io
def test_beam_and_geometry_are_kept_as_the_reader_maps_them(tmp_path, monkeypatch):
    original = {"Optics": {"AccelerationVoltage": "300000"}, "Detector": {"Angle": "0.384"}}
    mapping = {
        "Optics.AccelerationVoltage": (
            "Acquisition_instrument.TEM.beam_energy", lambda v: float(v) / 1e3,
        ),
        "Detector.Angle": ("Acquisition_instrument.TEM.Detector.EDS.elevation_angle", float),
        "Detector.None": ("Acquisition_instrument.TEM.none", None),
        "Optics": ("Acquisition_instrument.TEM.broken", float),
    }  # fmt: skip

    def reader(filename, lazy=False):
        data = np.ones((6, 5, 40))
        return [entry("EDS", data, "EDS_TEM", original_metadata=original, mapping=mapping)]

    held = load(stub(monkeypatch, "jeol", reader, tmp_path / "x.pts"))
    scope = {"beam_energy": 300.0, "Detector": {"EDS": {"elevation_angle": 0.384}}}
    assert held.metadata["Acquisition_instrument"] == {"TEM": scope}
    prepared = held.crop(x=slice(0, 4)).bin(y=2)
    assert prepared.metadata["Acquisition_instrument"] == {"TEM": scope}


def velox(elevations: list[str], of: str, data: np.ndarray) -> dict[str, Any]:
    """An X-ray entry of a Velox file with detectors X1, X2, …, a quarter turn apart."""
    detectors = {
        f"Detector-{i}": {"DetectorName": f"X{i}", "ElevationAngle": angle,
                          "AzimuthAngle": str(0.5 * i * np.pi)}
        for i, angle in enumerate(elevations, 1)
    }  # fmt: skip
    original = {"Detectors": {"Detector-0": {"DetectorName": "DF"}, **detectors}}
    original |= {"BinaryResult": {"Detector": of}, "DetectorMetadata": {"ElevationAngle": "0.3"}}
    key = "Acquisition_instrument.TEM.Detector.EDS.elevation_angle"
    mapping = {"DetectorMetadata.ElevationAngle": (key, lambda x: round(float(x), 3))}
    return entry("EDS", data, "EDS_TEM", original_metadata=original, mapping=mapping)


@io
@pytest.mark.parametrize(
    ("elevations", "of", "shape", "wanted"),
    [
        (["0.31415927"] * 4, "X3", (40,), {"elevation_angle": 18.0, "azimuth_angle": 270.0}),
        (["0.31415927"] * 4, "X", (40,), {"elevation_angle": 18.0}),
        (["0.31415927"] * 4, "X3", (6, 5, 40), {"elevation_angle": 18.0}),
        (["0.55955256", "-0.55955256"], "X", (6, 5, 40), {"elevation_angle": 32.06}),
        (["0.31415927", "0.5"], "X", (6, 5, 40), {}),
        (["0.31415927", "0.5"], "X2", (40,), {"elevation_angle": 28.648, "azimuth_angle": 180.0}),
        (["high"], "X1", (40,), {"azimuth_angle": 90.0}),
        ([], "X1", (40,), {}),
    ],
)
def test_detectors_of_velox_stand_where_the_file_says(
    tmp_path, monkeypatch, elevations, of, shape, wanted
):
    """In radians for every detector; below the specimen's plane negative."""
    held = velox(elevations, of, np.ones(shape))
    path = stub(monkeypatch, "emd", lambda filename, lazy=False: [held], tmp_path / "x.emd")
    scope = load(path).metadata["Acquisition_instrument"]["TEM"]["Detector"]["EDS"]
    assert scope == pytest.approx(wanted)

"""Microscopes' files: what is written comes back calibrated."""

from __future__ import annotations

import warnings
from importlib import import_module

import numpy as np
import pytest

import fusion as fu
from fusion.files import load, one
from tests.helpers.microscope_files import (
    CUBE,
    EV,
    LOSS,
    MAP,
    axes_of,
    hspy,
    io,
    same,
    velox,
    write,
)


@io
@pytest.mark.parametrize(
    ("api", "suffix", "options"),
    [
        ("hspy", "hspy", {}),
        ("hspy", "hdf5", {}),
        ("zspy", "zspy", {}),
        ("zspy", "zspy", {"store_type": "zip"}),
        ("ripple", "rpl", {}),
        ("emd", "emd", {}),
        ("nexus", "NXS", {}),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_map_comes_back_with_its_calibration(tmp_path, api, suffix, options, dtype):
    if api == "zspy":
        zarr = pytest.importorskip("zarr", reason="zspy needs zarr")
        if not hasattr(zarr.storage, "NestedDirectoryStore"):
            pytest.skip("RosettaSciIO writes zspy with zarr < 3 only")
    path, data = tmp_path / f"map.{suffix}", CUBE.astype(dtype)
    write(path, api, data, axes_of(data, "y", "x", "Energy loss"), "EELS", **options)
    dataset = load(path)
    same(dataset, data, *MAP, LOSS)
    assert dataset.signal == 1
    assert dataset.metadata["General"]
    assert dataset.numpy().dtype == dtype


@io
@pytest.mark.parametrize(("api", "suffix"), [("hspy", "hspy"), ("ripple", "rpl"), ("emd", "emd")])
def test_what_is_lazy_is_read_when_it_is_needed_and_equals_the_eager(tmp_path, api, suffix):
    path = tmp_path / f"map.{suffix}"
    write(path, api, CUBE, axes_of(CUBE, "y", "x", "Energy loss"), "EELS")
    dataset = load(path)
    assert dataset.lazy is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        eager = import_module(f"rsciio.{api}").file_reader(str(path))[0]["data"]
    np.testing.assert_array_equal(dataset.numpy(), eager)
    assert dataset.lazy is None


@io
def test_a_single_spectrum_is_a_data_set(tmp_path):
    spectrum = CUBE[0, 0].astype(float)
    told = axes_of(spectrum, "Energy", Energy={"units": "keV", "scale": 0.01})
    path = write(tmp_path / "s.msa", "msa", spectrum, told, "EDS_TEM")
    same(load(path), spectrum, fu.Axis("energy", 0.01, 0.0, "keV"))
    assert load(path).name == "eds"


@io
def test_an_image_has_no_signal_axis(tmp_path):
    pytest.importorskip("tifffile", reason="tif needs tifffile")
    told = axes_of(CUBE[..., 0], "y", "x", signal=2)
    image = load(write(tmp_path / "ADF image.tif", "tiff", CUBE[..., 0], told))
    same(image, CUBE[..., 0], *MAP)
    assert (image.name, image.signal) == ("adf_image", 0)


@io
def test_without_flags_the_last_axis_of_spectra_or_of_more_than_two_is_the_signal(tmp_path):
    for name, data, kind in (("line", CUBE[0], "EELS"), ("stack", CUBE, "")):
        labels = ("y", "x", "depth")[-data.ndim :]
        path = hspy(tmp_path / f"{name}.hspy", data, *labels, kind=kind, signal=data.ndim)
        assert load(path).signal == 1


@io
def test_diffraction_patterns_have_two_signal_axes(tmp_path):
    data = np.arange(5 * 6 * 3 * 4).reshape(5, 6, 3, 4)
    path = hspy(tmp_path / "d.hspy", data, "y", "x", "ky", "kx", signal=2)
    same(load(path), data, *MAP, fu.Axis("ky"), fu.Axis("kx"))
    assert load(path).signal == 2


@io
def test_energies_first_in_the_file_are_last_in_the_data_set(tmp_path):
    first = np.moveaxis(CUBE, 2, 0)
    flags = {"Energy": {"navigate": False}, "x": {"navigate": True}, "y": {"navigate": True}}
    told = axes_of(first, "Energy loss", "y", "x", **flags)
    same(load(write(tmp_path / "a.hspy", "hspy", first, told)), CUBE, *MAP, LOSS)
    images = axes_of(first, "Energy loss", "y", "x", signal=2)  # filtered images, one per energy
    same(load(write(tmp_path / "b.hspy", "hspy", first, images)), CUBE, *MAP, LOSS)


@io
def test_uneven_energies_come_back_as_values_and_missing_names_as_the_usual_ones(tmp_path):
    energy = {"_type": "DataAxis", "axis": EV**1.01, "name": "<undefined>", "units": "eV"}
    nameless = {"name": None, "units": "<undefined>", "scale": 0.0}
    told = axes_of(CUBE, "y", "x", "Energy loss", y=nameless, Energy=energy)
    dataset = load(write(tmp_path / "a.hspy", "hspy", CUBE, told, "EELS"))
    loss = fu.Axis("energy loss", values=EV**1.01, units="eV")
    same(dataset, CUBE, fu.Axis("y"), MAP[1], loss)


@io
def test_velox_gives_images_the_x_ray_map_summed_over_detectors_and_the_spectrum(tmp_path):
    images = {"HAADF": CUBE.sum(2, dtype=np.uint16), "BF": CUBE[..., 0]}
    path = velox(tmp_path / "v.emd", CUBE, images, detectors=2)
    held = load(path)
    assert set(held) == {"haadf", "bf", "eds", "eds_spectrum"}
    scan = (fu.Axis("y", 0.5, units="nm"), fu.Axis("x", 0.5, units="nm"))
    energy = fu.Axis("energy", 0.01, -0.1, "keV")
    for name in ("haadf", "bf"):
        same(held[name], images[name.upper()], *scan)
        assert held[name].signal == 0
    same(held["eds"], 2 * CUBE, *scan, energy)
    same(held["eds_spectrum"], CUBE.sum((0, 1)), energy)
    assert load(path, signal="EDS").metadata["Signal"]["signal_type"] == "EDS_TEM"
    assert one(path).name == "eds"

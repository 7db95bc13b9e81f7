"""Oxford's h5oina: spectra in the shape of their map, energies, images, what does not fit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.cautions import FileWarning
from fusion.files import load, one, scan_in
from tests.helpers.h5oina_files import COUNTS, h5oina
from tests.helpers.microscope_files import same

h5py = pytest.importorskip("h5py", reason="h5oina needs h5py")
Y, X = fu.Axis("y", 0.25, units="µm"), fu.Axis("x", 0.5, units="µm")
ENERGY = fu.Axis("energy", 20.0, -100.0, "eV")


def test_a_map_has_its_pixels_energies_and_microscope_and_stays_in_the_file(tmp_path):
    held = one(h5oina(tmp_path / "a.h5oina"))
    pytest.importorskip("dask", reason="reading lazily needs dask")
    assert held.lazy is not None
    same(held, COUNTS, Y, X, ENERGY)
    assert held.metadata["Signal"]["signal_type"] == "EDS_SEM"
    scope = held.metadata["Acquisition_instrument"]["SEM"]
    assert (scope["beam_energy"], scope["magnification"]) == (15.0, 5000.0)
    assert scope["Detector"]["EDS"]["elevation_angle"] == pytest.approx(30.0)
    same(one(tmp_path / "a.h5oina", lazy=False), COUNTS, Y, X, ENERGY)


def test_pixels_stand_where_their_positions_say_in_whatever_order_they_are_written(tmp_path):
    order = np.random.default_rng(0).permutation(20)
    held = load(h5oina(tmp_path / "a.h5oina", order=order))
    same(held["eds"], COUNTS, Y, X, ENERGY)
    window = COUNTS[..., 5:8].sum(-1).astype(float)
    image = held["al_ka1"]
    seen = ~image.mask.numpy()
    np.testing.assert_array_equal(image.numpy()[seen], window[seen])
    assert np.flatnonzero(~seen.ravel()).tolist() == [order[0]]


def test_without_positions_row_by_row_is_taken_and_said(tmp_path):
    path = h5oina(tmp_path / "a.h5oina", positions=False)
    with pytest.warns(FileWarning, match="row by row is taken"):
        same(one(path), COUNTS, Y, X, ENERGY)


def test_electron_images_are_fused_with_the_map_and_computed_images_are_not(tmp_path):
    path = h5oina(tmp_path / "a.h5oina")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held = load(path)
    assert list(held) == ["eds", "al_ka1", "composition_al", "electron_image_1"]
    assert [data.signal for data in held.values()] == [1, 0, 0, 0]
    assert "Window Integral of Al Ka1" in held["al_ka1"].history
    same(held["electron_image_1"], np.arange(20).reshape(4, 5), Y, X)
    with pytest.warns(FileWarning, match=r"al_ka1 \(Window Integral of Al Ka1\)"):
        assert [data.name for data in scan_in(path)] == ["eds", "electron_image_1"]


def test_line_scans_single_spectra_and_several_detectors_and_acquisitions(tmp_path):
    line = h5oina(tmp_path / "line.h5oina", COUNTS[0])
    same(one(line), COUNTS[0], X, ENERGY)
    point = h5oina(tmp_path / "point.h5oina", COUNTS[0, :1])
    same(load(point)["eds"], COUNTS[0, 0], ENERGY)
    two = load(h5oina(tmp_path / "two.h5oina", detectors=("EDS1", "EDS2")))
    assert {"eds1", "eds2", "eds1_al_ka1", "eds2_composition_al"} <= set(two)
    parts = load(h5oina(tmp_path / "parts.h5oina", slices=("3", "7")))
    assert {"eds_3", "eds_7", "al_ka1_3", "electron_image_1_7"} <= set(parts)


def test_before_version_7_there_are_images_alone(tmp_path):
    held = load(h5oina(tmp_path / "a.h5oina", spectrum=False))
    assert list(held) == ["al_ka1", "composition_al", "electron_image_1"]


def test_a_transmission_microscope_is_known_by_its_voltage(tmp_path):
    held = one(h5oina(tmp_path / "a.h5oina", Beam_Voltage=200.0))
    assert held.metadata["Signal"]["signal_type"] == "EDS_TEM"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"X_Cells": 6}, "positions X are not|shape|positions Y are not"),
        ({"X_Cells": 6, "positions": False}, r"/1/EDS/Data/Spectrum has shape \(20, 16\), its he"),
        ({"X_Cells": 0}, "0 × 4 cells"),
        ({"X_Step": 0.1}, "positions X are not those of a map of 5 × 4 cells"),
    ],
)
def test_a_file_that_is_not_as_its_header_says_is_refused(tmp_path, changes, said):
    path = h5oina(tmp_path / "a.h5oina", **changes)
    with pytest.raises(ValueError, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_file_without_the_groups_of_the_specification_tells_the_lines_that_open_it(tmp_path):
    path = tmp_path / "a.h5oina"
    with h5py.File(path, "w") as file:
        file["1/EDS/Data/Spectrum"] = COUNTS.reshape(20, 16)
    with pytest.raises(ValueError, match="not as h5oina is") as caught:
        load(path)
    line = f'fu.load("{path}", dataset="/1/EDS/Data/Spectrum")'
    assert f"  {line}  20 × 16 int32" in str(caught.value).splitlines()
    assert eval(line, {"fu": fu}).shape == (20, 16)
    with pytest.raises(ValueError, match="h5oina has no such option"):
        load(path, rebin_energy=2)

"""NumPy's files: which array is meant, its energies, its calibration."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fusion as fu
from fusion.files import load, one
from tests.helpers.microscope_files import CUBE, EV, same, wrong
from tests.helpers.paths import shared_file


def test_the_array_called_data_is_the_one_meant_and_the_others_are_there_by_name(tmp_path):
    path = tmp_path / "example.npz"
    truth = np.ones((2, 12))
    np.savez(path, data=CUBE, energy=EV, energy_units="ev", truth_S=truth)
    energy = fu.Axis("energy", 1.0, 90.0, "eV")
    same(one(path), CUBE, fu.Axis("y"), fu.Axis("x"), energy)
    same(load(path, signal="TRUTH_s"), truth, fu.Axis("x"), energy)
    assert one(path).name == "data"


@pytest.mark.parametrize(
    ("name", "unit"), [("eV", "eV"), ("keV", "keV"), ("energy_keV", "keV"), ("counts_energy", "")]
)
def test_a_single_array_takes_the_energies_that_fit_and_their_unit_from_the_name(
    tmp_path, name, unit
):
    np.savez(tmp_path / "a.npz", counts=CUBE, **{name: EV}, gain=np.sin(EV), other=np.arange(7))
    same(load(tmp_path / "a.npz"), CUBE, *map(fu.Axis, "yx"), fu.Axis("energy", 1.0, 90.0, unit))


def test_several_arrays_are_all_given_each_with_its_own_energies(tmp_path):
    path = tmp_path / "both.npz"
    own = {"eels_eV": EV, "edxs_keV": EV / 10, "C": np.ones((3, 5))}
    np.savez(path, eels=CUBE, edxs=CUBE, mask=CUBE > 3, **own)
    held = load(path)
    assert list(held) == ["eels", "edxs", "C"]
    assert [held[name].axes[-1].units for name in held] == ["eV", "keV", ""]
    assert held["C"].axes[-1].name == "channel"
    said = wrong(path)
    assert said.splitlines()[1:3] == [
        '  signal="eels"  5 × 6 × 12 map',
        '  signal="edxs"  5 × 6 × 12 map',
    ]
    assert 'no data set \'adf\' in it; there are "eels", "edxs"' in wrong(path, signal="adf")


def test_what_is_asked_of_several_data_sets_is_answered_by_how_to_take_the_map(tmp_path):
    np.savez(tmp_path / "a.npz", line=CUBE[0], eels=CUBE)
    both = load(tmp_path / "a.npz", progress=False)
    with pytest.raises(AttributeError, match=r"`….summary`: .* 'line', 'eels': take one, `…\['li"):
        both.summary()
    with pytest.raises(KeyError, match="no data set 'edx'; there are 'line', 'eels'"):
        both["edx"]
    with pytest.raises(AttributeError, match="no attribute 'summery'"):
        _ = both.summery
    assert both.get("edx") is None
    assert copy.copy(both) == both
    assert len(repr(both).splitlines()) == 3


def test_arrays_of_which_two_could_be_the_energies_give_none(tmp_path):
    np.savez(tmp_path / "a.npz", map=CUBE, first=EV, second=EV)
    assert load(tmp_path / "a.npz").axes[-1].name == "channel"


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path):
    np.savez(tmp_path / "a.npz", x=CUBE, X=CUBE + 1)
    np.testing.assert_array_equal(load(tmp_path / "a.npz", signal="X").numpy(), CUBE + 1)
    np.savez(tmp_path / "b.npz", abc=CUBE, ABC=CUBE)
    assert "'Abc' could be abc" in wrong(tmp_path / "b.npz", signal="Abc")


@pytest.mark.parametrize(
    "told",
    [
        {"pixel_size": 0.5, "pixel_units": "um"},
        {"pixel_size": [0.5, 0.5], "pixel_units": "μm"},
        {"nav_axes": ["('height', 0.5, 'µm')", "('x', 0.5, 'micron')"]},
    ],
)
def test_the_scan_is_calibrated_from_what_lies_beside(tmp_path, told):
    np.savez(tmp_path / "a.npz", data=CUBE, **told)
    scan = (fu.Axis("y", 0.5, units="µm"), fu.Axis("x", 0.5, units="µm"))
    same(load(tmp_path / "a.npz"), CUBE, *scan, fu.Axis("channel"))


def test_an_npy_is_named_as_the_file_and_a_single_spectrum_is_a_data_set(tmp_path):
    np.save(tmp_path / "My Map.npy", CUBE)
    np.save(tmp_path / "spectrum.npy", EV)
    assert load(tmp_path / "My Map.npy").name == "my_map"
    same(load(tmp_path / "My Map.npy"), CUBE, *map(fu.Axis, ("y", "x", "channel")))
    same(load(tmp_path / "spectrum.npy"), EV, fu.Axis("channel"))


@pytest.mark.parametrize(
    ("path", "shape", "units", "step"),
    [
        ("nmc_eels/nmc_tm_o_si.npz", (2, 21, 2048), ("µm", "µm", "eV"), 0.3),
        ("espm_geology_edxs/88GPa_80x80.npz", (80, 80, 1917), ("µm", "µm", "keV"), 0.0100047),
        ("nist_edxs/FePt_core_shell.npz", (64, 64, 992), ("nm", "nm", "keV"), 0.02),
        ("nist_edxs/FePt_bare_core.npz", (84, 84, 992), ("nm", "nm", "keV"), 0.02),
        ("mn3o4_phantom/SI_data.npz", (24, 22, 138), ("", "", "eV"), 1.38686),
        ("multiway/kinetic_f32.npz", (64, 12, 10, 60), ("", "", "", ""), 1.0),
    ],
)
def test_a_shared_file_with_one_map_is_that_map(path, shape, units, step):
    dataset = load(shared_file(path))
    assert isinstance(dataset, fu.Dataset)
    assert dataset.shape == shape
    assert tuple(each.units for each in dataset.axes) == units
    assert dataset.axes[-1].uniform
    assert dataset.axes[-1].scale == pytest.approx(step, rel=1e-5)


def test_a_shared_file_with_several_arrays_gives_them_all():
    held = load(shared_file("figure_cases", "fig3_sim.npz"))
    assert list(held) == ["counts", "bgsub", "S", "C", "background"]
    assert held["bgsub"].axes[-1] == fu.Axis("energy", 0.25, 90.0, size=241)

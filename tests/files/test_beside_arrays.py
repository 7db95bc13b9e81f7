"""What lies beside an array of an npz: images, energies, sizes of pixels, masks, variances."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.cautions import FileWarning
from fusion.files import load, one, scan_in
from tests.helpers.microscope_files import CUBE, EV, same, wrong
from tests.helpers.saved_data import assert_equal

RNG = np.random.default_rng(0)
IMAGE = RNG.random((5, 6))
NM = {"units": "nm"}
X, Y = fu.Axis("x", 0.5, **NM), fu.Axis("y", 0.25, **NM)
UNEVEN = fu.Axis("energy loss", values=np.arange(12) ** 1.5 + 100, units="eV")


def test_an_array_of_the_pixels_of_a_map_is_an_image_of_its_step_and_fused_with_it(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, eels=CUBE, eels_eV=EV, haadf=IMAGE, pixel_size=0.5, pixel_units="nm")
    held = load(path)
    assert (held["haadf"].signal, held["eels"].signal) == (0, 1)
    same(held["haadf"], IMAGE, fu.Axis("y", 0.5, **NM), fu.Axis("x", 0.5, **NM))
    assert [(data.name, data.signal) for data in scan_in(path)] == [("eels", 1), ("haadf", 0)]


def test_an_array_of_the_pixels_of_a_map_with_energies_of_its_own_is_a_line_of_spectra(tmp_path):
    np.savez(tmp_path / "a.npz", eels=CUBE, edge=IMAGE, edge_eV=np.arange(6.0))
    assert load(tmp_path / "a.npz")["edge"].axes[-1].units == "eV"


def test_the_truth_of_a_simulation_is_there_by_name_and_never_meant(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, si=CUBE, energy=EV, truth_S=np.ones((2, 12)), truth_C=np.ones((2, 5, 6)))
    assert one(path).name == "si"
    with pytest.warns(FileWarning, match=r"truth_S \(the truth of a simulation\), truth_C"):
        assert [data.name for data in scan_in(path)] == ["si"]
    assert load(path, signal="truth_C").shape == (2, 5, 6)


@pytest.mark.parametrize(
    ("name", "values", "units", "meant"),
    [
        ("cl_wavelength", EV, {"cl_wavelength_units": "nm"}, fu.Axis("wavelength", 1, 90, "nm")),
        ("cl_nm", EV, {}, fu.Axis("wavelength", 1, 90, "nm")),
        ("cl_wavenumber", EV, {"wavenumber_units": "cm-1"}, fu.Axis("wavenumber", 1, 90, "1/cm")),
        ("cl_energy_keV", EV, {}, fu.Axis("energy", 1, 90, "keV")),
        ("wavelength", EV, {"wavelength_units": "nm"}, fu.Axis("wavelength", 1, 90, "nm")),
    ],
)
def test_positions_along_the_spectral_axis_are_read_by_every_name(
    tmp_path, name, values, units, meant
):
    np.savez(tmp_path / "a.npz", cl=CUBE, **{name: values}, **units)
    same(load(tmp_path / "a.npz"), CUBE, fu.Axis("y"), fu.Axis("x"), meant)


def test_masks_and_variances_beside_an_array_are_its_own(tmp_path):
    path, pixels = tmp_path / "a.npz", IMAGE > 0.8
    variance = 1 + RNG.random(CUBE.shape)
    np.savez(path, eels=CUBE, eels_variance=variance, edx=CUBE, edx_mask=CUBE > 15, mask=pixels)
    held = load(path)
    assert list(held) == ["eels", "edx"]
    np.testing.assert_array_equal(held["eels"].variance, variance)
    np.testing.assert_array_equal(held["eels"].mask, pixels[..., None])
    np.testing.assert_array_equal(held["edx"].mask, CUBE > 15)
    assert held["edx"].variance is None
    assert "mask from edx_mask" in held["edx"].history


def test_a_mask_of_numbers_that_are_not_0_and_1_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", eels=CUBE, eels_mask=(IMAGE > 0.5).astype(int))
    assert load(tmp_path / "a.npz").mask.sum() == (IMAGE > 0.5).sum()
    np.savez(tmp_path / "a.npz", eels=CUBE, eels_mask=np.arange(30).reshape(5, 6))
    assert "eels_mask is no mask, it has values from 0 to 29" in wrong(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"eels_energy": EV[1:]}, r"eels_energy is of shape \(11,\), eels has 12 channels"),
        ({"eels_mask": IMAGE[1:] > 1}, r"eels_mask is \(4, 6\) bool, eels of shape \(5, 6, 12\)"),
        ({"eels_variance": EV[1:]}, r"eels_variance is \(11,\) float64, eels of shape"),
        ({"eels_mask": IMAGE}, r"eels_mask is \(5, 6\) float64.*as booleans"),
        ({"eels_energy": EV * np.nan}, "eels_energy: .*not finite"),
    ],
)
def test_what_is_there_for_an_array_and_does_not_fit_it_is_an_error(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", eels=CUBE, **arrays)
    with pytest.raises(ValueError, match=said):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pixel_size": [1.0, 1.0, 1.0]}, r"3 numbers, data has 2 axes of pixels \(5 × 6\)"),
        ({"pixel_size": 0.0}, "pixel_size of a.npz is not used: no sizes above 0, but 0.0"),
        ({"haadf_energy": EV[1:]}, r"haadf_energy \(11,\) float64: not used"),
        ({"mask": IMAGE[1:] > 1}, r"mask \(4, 6\) bool: not used"),
        ({"odd": IMAGE * 1j}, r"left out of a.npz: odd \(5, 6\) complex128, not real"),
    ],
)
def test_what_is_used_for_nothing_is_said_and_stands_in_the_history(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", data=CUBE, **arrays)
    with pytest.warns(FileWarning, match=said):
        held = load(tmp_path / "a.npz")
    assert fu.Dataset("a", CUBE).axes == held.axes
    assert any("not used" in line or "left out" in line for line in held.history)


@pytest.mark.parametrize(
    "data",
    [
        fu.Dataset("image", IMAGE, axes=[Y, X], signal=0, mask=IMAGE < 0.2, variance=3.0),
        fu.Dataset("stack", RNG.random((3, 6, 7)), axes=["tilt", Y, X], signal=0),
        fu.Dataset("patterns", RNG.random((2, 3, 9, 8)), axes=[Y, X, "channel 0", "channel 1"],
                   signal=2),
        fu.Dataset("line", IMAGE, axes=[X, fu.Axis("wavelength", 2.0, 300.0, "nm")],
                   mask=np.arange(6)[None] < 3, variance=1 + RNG.random((1, 6))),
        fu.Dataset("one", EV, axes=[UNEVEN]),
        fu.Dataset("xps", CUBE, axes=[Y, X, fu.Axis("binding energy", 2.0, 300.0, "eV")]),
        fu.Dataset("raman", CUBE, axes=[Y, X, fu.Axis("raman shift", 2.0, 300.0, "1/cm")],
                   mask=IMAGE < 0.2, variance=1 + RNG.random((5, 6, 1))),
        fu.Dataset("plain", CUBE),
        fu.Dataset("tilted", RNG.integers(0, 9, (2, 3, 4, 12)), axes=["tilt", Y, X, UNEVEN]),
    ],
    ids=lambda data: data.name,
)  # fmt: skip
def test_what_save_writes_into_an_npz_comes_back_equal(tmp_path, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.save(tmp_path / "a.npz")
        held = load(tmp_path / "a.npz")
    assert held.name == data.name
    assert_equal(fu.Dataset(held.name, held.numpy(), axes=held.axes, signal=held.signal,
                            mask=held.mask, variance=held.variance), data)  # fmt: skip


def test_what_an_npz_of_patterns_does_not_hold_is_said(tmp_path):
    axes = [Y, X, fu.Axis("ky", 0.1, units="1/nm"), fu.Axis("kx", 0.1, units="1/nm")]
    data = fu.Dataset("patterns", RNG.random((2, 3, 9, 8)), axes=axes, signal=2)
    with pytest.warns(fu.CutWarning, match=r"npz does not hold what the axes are \(ky, kx\)"):
        data.save(tmp_path / "a.npz")


def test_options_that_numpys_files_do_not_have_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", data=CUBE)
    np.save(tmp_path / "a.npy", CUBE)
    for name in ("a.npz", "a.npy"):
        with pytest.raises(ValueError, match=r"rebin_energy=…\)`: NumPy's files have no such"):
            load(tmp_path / name, rebin_energy=2)
    with pytest.raises(ValueError, match="an npz is read at once"):
        load(tmp_path / "a.npz", lazy=True)
    pytest.importorskip("dask", reason="reading lazily needs dask")
    held = load(tmp_path / "a.npy", lazy=True)
    assert held.lazy is not None
    np.testing.assert_array_equal(held.numpy(), CUBE)


def test_positions_of_a_scan_are_those_of_its_axes_not_a_spectrum(tmp_path):
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    x, y = 0.5 * np.arange(9), 0.25 * np.arange(6)
    np.savez(path, data=rng.normal(size=(6, 9)), x=x, y=y)
    image = fu.load(path)
    assert (image.signal, [a.name for a in image.axes]) == (0, ["y", "x"])
    assert [axis.scale for axis in image.axes] == [0.25, 0.5]
    np.savez(path, data=rng.normal(size=(6, 9, 9)), x=x, y=y, energy=100.0 + np.arange(9))
    data = fu.load(path)
    assert [(a.name, a.scale) for a in data.axes] == [("y", 0.25), ("x", 0.5), ("energy", 1.0)]
    np.savez(path, data=rng.normal(size=(6, 20, 20)), x=0.5 * np.arange(20))
    assert fu.load(path).axes[-1].name == "channel"


def test_every_axis_of_a_scan_may_have_a_unit_of_its_own(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, data=np.ones((6, 9, 20)), pixel_size=[0.5, 0.2], pixel_units=["nm", "µm"])
    assert [axis.units for axis in fu.load(path).pixels] == ["nm", "µm"]


@pytest.mark.parametrize("where", ["row", "column", "none"])
def test_a_mask_of_whole_lines_of_a_scan_is_one_of_pixels(tmp_path, where):
    mask = np.zeros((6, 9), bool)
    mask[{"row": (2, slice(None)), "column": (slice(None), 3), "none": slice(0, 0)}[where]] = True
    np.savez(tmp_path / "a.npz", data=np.ones((6, 9, 20)), mask=mask)
    held = fu.load(tmp_path / "a.npz").mask
    np.testing.assert_array_equal(held.expand(6, 9, 20)[..., 0].numpy(), mask)


SPECTRUM = np.random.default_rng(3).poisson(9.0, 50).astype(float)
STEPS = 100 + 2.0 * np.arange(50)
LONE = {
    "alone": ({"data": SPECTRUM}, {"data": "channel"}),
    "without a name": ({"arr_0": SPECTRUM}, {"arr_0": "channel"}),
    "with energies": (
        {"spectrum": SPECTRUM, "energy": STEPS, "energy_units": "eV"}, {"spectrum": "energy"}
    ),
    "x and y": ({"x": STEPS, "y": SPECTRUM}, {"y": "x"}),
    "two and what they run along": (
        {"e": STEPS, "s1": SPECTRUM, "s2": SPECTRUM + 1}, {"s1": "e", "s2": "e"}
    ),
    "that only rises": ({"data": STEPS}, {"data": "channel"}),
    "with a mask and a variance": (
        {"data": SPECTRUM, "mask": SPECTRUM > 12, "variance": SPECTRUM + 1}, {"data": "channel"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LONE)
def test_a_file_without_a_map_holds_single_spectra(name, tmp_path):
    arrays, wanted = LONE[name]
    np.savez(tmp_path / "a.npz", **arrays)
    found = fu.load(tmp_path / "a.npz")
    found = found if isinstance(found, dict) else {found.name: found}
    assert {key: data.axes[0].name for key, data in found.items()} == wanted
    for key, data in found.items():
        assert (data.signal, data.shape) == (1, (50,))
        np.testing.assert_array_equal(data.numpy(), arrays[key])
        if data.axes[0].name != "channel":
            np.testing.assert_allclose(data.axes[0].values, STEPS)
        assert (data.variance is not None) == ("variance" in arrays)
        assert (data.mask is not None) == ("mask" in arrays)


def test_a_spectrum_beside_a_map_is_no_data_set_as_before(tmp_path):
    np.savez(tmp_path / "a.npz", map=np.ones((3, 4, 50)), sums=SPECTRUM)
    assert fu.load(tmp_path / "a.npz").name == "map"


def test_a_spectrum_of_an_npy_is_read_as_that_of_an_npz(tmp_path):
    np.save(tmp_path / "a.npy", SPECTRUM)
    data = fu.load(tmp_path / "a.npy")
    assert (data.signal, data.shape) == (1, (50,))

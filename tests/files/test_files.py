"""Files: what is written comes back calibrated, and one line for everything that is wrong."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.files import load, one
from fusion.files.calibration import axis, axis_name, slug, unit
from fusion.files.signal_dictionaries import names
from tests.helpers.paths import shared_file

io = pytest.mark.skipif(find_spec("rsciio") is None, reason='needs pip install "sdfusion[io]"')

CUBE = np.random.default_rng(0).poisson(9, (5, 6, 12)).astype(np.uint16)
EV = np.linspace(90, 101, 12)
PLACES = {"y": (0.5, 1.0, "nm"), "x": (0.5, 2.0, "nm"), "Energy loss": (0.25, 90.0, "eV")}
MAP = (fu.Axis("y", *PLACES["y"]), fu.Axis("x", *PLACES["x"]))
LOSS = fu.Axis("energy loss", 0.25, 90.0, "eV")


def axes_of(data: np.ndarray, *labels: str, signal: int = 1, **changes) -> list[dict]:
    """RosettaSciIO's axes of an array, the last `signal` of them not navigated."""
    told = []
    for i, (label, n) in enumerate(zip(labels, data.shape, strict=True)):
        scale, offset, units = PLACES.get(label, (1.0, 0.0, ""))
        entry = {"name": label, "size": n, "scale": scale, "offset": offset, "units": units}
        entry |= {"navigate": i < data.ndim - signal, "index_in_array": i, "is_binned": False}
        told.append(entry | {"_type": "UniformDataAxis"} | changes.get(label.partition(" ")[0], {}))
    return told


def write(path: Path, api: str, data: np.ndarray, axes: list[dict], kind: str = "", **options):
    """Write the array with RosettaSciIO's own writer."""
    told = {"General": {"title": options.pop("title", "a map")}, "Signal": {"signal_type": kind}}
    signal = {"data": data, "axes": axes, "metadata": told, "original_metadata": {}}
    signal |= {key: {} for key in ("tmp_parameters", "learning_results", "models")}
    signal |= {"package_info": {"package": "sdfusion", "package_version": "0"}}
    signal |= {"attributes": {"_lazy": False, "ragged": False}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module(f"rsciio.{api}").file_writer(str(path), signal, **options)
    return path


def hspy(path: Path, data: np.ndarray, *labels: str, kind: str = "", **options) -> Path:
    pytest.importorskip("h5py", reason="hspy needs h5py")
    return write(path, "hspy", data, axes_of(data, *labels, **options), kind)


def eels(path: Path) -> Path:
    return hspy(path, CUBE, "y", "x", "Energy loss", kind="EELS")


def velox(path: Path, cube: np.ndarray, images: dict[str, np.ndarray], detectors: int) -> Path:
    """An emd as Velox writes it: images, and a stream of X-ray events per detector."""
    h5py = pytest.importorskip("h5py", reason="emd needs h5py")
    pytest.importorskip("sparse", reason="RosettaSciIO needs sparse for Velox's X-ray maps")
    place = {"PixelSize": {"width": "5e-10", "height": "5e-10"}, "Offset": {"x": "0", "y": "0"}}
    place |= {"PixelUnitX": "m", "PixelUnitY": "m", "DetectorIndex": "0", "Detector": "SuperX"}
    detector = {"DetectorName": "SuperX", "Dispersion": "10", "OffsetEnergy": "-100"}
    told = {"BinaryResult": place, "Detectors": {"Detector-0": detector}, "Scan": {}}
    told["Acquisition"] = {"AcquisitionStartDatetime": {"DateTime": "0"}}
    pixels = cube.reshape(-1, cube.shape[-1])
    events = [[*np.repeat(np.arange(len(counts)), counts), 65535] for counts in pixels]
    stream = np.concatenate(events).astype(np.uint16)[:, None]
    with h5py.File(path, "w") as file:

        def put(where: str, content: dict) -> None:
            text = h5py.string_dtype("utf-8")
            file.create_dataset(where, data=[json.dumps(content)], dtype=text)

        def data(where: str, array: np.ndarray) -> None:
            file.create_dataset(f"{where}/Data", data=array, chunks=array.shape)
            letters = np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)
            file.create_dataset(f"{where}/Metadata", data=letters[:, None])

        put("Version", {"format": "Velox", "version": "10"})
        file.create_group("Presentation/Displays/ImageDisplay")
        for name, image in images.items():
            data(f"Data/Image/{name}", image[..., None])
            source = {"dataPath": f"/Data/Image/{name}", "detector": name}
            put(f"Operations/StemInputOperation/{name}", source)
        put("Data/SpectrumImage/0/SpectrumImageSettings", {"endFramePosition": "1"})
        for i in range(detectors):
            data(f"Data/SpectrumStream/{i}", stream)
            settings = {"bincount": str(cube.shape[-1]), "StreamEncoding": "uint16"}
            put(f"Data/SpectrumStream/{i}/AcquisitionSettings", settings)
        data("Data/Spectrum/0", cube.sum((0, 1))[:, None].astype(np.float32))
    return path


def wrong(path: Path, **options) -> str:
    """The one line that says why a file cannot be used."""
    with pytest.raises((ValueError, OSError)) as caught:
        one(path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def same(dataset: fu.Dataset, data: np.ndarray, *axes: fu.Axis) -> None:
    np.testing.assert_array_equal(dataset.numpy(), data)
    for got, meant, n in zip(dataset.axes, axes, data.shape, strict=True):
        assert (got.name, got.units, got.uniform) == (meant.name, meant.units, meant.uniform)
        np.testing.assert_allclose(got.values, meant.sized(n).values, rtol=1e-12, atol=1e-12)


# --- NumPy's files ---------------------------------------------------------------------------


def test_the_array_called_data_is_the_one_meant_and_the_others_are_there_by_name(tmp_path):
    path = tmp_path / "example.npz"
    truth = np.ones((2, 12))
    np.savez(path, data=CUBE, energy=EV, energy_units="ev", truth_S=truth)
    energy = fu.Axis("energy", 1.0, 90.0, "eV")
    same(load(path), CUBE, fu.Axis("y"), fu.Axis("x"), energy)
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
    assert "eels (5, 6, 12) uint16 (y, x, energy); edxs" in said
    assert "signal='…' (--signal … on the command line)" in said
    assert "no data set 'adf' in it, but eels (5, 6, 12)" in wrong(path, signal="adf")


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


def test_even_positions_are_uniform_to_the_precision_in_which_they_are_stored():
    assert axis("e", np.linspace(0.15, 10, 985, dtype=np.float32)).uniform
    assert axis("e", 400 + 0.3 * np.arange(2048)).uniform
    uneven = 400 + 0.3 * np.arange(2048) ** 1.001
    np.testing.assert_array_equal(axis("e", uneven).values, uneven)
    assert axis("e", [7.0]).offset == 7.0
    assert not axis("e", [7.0, 7.0]).uniform


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


# --- microscopes' files ----------------------------------------------------------------------


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
        labels = ("y", "x", "depth")[: data.ndim]
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
    assert "haadf (5, 6) uint16 (y, x)" in wrong(path)


def test_names_within_a_file_are_short_and_none_is_given_twice():
    def entry(kind: str, title: str, ndim: int = 3) -> dict:
        told = {"General": {"title": title}, "Signal": {"signal_type": kind}}
        return {"data": np.zeros((2,) * ndim), "metadata": told}

    losses = [entry("EELS", "EELS (low loss)"), entry("EELS", "EELS (high loss)")]
    assert names(losses, "file") == ["eels_low_loss", "eels_high_loss"]
    alike = [entry("EDS_TEM", "EDS"), entry("EDS_TEM", "EDS"), entry("EDS_TEM", "EDS", 1)]
    assert names(alike, "file") == ["eds", "eds_2", "eds_spectrum"]
    assert names([entry("", "", 2), entry("", "Übersicht µ", 2)], "file") == ["file", "ubersicht"]
    assert slug("HAADF-Detector 2!") == "haadf_detector_2"


def test_words_of_other_programs_become_this_projects():
    written = ["Energy-loss", "X-ray energy", "Width", "HEIGHT", "Tilt_angle", "<undefined>", None]
    ours = ["energy loss", "energy", "x", "y", "tilt angle", "", ""]
    assert [axis_name(each) for each in written] == ours
    assert [unit(u) for u in ("EV", "kev", "um", "μm", "1/nm", "<undefined>", None, "meV")] == [
        *("eV", "keV", "µm", "µm", "1/nm", "", "", "meV")
    ]


# --- what is wrong ---------------------------------------------------------------------------


def test_what_is_no_file_is_said(tmp_path):
    assert "no such file" in wrong(tmp_path / "none.hspy")
    assert "is a folder: give a file" in wrong(tmp_path)
    for suffix in ("npz", "npy", "hspy"):
        (tmp_path / f"a.{suffix}").touch()
        assert "empty (0 bytes)" in wrong(tmp_path / f"a.{suffix}")


def test_what_is_no_numpy_file_is_said(tmp_path):
    for suffix in ("npz", "npy"):
        (tmp_path / f"a.{suffix}").write_text("energy counts\n1 2\n")
        assert f"not an {suffix} file: write one with" in wrong(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("left", [40, 600, 2000])
def test_what_is_left_of_a_truncated_file_is_not_read(tmp_path, left):
    np.savez(tmp_path / "a.npz", data=CUBE, energy=EV)
    np.save(tmp_path / "b.npy", np.ones((40, 40)))
    for path in (tmp_path / "a.npz", tmp_path / "b.npy"):
        path.write_bytes(path.read_bytes()[: min(left, path.stat().st_size - 100)])
        assert "cut off or damaged? Copy or save it again" in wrong(path)


def test_a_damaged_array_is_said(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, data=np.random.default_rng(0).random((9, 9, 9)))
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    assert "cut off or damaged" in wrong(path)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[{}, {}]], dtype=object), "object, which only pickle could read"),
        (np.ones((3, 4), complex), "complex128, not real"),
        (np.array(3.0), "() float64"),
        (np.ones((0, 4)), "(0, 4) float64"),
        (np.array([["a", "b"]]), "<U1"),
        (np.ones((3, 4), dtype=[("r", "u1"), ("g", "u1")]), "('r', 'u1')"),
        (np.ones((3, 4), dtype=bool), "bool"),
    ],
    ids=["object", "complex", "scalar", "empty", "text", "colour", "mask"],
)
def test_arrays_that_hold_no_real_numbers_are_listed(tmp_path, array, said):
    np.savez(tmp_path / "a.npz", thing=array)
    np.save(tmp_path / "thing.npy", array)
    for path in (tmp_path / "a.npz", tmp_path / "thing.npy"):
        message = wrong(path)
        assert "no numeric array" in message
        assert f"thing {array.shape}" in message
        assert said in message


def test_energies_of_another_length_are_said(tmp_path):
    np.savez(tmp_path / "a.npz", data=CUBE, energy=np.arange(7.0))
    assert "energy is of shape (7,), data has 12 channels" in wrong(tmp_path / "a.npz")


def test_a_saved_result_is_not_data(tmp_path):
    data = fu.Dataset("eels", CUBE)
    model = fu.models.NMF(data, 1)
    fu.fit(model, fu.losses.Frobenius(data), max_steps=3, progress=False).save(tmp_path / "r.npz")
    assert "`fu.Result.load`" in wrong(tmp_path / "r.npz")
    assert "`sdfusion plot`" in wrong(tmp_path / "r.npz")


@io
def test_a_suffix_that_no_reader_knows_is_said_with_those_that_are_known(tmp_path):
    for name in ("a.docx", "a", "a.raw"):
        (tmp_path / name).write_text("text")
        assert "known are .npz, .npy, .hspy" in wrong(tmp_path / name)


@io
@pytest.mark.parametrize("suffix", ["dm4", "hspy", "emd", "rpl", "msa", "bcf", "ser", "tif", "h5"])
def test_a_picture_with_another_suffix_is_not_read(tmp_path, capsys, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)
    before = logging.getLogger("rsciio").level
    said = wrong(path)
    assert f"is .{suffix} its true suffix?" in said
    assert "cannot read it (" in said or "finds no array of real numbers" in said
    assert logging.getLogger("rsciio").level == before
    assert capsys.readouterr().out == ""


@io
def test_a_truncated_microscope_file_is_found_out_when_it_is_loaded(tmp_path):
    path = eels(tmp_path / "a.hspy")
    path.write_bytes(path.read_bytes()[:-3000])
    assert "HSPY cannot read it" in wrong(path)
    rpl = write(tmp_path / "b.rpl", "ripple", CUBE, axes_of(CUBE, "y", "x", "Energy loss"))
    (tmp_path / "b.raw").write_bytes((tmp_path / "b.raw").read_bytes()[:300])
    assert "Ripple cannot read it" in wrong(rpl)


@io
def test_complex_data_are_said(tmp_path):
    path = hspy(tmp_path / "a.hspy", CUBE * 1j, "y", "x", "Energy loss", kind="EELS")
    assert "no array of real numbers, but eels (5, 6, 12) complex128" in wrong(path)


@io
def test_axes_that_only_pickle_could_tell_are_not_guessed(tmp_path):
    path = tmp_path / "a.prz"
    write(path, "pantarhei", CUBE, axes_of(CUBE, "y", "x", "Energy loss"), "EELS")
    assert "save it as .hspy there" in wrong(path)


def test_without_rosettasciio_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rsciio", None)
    (tmp_path / "a.dm4").write_text("x")
    assert 'pip install "sdfusion[io]"' in wrong(tmp_path / "a.dm4")
    np.savez(tmp_path / "a.npz", data=CUBE)
    assert load(tmp_path / "a.npz").shape == CUBE.shape


@io
def test_a_package_that_the_reader_needs_is_named(tmp_path, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("rsciio.blockfile")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "skimage", None)
    (tmp_path / "a.blo").write_text("x")
    assert "Blockfile needs scikit-image (pip install scikit-image)" in wrong(tmp_path / "a.blo")

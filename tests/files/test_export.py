"""Results as files of other programs: what is written is read back, calibrated."""

from __future__ import annotations

import csv
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.cautions import CutWarning
from fusion.losses import Frobenius

io = pytest.mark.skipif(find_spec("rsciio") is None, reason='needs pip install "sdfusion[io]"')
Y, X = fu.Axis("y", 0.5, 3.0, "nm"), fu.Axis("x", 0.25, units="nm")
LOSS, PHOTON = fu.Axis("energy loss", 0.5, 400.0, "eV"), fu.Axis("energy", 0.01, 0.1, "keV")
BEAM = {"Acquisition_instrument": {"TEM": {"beam_energy": 200.0}}}


def answer(*axes: fu.Axis, mask: bool = False, loss: fu.Axis = LOSS) -> fu.Result:
    """A fit of EELS and EDXS on these pixels."""
    rng, shape = np.random.default_rng(0), (6, 8)[: len(axes)]
    hidden = np.arange(np.prod(shape)).reshape(shape) == 5 if mask else None
    sets = [
        fu.Dataset(name, rng.random((*shape, n)), axes=[*axes, axis], mask=hidden, metadata=BEAM)
        for name, n, axis in (("eels", 30, loss), ("edxs", 20, PHOTON))
    ]
    model, fits = fu.models.SharedMaps(*sets, K=3), Frobenius(sets[0]) + Frobenius(sets[1])
    return fu.fit(model, fits, max_steps=3, starts=1, progress=False)


@pytest.fixture(scope="module")
def result() -> fu.Result:
    return answer(Y, X)


def zspy() -> None:
    zarr = pytest.importorskip("zarr", reason="zspy needs zarr")
    if not hasattr(zarr.storage, "NestedDirectoryStore"):
        pytest.skip("RosettaSciIO writes zspy with zarr < 3 only")


@io
@pytest.mark.parametrize("suffix", ["hspy", "zspy", "HSPY"])
def test_all_factors_are_signals_with_their_axes_in_one_file(tmp_path, result, suffix):
    zspy() if suffix == "zspy" else pytest.importorskip("h5py", reason="hspy needs h5py")
    path = tmp_path / f"answer.{suffix}"
    assert result.save(path) == [path]
    result.save(path)  # over the old one
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    held = fu.load(path)
    assert isinstance(held, dict)
    assert set(held) == {"c", "eels", "eds"}
    np.testing.assert_array_equal(held["c"].numpy(), result["C"].T.reshape(3, 6, 8))
    np.testing.assert_array_equal(held["eels"].numpy(), result["S_eels"].T)
    np.testing.assert_array_equal(held["eds"].numpy(), result["S_edxs"].T)
    assert held["c"].axes[1:] == (Y.sized(6), X.sized(8))
    assert held["eels"].axes[-1] == LOSS.sized(30)
    assert held["eds"].axes[-1] == PHOTON.sized(20)
    assert held["eels"].axes[0].values.tolist() == [1, 2, 3]
    assert held["c"].signal == 2
    told = held["eels"].metadata
    assert told["Signal"]["signal_type"] == "EELS"
    assert held["eds"].metadata["Signal"]["signal_type"] == "EDS_TEM"
    assert told["Acquisition_instrument"]["TEM"]["beam_energy"] == 200
    assert "explained variance" in told["General"]["notes"]


@io
def test_uneven_energies_are_kept_by_hspy_and_refused_by_msa(tmp_path):
    pytest.importorskip("h5py", reason="hspy needs h5py")
    uneven = fu.Axis("energy loss", values=400 + np.arange(30) ** 1.1, units="eV")
    made = answer(X, loss=uneven)
    made.save(tmp_path / "a.hspy")
    held = fu.load(tmp_path / "a.hspy", signal="eels")
    np.testing.assert_allclose(held.axes[-1].values, uneven.values)
    with pytest.raises(ValueError, match=r"energies of S_eels are not even.*save as csv or hspy"):
        made.save(tmp_path / "a.msa")
    assert not list(tmp_path.glob("*.msa"))


@io
@pytest.mark.parametrize("units", ["nm", "µm", "Å", "m", ""])
def test_maps_are_stacks_of_images_with_scale_and_unit(tmp_path, units):
    tifffile = pytest.importorskip("tifffile", reason="tif needs tifffile")
    step = 1e-9 if units == "m" else 1.0
    axes = (fu.Axis("y", 0.5 * step, 3 * step, units), fu.Axis("x", 0.25 * step, 0.0, units))
    made = answer(*axes, mask=True)
    assert made.save(tmp_path / "maps.tif") == [tmp_path / "maps.tif"]
    stack = fu.load(tmp_path / "maps.tif")
    np.testing.assert_array_equal(stack.numpy(), made["C"].T.reshape(3, 6, 8).astype(np.float32))
    assert np.isnan(stack.numpy()[:, 0, 5]).all()
    assert [a.units for a in stack.axes[1:]] == ["nm" if units == "m" else units] * 2
    assert [a.scale for a in stack.axes[1:]] == pytest.approx([0.5, 0.25])
    assert stack.axes[1].offset == pytest.approx(3.0)
    with tifffile.TiffFile(tmp_path / "maps.tif") as file:  # what ImageJ reads
        page = file.pages[0]
        assert file.is_imagej
        assert page.dtype == np.float32
        (a, b), (c, d) = page.tags["XResolution"].value, page.tags["YResolution"].value
        assert (b / a, d / c) == pytest.approx((0.25, 0.5))
        unit = {"µm": "micron", "Å": "angstrom", "m": "nm"}.get(units, units)
        assert file.imagej_metadata["unit"] == unit


@io
@pytest.mark.parametrize(
    "names", [["Schale", "基板", "наночастица α"], ["שכבה", "كربون", "a" * 40], None]
)
def test_a_tif_has_the_components_names_of_any_script(tmp_path, names):
    tifffile = pytest.importorskip("tifffile", reason="tif needs tifffile")
    made = answer(Y, X)
    made = made if names is None else made.renamed(names)
    made.save(tmp_path / "maps.tif")
    with tifffile.TiffFile(tmp_path / "maps.tif") as file:
        held = file.imagej_metadata["Labels"]
        assert file.imagej_metadata["unit"] == "nm"
        assert len(file.pages) == 3
    assert held == (names or ["component 1", "component 2", "component 3"])
    stack = fu.load(tmp_path / "maps.tif")
    np.testing.assert_array_equal(stack.numpy(), made["C"].T.reshape(3, 6, 8).astype(np.float32))


@io
def test_names_that_an_msa_cannot_write_are_told_and_have_their_number(tmp_path):
    made = answer(Y, X).renamed({1: "Hülle", 2: "基板", 3: "α"})
    with pytest.warns(CutWarning, match=r"beyond Latin-1 \(of 基板, α, which have numbers\): hspy"):
        made.save(tmp_path / "a.msa")
    titles = [
        fu.load(path).metadata["General"]["title"] for path in sorted(tmp_path.glob("a_s_eels_*"))
    ]
    assert titles == ["s_eels Hülle", "s_eels 2", "s_eels 3"]


@io
def test_several_factors_on_the_maps_have_a_file_each(tmp_path):
    pytest.importorskip("tifffile", reason="tif needs tifffile")
    rng = np.random.default_rng(0)
    sets = [
        fu.Dataset(n, rng.random((6, 8, 9)), axes=[Y, X, axis])
        for n, axis in (("eels", LOSS), ("edxs", PHOTON))
    ]
    model = fu.models.SoftlyCoupled(*sets, 2)
    made = fu.fit(model, Frobenius(sets[0]) + Frobenius(sets[1]), max_steps=2, progress=False)
    names = sorted(path.name for path in made.save(tmp_path / "maps.tif"))
    assert names == ["maps_c.tif", "maps_n.tif"]


@io
def test_every_spectrum_is_an_msa_file_with_its_axis_and_kind(tmp_path, result):
    files = result.save(tmp_path / "spectra.msa")
    assert [p.name for p in files][:2] == ["spectra_s_eels_1.msa", "spectra_s_eels_2.msa"]
    assert len(files) == 6
    spectrum = fu.load(files[1])
    np.testing.assert_allclose(spectrum.numpy(), result["S_eels"][:, 1], rtol=1e-5)
    assert spectrum.axes == (LOSS.sized(30),)
    assert spectrum.name == "eels"
    assert fu.load(files[3]).name == "eds"


def test_all_spectra_are_one_table(tmp_path, result):
    assert result.save(tmp_path / "spectra.csv") == [tmp_path / "spectra.csv"]
    with (tmp_path / "spectra.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["S_eels: energy loss (eV)", "S_eels 1"]
    assert rows[0][4] == "S_edxs: energy (keV)"
    assert len(rows) == 31
    assert float(rows[3][0]) == 401.0
    assert float(rows[3][2]) == pytest.approx(result["S_eels"][2, 1])


def test_npz_is_what_any_other_ending_gets_and_tells_its_name(tmp_path, result):
    assert result.save(tmp_path / "fit.v2") == [tmp_path / "fit.v2.npz"]
    loaded = fu.Result.load(tmp_path / "fit.v2.npz")
    np.testing.assert_array_equal(loaded["C"], result["C"])


@io
def test_a_loaded_result_is_written_like_the_one_that_was_fitted(tmp_path, result):
    pytest.importorskip("h5py", reason="hspy needs h5py")
    result.save(tmp_path / "a.npz")
    fu.Result.load(tmp_path / "a.npz").save(tmp_path / "a.hspy")
    held = fu.load(tmp_path / "a.hspy", signal="eels")
    np.testing.assert_array_equal(held.numpy(), result["S_eels"].T)


@io
def test_what_has_no_map_is_said_and_leaves_nothing_behind(tmp_path):
    pytest.importorskip("tifffile", reason="tif needs tifffile")
    with pytest.raises(ValueError, match="no factor runs along two axes"):
        answer(X).save(tmp_path / "maps.tif")
    assert not list(tmp_path.iterdir())


def test_a_package_that_is_missing_is_named(tmp_path, result, monkeypatch):
    for module in [name for name in sys.modules if name.startswith(("rsciio", "h5py"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "rsciio", None)
    monkeypatch.setitem(sys.modules, "h5py", None)
    for suffix in ("hspy", "msa"):
        with pytest.raises(ValueError, match=r"is not installed: pip install \"sdfusion\[io\]\""):
            result.save(tmp_path / f"a.{suffix}")
    assert not list(Path(tmp_path).iterdir())


@io
def test_pixels_in_two_units_of_length_have_one_in_a_tif(tmp_path):
    pytest.importorskip("tifffile", reason="tif needs tifffile")
    answer(fu.Axis("y", 0.0051, units="µm"), fu.Axis("x", 2.5, units="nm")).save(tmp_path / "a.tif")
    y, x = fu.load(tmp_path / "a.tif").axes[1:]
    assert (y.units, x.units) == ("nm", "nm")
    assert (y.scale, x.scale) == (pytest.approx(5.1), pytest.approx(2.5))


@io
def test_fine_steps_of_a_coarse_unit_keep_their_digits_in_a_tif(tmp_path):
    pytest.importorskip("tifffile", reason="tif needs tifffile")
    step = 1.23456e-6
    answer(fu.Axis("y", step, units="mm"), fu.Axis("x", step, units="mm")).save(tmp_path / "a.tif")
    y, x = fu.load(tmp_path / "a.tif").axes[1:]
    assert (y.units, x.units) == ("nm", "nm")
    assert (y.scale, x.scale) == (pytest.approx(1.23456, rel=1e-5),) * 2


@io
def test_a_tif_of_axes_that_have_no_unit_in_common_has_none_and_says_so(tmp_path):
    pytest.importorskip("tifffile", reason="tif needs tifffile")
    made = answer(fu.Axis("time", 0.5, units="s"), fu.Axis("x", 2.5, units="nm"))
    with pytest.warns(CutWarning, match=r"time is in s, x in nm, and a tif has one unit"):
        made.save(tmp_path / "a.tif")
    y, x = fu.load(tmp_path / "a.tif").axes[1:]
    assert (y.units, x.units) == ("", "")
    assert (y.scale, x.scale) == (pytest.approx(0.5), pytest.approx(2.5))

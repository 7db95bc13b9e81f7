"""Data sets as files: what comes back equals what went out, or it is said what a format loses."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.cautions import CutWarning
from fusion.data.signal_type import signal_type
from fusion.files.dataset_dictionaries import restored
from tests.helpers.saved_data import KINDS, assert_equal, cube

io = pytest.mark.skipif(find_spec("rsciio") is None, reason='needs pip install "sdfusion[io]"')


def zspy(suffix: str) -> None:
    zarr = pytest.importorskip("zarr", reason="zspy needs zarr") if suffix == "zspy" else None
    if zarr is not None and not hasattr(zarr.storage, "NestedDirectoryStore"):
        pytest.skip("RosettaSciIO writes zspy with zarr < 3 only")


@io
@pytest.mark.parametrize("suffix", ["hspy", "zspy"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_type_comes_back_from_hyperspys_files_with_mask_and_variance(tmp_path, kind, suffix):
    zspy(suffix)
    rng = np.random.default_rng(0)
    variances = None, 2.5, 1 + rng.random((1, 1, 40)), 1 + rng.random((4, 5, 40))
    for variance in variances if kind == next(iter(KINDS)) else variances[-1:]:
        data = cube(kind, mask=rng.random((4, 5)) < 0.2, variance=variance).crop(x=slice(0, 5))
        assert data.save(tmp_path / f"a.{suffix}") == tmp_path / f"a.{suffix}"
        assert_equal(fu.load(tmp_path / f"a.{suffix}"), data)
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{suffix}"]


@io
@pytest.mark.parametrize("suffix", ["hspy", "zspy"])
def test_images_patterns_lines_and_lazy_data_come_back_from_hyperspys_files(tmp_path, suffix):
    zspy(suffix)
    rng, nm = np.random.default_rng(0), {"units": "nm"}
    x, y = fu.Axis("x", 0.5, 2.0, **nm), fu.Axis("y", 0.25, **nm)
    uneven = fu.Axis("energy loss", values=np.arange(12) ** 1.5 + 100, units="eV")
    kx, ky = fu.Axis("kx", 0.1, -0.5, "1/nm"), fu.Axis("ky", 0.1, -0.4, "1/nm")
    sets = [
        fu.Dataset("image", rng.random((6, 7)), axes=[y, x], signal=0),
        fu.Dataset("stack", rng.random((3, 6, 7)), axes=["tilt", y, x], signal=0),
        fu.Dataset("patterns", rng.random((2, 3, 9, 11)), axes=[y, x, ky, kx], signal=2),
        fu.Dataset("line", rng.random((6, 12)), axes=[x, uneven]),
        fu.Dataset("one", rng.random(12), axes=[uneven]),
        fu.Dataset("tilted", rng.integers(0, 9, (2, 3, 4, 12)), axes=["tilt", y, x, uneven]),
    ]
    da = pytest.importorskip("dask.array")
    sets.append(fu.Dataset("lazy", da.from_array(np.ones((4, 12))), axes=[x, uneven]))
    for data in sets:
        data.save(tmp_path / f"a.{suffix}")
        held = fu.load(tmp_path / f"a.{suffix}")
        assert_equal(held, data)


@pytest.mark.parametrize("kind", KINDS)
def test_an_npz_has_type_and_beam_beside_the_array(tmp_path, kind):
    data = cube(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.save(tmp_path / "a.npz")
        held = fu.load(tmp_path / "a.npz")
    assert held.metadata == data.metadata
    assert signal_type(held.channels, held.metadata) == kind


def test_metadata_of_several_arrays_and_of_all_are_told_apart(tmp_path):
    x = np.ones((3, 4, 5))
    own = {"a_metadata": '{"of": "a"}', "metadata": '{"of": ["all"]}'}
    np.savez(tmp_path / "a.npz", a=x, b=x, **own)
    held = fu.load(tmp_path / "a.npz")
    assert [held[name].metadata for name in "ab"] == [{"of": "a"}, {"of": ["all"]}]


@pytest.mark.parametrize("text", ["no JSON", "[1, 2]", "{", 9999 * "["])
def test_metadata_that_are_none_are_left_out_and_named(tmp_path, text):
    np.savez(tmp_path / "a.npz", a=np.ones((3, 4, 5)), a_metadata=text)
    with pytest.warns(fu.FileWarning, match="a_metadata of a.npz is not used: no JSON"):
        held = fu.load(tmp_path / "a.npz")
    assert held.metadata == {}


@pytest.mark.parametrize("kind", ["EELS", "EDS_TEM"])
def test_an_npz_has_the_array_its_calibration_mask_and_variance(tmp_path, kind):
    rng = np.random.default_rng(0)
    data = cube(kind, mask=rng.random((4, 5)) < 0.2, variance=2.0, units="nm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.save(tmp_path / "a") == tmp_path / "a.npz"
    held = fu.load(tmp_path / "a.npz")
    held = held[data.name] if isinstance(held, dict) else held
    assert held.name == data.name
    np.testing.assert_array_equal(held.numpy(), data.numpy())
    np.testing.assert_allclose(held.axes[-1].values, data.axes[-1].values)
    assert held.axes[-1].units == data.axes[-1].units
    assert held.pixels == data.pixels
    with np.load(tmp_path / "a.npz") as file:
        mask, variance = file[f"{data.name}_mask"], file[f"{data.name}_variance"]
        assert file["pixel_size"].tolist() == [2.0, 0.5]
        assert str(file["pixel_units"]) == "nm"
    np.testing.assert_array_equal(mask, np.broadcast_to(data.mask, data.shape))
    assert (variance == 2.0).all()


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"y": fu.Axis("y", 2.0, 3.0, "nm")}, r"where y begins \(3 nm\)"),
        ({"y": fu.Axis("y", values=[0, 1, 3, 7], units="nm")}, "the uneven steps of y"),
    ],
)
def test_what_an_npz_does_not_hold_is_said(tmp_path, change, lost):
    with pytest.warns(CutWarning, match=f"npz does not hold .*{lost}.*: .hspy does"):
        cube(**({"kind": "EELS"} | change)).save(tmp_path / "a.npz")


@io
@pytest.mark.parametrize("kind", ["EELS", "EDS_TEM", "EDS_SEM", "CL"])
def test_a_spectrum_comes_back_from_an_msa_with_its_type_and_beam(tmp_path, kind):
    for name in KINDS:  # that an EDS of a SEM was written before changes nothing
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CutWarning)
            cube(name)[1, 2].save(tmp_path / "before.msa")
    data = cube(kind)[1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.save(tmp_path / "a.msa")
    held = fu.load(tmp_path / "a.msa")
    np.testing.assert_array_equal(held.numpy(), data.numpy())  # counts, beyond six digits
    assert held.axes == data.axes
    assert held.metadata["Signal"]["signal_type"] == kind
    microscope = "SEM" if kind == "EDS_SEM" else "TEM"
    energy = data.metadata["Acquisition_instrument"][microscope]["beam_energy"]
    assert held.metadata["Acquisition_instrument"][microscope]["beam_energy"] == energy


@io
def test_what_an_msa_does_not_hold_is_said(tmp_path):
    for kind in ("XPS", "Raman"):
        with pytest.warns(CutWarning, match=rf"does not hold the type of the signal \({kind}\)"):
            cube(kind)[1, 2].save(tmp_path / "a.msa")
    bare = fu.Dataset("eds", np.arange(1, 9), axes=[fu.Axis("energy", 0.1, units="keV")])
    with pytest.warns(CutWarning, match="EDS_TEM, as no beam energy is known"):
        bare.save(tmp_path / "a.msa")
    masked = cube("EELS").masked(np.arange(40) == 3)[1, 2].with_variance(2.0)
    with pytest.warns(CutWarning, match=r"the mask \(1 left out\); the variance: .hspy does"):
        masked.save(tmp_path / "a.msa")


@io
def test_the_spectra_of_a_result_say_the_type_that_an_msa_loses(tmp_path):
    data = cube("XPS")
    result = fu.fit(
        fu.models.NMF(data, K=1), fu.losses.Frobenius(data), max_steps=2, progress=False
    )
    with pytest.warns(CutWarning, match=r"S: msa does not hold the type of the signal \(XPS\)"):
        result.save(tmp_path / "a.msa")


@io
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_come_back_from_a_tif(tmp_path, dtype):
    pytest.importorskip("tifffile", reason="tif needs tifffile")
    values = np.random.default_rng(0).integers(0, 200, (6, 7)).astype(dtype)
    axes = [fu.Axis("y", 0.0051, units="µm"), fu.Axis("x", 5.1, units="nm")]
    data = fu.Dataset("image", values, axes=axes, signal=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.save(tmp_path / "a.tif")
    held = fu.load(tmp_path / "a.tif")
    np.testing.assert_array_equal(held.numpy(), data.numpy())
    assert [a.units for a in held.axes] == ["nm", "nm"]
    assert [a.scale for a in held.axes] == pytest.approx([5.1, 5.1])


@io
def test_what_a_tif_does_not_hold_is_said(tmp_path):
    pytest.importorskip("tifffile", reason="tif needs tifffile")
    image = fu.Dataset("i", np.full((3, 4), 2**30 + 1), signal=0, mask=np.eye(3, 4) > 0)
    with pytest.warns(CutWarning, match=r"24 bits of a value \(.*int64\); the mask \(3 left out\)"):
        image.save(tmp_path / "a.tif")


def test_an_npy_says_that_it_holds_the_array_alone(tmp_path):
    with pytest.warns(CutWarning, match=r"npy does not hold what the axes are \(y, x, energy loss"):
        cube("EELS").save(tmp_path / "a.npy")
    plain = fu.Dataset("a", np.ones((2, 3, 4)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain.save(tmp_path / "a.npy")
    np.testing.assert_array_equal(fu.load(tmp_path / "a.npy").numpy(), plain.numpy())


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (cube("EELS"), "a.msa", r"`eels.save\('a.msa'\)`: msa holds one spectrum.*`eels\[3, 4\]"),
        (cube("EELS"), "a.tif", r"tif holds images.*`eels\[\.\.\., 10\].save"),
        (fu.Dataset("a", np.ones(3), axes=[fu.Axis("e", values=[1, 2, 4])]), "a.msa", "not even"),
        (fu.Dataset("a", np.ones((2, 3)), signal=0,
                    axes=["y", fu.Axis("x", values=[1, 2, 4])]), "a.tif", "pixels are not even"),
    ],
)  # fmt: skip
def test_what_a_format_has_no_place_for_is_refused(tmp_path, monkeypatch, data, name, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        data.save(name)
    assert not list(tmp_path.iterdir())


def test_sparse_data_are_refused_with_what_to_do(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    data = fu.Dataset("a", sparse.random(12, 40, 0.1, random_state=0), axes=["x", "energy"])
    for name in ("a.npz", "a.hspy"):
        with pytest.raises(ValueError, match=r"sparse, 48 of 480 values.*scipy.sparse.save_npz"):
            data.save(tmp_path / name)


def test_what_was_cut_elsewhere_loses_its_mask_with_a_word():
    data = cube("EELS", mask=np.eye(4, 5) > 0)
    held = fu.Dataset("a", np.ones((2, 5, 40)), metadata={"sdfusion": {"mask": data.mask.numpy()}})
    with pytest.warns(CutWarning, match=r"the mask that was saved with it, of shape \(4, 5, 1\)"):
        assert restored(held).mask is None


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    cube("EELS").save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(OSError, match="cannot be written"):
        cube("EELS").save(tmp_path / "none" / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == before


def test_axes_come_back_in_their_order_also_where_one_is_set_in_kev(tmp_path):
    rng = np.random.default_rng(0)
    beam = fu.Axis("beam energy", 5.0, 5.0, "keV")
    stack = fu.Dataset(
        "stack", rng.poisson(3, (4, 4, 4)), axes=[beam, "y", "x"], signal=0,
        mask=rng.random((4, 4, 4)) < 0.3,
    )  # fmt: skip
    series = fu.Dataset(
        "e", rng.poisson(3, (3, 4, 5, 20)), axes=[beam, "y", "x", fu.Axis("t", 1.0, units="nm")]
    )
    for data in (stack, series):
        data.save(tmp_path / "a.hspy")
        held = fu.load(tmp_path / "a.hspy")
        assert held.name == data.name
        assert_equal(held, data)


def test_a_falling_image_is_turned_for_a_tif_with_its_places(tmp_path):
    image = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    axes = [fu.Axis("y", -1.0, 3.0, "nm"), fu.Axis("x", 1.0, 0.0, "nm")]
    data = fu.Dataset("a", image, axes=axes, signal=0)
    data.save(tmp_path / "a.tif")
    held = fu.load(tmp_path / "a.tif")
    np.testing.assert_array_equal(held.numpy(), image[::-1])
    np.testing.assert_allclose(held.axes[0].scale, 1.0)


def test_an_npz_says_what_it_loses_and_takes_no_name_that_means_something_else(tmp_path):
    uneven = fu.Axis("x", values=[0.0, 1.0, 3.0], units="nm")
    data = fu.Dataset("a", np.ones((2, 3, 4)), axes=[fu.Axis("y", 0.25, 0, "nm"), uneven, "e"])
    with pytest.warns(CutWarning, match=r"the steps of y; the uneven steps of x"):
        data.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"called 'pixel_size' means something else"):
        data.renamed("pixel_size").save(tmp_path / "b.npz")
    with pytest.warns(CutWarning, match="values are booleans"):
        fu.Dataset("b", np.eye(5, dtype=bool)).save(tmp_path / "c.npz")
    np.testing.assert_array_equal(fu.load(tmp_path / "c.npz").numpy(), np.eye(5))

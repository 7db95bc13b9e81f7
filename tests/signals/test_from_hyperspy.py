"""Signals as data sets: axes, masks, metadata, files of older versions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Gaussian
from tests.helpers.hyperspy_signals import CHANNELS, K, build, exspy, hs

pytestmark = pytest.mark.filterwarnings(
    "ignore:Glyph .* missing from font:UserWarning"
)  # of the title


def test_axes_metadata_name_and_laziness_come_along():
    s, _, _ = build("map", dtype="uint16")
    data = fu.Dataset.from_hyperspy(s)
    assert data.name == "eels"
    assert [(a.name, a.scale, a.offset, a.units) for a in data.axes] == [
        ("y", 0.5, 1.0, "nm"), ("x", 0.5, 1.0, "nm"), ("energy loss", 0.5, 95.0, "eV")]  # fmt: skip
    np.testing.assert_array_equal(data.numpy(), s.data)
    assert data.metadata["General"]["title"] == "Grün 粒 α"
    lazy = fu.Dataset.from_hyperspy(s.as_lazy(), name="core")
    assert lazy.name == "core"
    assert lazy.lazy is not None
    np.testing.assert_array_equal(lazy.numpy(), s.data)
    eds, _, _ = build("map", "EDS_TEM")  # whose beam energy is written under "beam_energy "
    metadata = fu.Dataset.from_hyperspy(eds).metadata
    assert metadata["Acquisition_instrument"]["TEM"]["beam_energy"] == 200


def test_energies_first_come_last():
    s, _, _ = build("map")
    array = np.ascontiguousarray(np.moveaxis(s.data, -1, 0))
    axes = [a.get_axis_dictionary() for a in s.axes_manager._axes]
    first = exspy.signals.EELSSpectrum(array, axes=[axes[2], axes[0], axes[1]])
    assert first.axes_manager.signal_axes[0].index_in_array == 0
    data = fu.Dataset.from_hyperspy(first)
    np.testing.assert_array_equal(data.numpy(), s.data)
    assert [a.name for a in data.axes] == ["y", "x", "energy loss"]
    result = fu.fit(fu.models.NMF(data, K), Gaussian(data), starts=1, progress=False)
    result.write_to(first)
    result.write_to(s)
    theirs, ours = first.get_decomposition_model(), s.get_decomposition_model()
    np.testing.assert_allclose(theirs.data.reshape(ours.data.shape), ours.data)


def test_axes_that_are_not_uniform_keep_their_positions(tmp_path):
    s, _, _ = build("map")
    s.axes_manager[-1].convert_to_non_uniform_axis()
    s.axes_manager[-1].axis = 95 + np.linspace(0, 3, CHANNELS) ** 2
    data = fu.Dataset.from_hyperspy(s)
    np.testing.assert_allclose(data.axes[-1].values, s.axes_manager[-1].axis)
    result = fu.fit(fu.models.NMF(data, K), Gaussian(data), starts=1, progress=False)
    spectra = result.to_hyperspy()["S"]
    np.testing.assert_allclose(spectra.axes_manager[-1].axis, s.axes_manager[-1].axis)


def test_a_mask_is_in_the_order_of_the_array_or_a_signal():
    s, _, _ = build("map")
    mask = np.zeros((8, 7), dtype=bool)
    mask[0, 3] = True
    for given in (mask, hs.signals.BaseSignal(mask).T, s.inav[:, :].sum(-1) > 1e9):
        data = fu.Dataset.from_hyperspy(s, mask=given)
        assert int(data.mask.sum()) == (1 if given is not s and np.sum(np.asarray(
            getattr(given, "data", given))) else 0)  # fmt: skip
    assert bool(fu.Dataset.from_hyperspy(s, mask=mask).mask[0, 3, 0])
    with pytest.raises(ValueError, match=r"give mask\.T"):
        fu.Dataset.from_hyperspy(s, mask=mask.T)


def test_the_mask_of_a_square_map_as_a_signal_is_never_transposed():
    s, _, _ = build(y=(6, 0.5, "nm"), x=(6, 0.5, "nm"))
    broken = np.zeros((6, 6), dtype=bool)
    broken[0, 3] = True
    s.data[broken] = np.nan
    mask = hs.signals.BaseSignal(np.isnan(s.data).any(-1)).T
    data = fu.Dataset.from_hyperspy(s, mask=mask)
    result = fu.fit(fu.models.NMF(data, K), Frobenius(data), starts=1, progress=False)
    result.write_to(s)
    maps = s.get_decomposition_loadings().data
    np.testing.assert_array_equal(np.isnan(maps[0]), broken)
    np.testing.assert_array_equal(np.isnan(result.to_hyperspy()["C"].data[0]), broken)
    turned = fu.Dataset.from_hyperspy(s, mask=broken.T)
    with pytest.raises(ValueError, match="transposed"):
        turned.check()


def test_signals_without_calibration_or_metadata_are_read():
    s = hs.signals.Signal1D(np.random.default_rng(0).poisson(5, (4, 3, 12)).astype(float))
    data = fu.Dataset.from_hyperspy(s)
    assert (data.name, data.shape, data.axes[-1].units) == ("data", (4, 3, 12), "")
    made = fu.fit(fu.models.NMF(data, 2), Frobenius(data), starts=1, progress=False).to_hyperspy()
    assert isinstance(made["S"], hs.signals.Signal1D)
    assert made["S"].metadata.General.title == "S"


def test_spectra_images_and_variances_of_one_number_are_read():
    s, _, _ = build("map")
    assert fu.Dataset.from_hyperspy(s.inav[0, 0]).shape == (CHANNELS,)
    image = fu.Dataset.from_hyperspy(hs.signals.Signal2D(np.ones((5, 6))))
    assert (image.shape, image.signal) == ((5, 6), 0)
    assert fu.Dataset.from_hyperspy(s.sum(-1)).signal == 0
    s.set_noise_variance(2.5)
    assert float(fu.Dataset.from_hyperspy(s).variance.max()) == 2.5
    s.estimate_poissonian_noise_variance()
    data = fu.Dataset.from_hyperspy(s)
    assert data.variance is None
    assert "not taken" in data.history[0]


def test_what_is_no_signal_or_has_other_sizes_is_said():
    s, _, _ = build("map")
    with pytest.raises(ValueError, match="give a HyperSpy signal"):
        fu.Dataset.from_hyperspy(s.data)
    for wrong in (lambda: fu.Dataset("eels", s), lambda: fu.load(s)):
        with pytest.raises(ValueError, match=r"Dataset\.from_hyperspy\(signal\)"):
            wrong()
    with pytest.raises(ValueError, match="real numbers"):
        fu.Dataset.from_hyperspy(hs.signals.ComplexSignal1D(np.ones((3, 4), dtype=complex)))
    data = fu.Dataset.from_hyperspy(s)
    result = fu.fit(fu.models.NMF(data, 1), Frobenius(data), starts=1, progress=False)
    with pytest.raises(ValueError, match=r"\(8, 7\).*\(8, 6\)"):
        result.write_to(s.inav[:6])
    with pytest.raises(ValueError, match="no data set 'eds'"):
        result.write_to(s, name="eds")


def test_a_lazy_signal_beyond_memory_says_what_to_do():
    import dask.array as da

    huge = hs.signals.Signal1D(da.zeros((2**20, 2**10, 2**12), chunks=(2**10, 1, 2**12))).as_lazy()
    data = fu.Dataset.from_hyperspy(huge)
    with pytest.raises(ValueError, match="goes block by block"):
        data.check()


def old_hspy(path, array: np.ndarray, version: str) -> None:
    """A file as HyperSpy wrote it years ago: no attributes, no package, axes without a type."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.attrs["file_format"], file.attrs["file_format_version"] = "HyperSpy", version
        group = file.create_group("Experiments/Grün")
        group.create_dataset("data", data=array)
        told = (("y", 0.5, "nm"), ("x", 0.5, "nm"), ("Energy loss", 0.5, "eV"))
        for i, (name, scale, units) in enumerate(told):
            axis = group.create_group(f"axis-{i}").attrs
            axis["name"], axis["units"], axis["scale"], axis["offset"] = name, units, scale, 1.0
            axis["size"], axis["navigate"], axis["index_in_array"] = array.shape[i], i < 2, i
        if version < "1.2":
            told = group.create_group("mapped_parameters").attrs
            told["title"], told["signal_type"], told["record_by"] = "Grün", "EELS", "spectrum"
            group.create_group("original_parameters")
        else:
            group.create_group("metadata/General").attrs["title"] = "Grün"
            group.create_group("metadata/Signal").attrs["signal_type"] = "EELS"
            group.create_group("original_metadata")
        group.create_group("learning_results")


@pytest.mark.parametrize("version", ["1.1", "2.1", "3.0"])
def test_files_of_older_versions_are_read(tmp_path, version):
    array = build("map")[0].data
    old_hspy(tmp_path / "old.hspy", array, version)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signal = hs.load(tmp_path / "old.hspy")
    for data in (fu.Dataset.from_hyperspy(signal), fu.load(tmp_path / "old.hspy")):
        np.testing.assert_array_equal(data.numpy(), array)
        assert [(a.name, a.scale, a.units) for a in data.axes] == [
            ("y", 0.5, "nm"), ("x", 0.5, "nm"), ("energy loss", 0.5, "eV")]  # fmt: skip
        assert data.name == "eels"

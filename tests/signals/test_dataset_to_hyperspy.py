"""Data sets as HyperSpy signals of their kind, and back."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from tests.helpers.hyperspy_signals import hs
from tests.helpers.saved_data import KINDS, assert_equal, cube


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_comes_back_with_mask_variance_and_metadata(kind):
    rng = np.random.default_rng(0)
    for variance in (None, 2.5, 1 + rng.random((4, 1, 40)), 1 + rng.random((4, 5, 40))):
        data = cube(kind, mask=rng.random((4, 5, 40)) < 0.2, variance=variance).crop(x=slice(0, 4))
        signal = data.to_hyperspy()
        assert signal.metadata.Signal.signal_type == kind
        np.testing.assert_array_equal(signal.data, data.numpy())
        assert_equal(fu.Dataset.from_hyperspy(signal), data)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("EELS", "EELSSpectrum"), ("EDS_TEM", "EDSTEMSpectrum"), ("EDS_SEM", "EDSSEMSpectrum")],
)
def test_the_class_is_that_of_the_type(kind, name):
    pytest.importorskip("exspy")
    signal = cube(kind).to_hyperspy()
    assert type(signal).__name__ == name
    assert signal.metadata.General.title == "a map"
    energy = signal.axes_manager.signal_axes[0]
    assert (energy.scale, energy.offset, energy.units) == (
        cube(kind).axes[-1].scale,
        cube(kind).axes[-1].offset,
        cube(kind).axes[-1].units,
    )
    assert [axis.name for axis in signal.axes_manager.navigation_axes] == ["x", "y"]


def test_a_variance_is_that_of_hyperspy():
    assert cube("EELS", variance=2.5).to_hyperspy().get_noise_variance() == 2.5
    variance = 1 + np.random.default_rng(0).random((4, 5, 40))
    signal = cube("EELS", variance=variance).to_hyperspy()
    np.testing.assert_array_equal(signal.get_noise_variance().data, variance)
    np.testing.assert_array_equal(signal.inav[1, 2].get_noise_variance().data, variance[2, 1])
    assert cube("EELS").to_hyperspy().get_noise_variance() is None


def test_a_file_is_read_by_hyperspy_with_its_kind_and_variance(tmp_path):
    variance = 1 + np.random.default_rng(0).random((1, 1, 40))
    data = cube("EDS_SEM", variance=variance, mask=np.eye(4, 5) > 0)
    signal = hs.load(data.save(tmp_path / "a.hspy"))
    assert signal.metadata.Signal.signal_type == "EDS_SEM"
    assert signal.metadata.Acquisition_instrument.SEM.beam_energy == 15.0
    np.testing.assert_allclose(
        signal.get_noise_variance().data, np.broadcast_to(variance, data.shape)
    )
    assert_equal(fu.Dataset.from_hyperspy(signal), data)


def test_lazy_data_are_a_lazy_signal():
    da = pytest.importorskip("dask.array")
    whole = cube("EELS")
    lazy = fu.Dataset(
        "eels", da.from_array(whole.numpy()), axes=whole.axes, metadata=whole.metadata
    )
    signal = lazy.to_hyperspy()
    assert signal._lazy
    assert lazy.lazy is not None
    back = fu.Dataset.from_hyperspy(signal)
    assert back.lazy is not None
    assert_equal(back, whole)


@pytest.mark.parametrize("signal", [0, 2])
def test_images_and_patterns_are_two_dimensional_signals(signal):
    axes = [fu.Axis(name, 0.5, 1.0, "nm") for name in ("z", "y", "x")]
    data = fu.Dataset("a", np.random.default_rng(0).random((3, 4, 5)), axes=axes, signal=signal)
    made = data.to_hyperspy()
    assert isinstance(made, hs.signals.Signal2D)
    assert made.data.shape == (3, 4, 5)
    assert_equal(fu.Dataset.from_hyperspy(made), data)


def test_an_image_of_a_spectrum_image_is_no_spectrum(tmp_path):
    image = cube("EELS")[..., 405.0]
    signal = image.to_hyperspy()
    assert type(signal) is hs.signals.Signal2D
    assert signal.metadata.Signal.signal_type == ""
    np.testing.assert_array_equal(signal.data, image.numpy())
    held = fu.load(image.save(tmp_path / "a.hspy"))
    assert held.signal == 0
    np.testing.assert_array_equal(held.numpy(), image.numpy())


def test_a_signal_that_was_cut_in_hyperspy_keeps_what_fits():
    data = cube("EELS", mask=np.arange(40) == 3)
    cut = fu.Dataset.from_hyperspy(data.to_hyperspy().inav[1:3, :2])
    np.testing.assert_array_equal(cut.mask.numpy(), data.mask.numpy())
    with pytest.warns(fu.CutWarning, match="the mask that was saved with it"):
        assert fu.Dataset.from_hyperspy(data.to_hyperspy().isig[5:]).mask is None


def test_changing_the_signal_leaves_the_data_as_they_are():
    data = cube("EELS")
    signal = data.to_hyperspy()
    signal.data[:] = 0
    signal.metadata.set_item("Acquisition_instrument.TEM.beam_energy", 60.0)
    assert data.numpy().min() > 0
    assert data.metadata["Acquisition_instrument"]["TEM"]["beam_energy"] == 200.0

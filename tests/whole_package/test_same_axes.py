"""The same number of channels or pixels is not the same axis: wherever two meet, places decide."""

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius
from fusion.models import NMF

RANDOM = np.random.default_rng(0)


def data(name="a", scale=1.0, offset=100.0, units="eV", step=1.0):
    pixels = [fu.Axis(axis, step, 0.0, "nm") for axis in "yx"]
    energy = fu.Axis("energy", scale, offset, units)
    return fu.Dataset(name, RANDOM.random((6, 7, 30)), axes=[*pixels, energy])


@pytest.fixture(scope="module")
def result():
    a = data()
    return fu.fit(NMF(a, 2), Frobenius(a), starts=1, progress=False)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (data(scale=2.0, offset=300.0), "S of the model"),
        (data(offset=101.0), "begins at"),
        (data(step=5.0), "C of the model"),
    ],
    ids=["energies", "offset", "pixels"],
)
def test_a_result_of_other_axes_is_no_start(result, other, word):
    with pytest.raises(ValueError, match=word):
        fu.fit(NMF(other, 2), Frobenius(other), init=result, starts=1, progress=False)


def test_a_result_in_another_unit_is_a_start(result):
    same = data(scale=1e-3, offset=0.1, units="keV")
    fu.fit(NMF(same, 2), Frobenius(same), init=result, starts=1, max_steps=3, progress=False)


def test_division_by_an_image_of_other_pixels_is_refused():
    image = fu.Dataset("adf", 1 + RANDOM.random((6, 7)), axes=["y", "x"], signal=0)
    nm = image.derive(image.tensor, "", axes=[fu.Axis(axis, 1.0, 0.0, "nm") for axis in "yx"])
    assert data().normalise(image).shape == data().normalise(nm).shape == (6, 7, 30)
    with pytest.raises(ValueError, match="steps of 5 and 1 nm"):
        data(step=5.0).normalise(nm)


def test_components_are_written_to_the_signal_of_the_same_energies_only(result):
    signals = pytest.importorskip("hyperspy.api").signals
    signal = signals.Signal1D(np.zeros((6, 7, 30)))
    for axis, scale, offset, units in zip(
        signal.axes_manager._axes, (1, 1, 1e-3), (3, 4, 0.1), ("nm", "nm", "keV"), strict=True
    ):
        axis.scale, axis.offset, axis.units = scale, offset, units
    result.write_to(signal)
    signal.axes_manager[-1].offset = 0.3
    with pytest.raises(ValueError, match="begins at 100 and 300 eV"):
        result.write_to(signal)

"""t/λ by the log ratio: its values, its errors, and low losses of which it cannot be told."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.prepare.zero_loss import LowLoss
from fusion.simulate import dual_eels


@pytest.fixture(scope="module")
def scene():
    return dual_eels(shape=(12, 14), channels=120, seed=1)


def test_it_is_the_planted_thickness_within_its_errors(scene):
    found, truth = fu.relative_thickness(scene.datasets["low"]), scene.truth["t/λ"].reshape(12, 14)
    assert np.sqrt(np.mean((found.values / truth - 1) ** 2)) < 0.005
    chi = (found.values - truth) / found.errors
    assert 0.8 < chi.std() < 1.2
    assert abs(chi.mean()) < 0.4
    assert "zero loss" in str(found)


def test_it_is_the_log_of_plain_sums():
    x = np.arange(-5, 60.0)
    low = np.exp(-0.5 * x**2) * 100 + 50 * np.exp(-0.5 * ((x - 20) / 4) ** 2)
    data = fu.Dataset("low", low[None], axes=["x", fu.Axis("energy", 1.0, -5, "eV")])
    stop = np.flatnonzero(x == 5)[0] + low[np.flatnonzero(x == 5)[0] :][:10].argmin()
    given = fu.relative_thickness(data, zero_loss=(-5, x[stop - 1])).values[0]
    assert given == pytest.approx(np.log(low.sum() / low[:stop].sum()))


def test_errors_follow_the_variance_where_it_is_known(scene):
    low = scene.datasets["low"]
    plain = fu.relative_thickness(low).errors
    told = fu.relative_thickness(low.with_variance(4.0 * low.numpy() + 1e-9)).errors
    np.testing.assert_allclose(told / plain, 2.0, rtol=0.1)  # counts of gain 1, said to be 4


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_the_gain_of_counts_is_found_between_pixels(scene, gain):
    low = scene.datasets["low"]
    scaled = low.derive(gain * low.numpy().astype(float), "gain")
    assert LowLoss("test", scaled).gain == pytest.approx(gain, rel=0.05)


def test_one_low_loss_for_all_pixels_has_hardly_any_noise_and_is_one_kernel(scene):
    core, low = scene.datasets["core"], scene.datasets["low"]
    mean = np.broadcast_to(low.numpy().mean((0, 1)), low.shape).copy()
    same = low.derive(mean, "one for all")
    assert 0 < LowLoss("test", same).gain < 1e-6
    model = fu.models.DualEELS(core, same, 2)
    made = (model.B @ model.D.T).numpy()
    assert model.D.shape[1] == 1
    np.testing.assert_allclose(made.sum(1), 1)
    np.testing.assert_allclose(made, made[:1].repeat(len(made), 0), rtol=1e-6)


def test_dark_and_masked_pixels_have_no_thickness(scene):
    low = scene.datasets["low"].numpy().copy()
    low[0, 0] = 0
    mask = np.zeros((12, 14), bool)
    mask[1, 1] = True
    data = fu.Dataset("low", low, axes=scene.datasets["low"].axes, mask=mask)
    values = fu.relative_thickness(data).values
    assert np.isnan(values[[0, 1], [0, 1]]).all()
    assert np.isfinite(values).sum() == 12 * 14 - 2


def test_a_peak_that_is_cut_off_is_seen_and_one_that_is_not_is_not(scene):
    low = scene.datasets["low"]
    assert not LowLoss("test", low).clipped.any()
    top = np.quantile(low.numpy().max(-1), 0.9)
    cut = low.derive(np.minimum(low.numpy(), top), "cut")
    assert LowLoss("test", cut).clipped.sum() == (low.numpy().max(-1) >= top).sum()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ((30, 200), "no peak within 10 eV of 0"),
        ((0.5, 200), "no peak within 10 eV of 0"),
    ],
)
def test_a_low_loss_without_all_of_its_zero_loss_is_refused(scene, part, said):
    with pytest.raises(ValueError, match=said):
        fu.relative_thickness(scene.datasets["low"].crop(energy_loss=part))


def test_what_is_no_spectrum_is_refused():
    with pytest.raises(ValueError, match="no uniform energy axis that rises"):
        fu.relative_thickness(fu.Dataset("adf", np.ones((3, 4)), signal=0))
    falling = fu.Axis("energy", -1.0, 50, "eV")
    with pytest.raises(ValueError, match="no uniform energy axis that rises"):
        fu.relative_thickness(fu.Dataset("low", np.ones((3, 60)), axes=["x", falling]))


def test_pixels_whose_peak_is_cut_off_have_no_thickness_and_that_is_said(scene):
    low = scene.datasets["low"]
    top = np.quantile(low.numpy().max(-1), 0.9)
    cut = low.derive(np.minimum(low.numpy(), top), "cut")
    with pytest.warns(fu.CutWarning, match="the zero loss of 17 pixels of 'low' is cut off at"):
        values = fu.relative_thickness(cut).values
    assert np.isnan(values).sum() == 17


@pytest.mark.parametrize("end", [12, 44])
def test_an_axis_that_ends_within_the_plasmons_is_said_to_tell_nothing(scene, end):
    with pytest.warns(fu.ClaimWarning, match="do not yet fall as a tail does"):
        fu.relative_thickness(scene.datasets["low"].crop(energy_loss=(-20, end)))


@pytest.mark.parametrize("window", [(10, 20), (-5, 200), (5, -5), 5, "all"])
def test_a_window_that_is_none_of_the_peak_is_refused(scene, window):
    with pytest.raises((ValueError, TypeError), match="zero_loss"):
        fu.relative_thickness(scene.datasets["low"], zero_loss=window)


def test_masked_channels_of_a_low_loss_are_refused_in_words(scene):
    mask = np.zeros(120, bool)
    mask[60] = True
    with pytest.raises(ValueError, match="1 channels of 'low' are masked"):
        fu.relative_thickness(scene.datasets["low"].masked(mask))


def test_the_zero_loss_is_no_defect_of_the_detector(scene):
    assert "defect" not in str(scene.datasets["low"].summary())

"""`drifts` and `align`: planted drifts come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fusion as fu
from fusion.prepare import drifts
from tests.helpers.messages import fails_in_one_line
from tests.helpers.prepared_data import data, poisson_counts

SCAN = (20, 24)


def bell(x, centre, width):
    return np.exp(-4 * np.log(2) * ((x - centre) / width) ** 2)


def zero_loss(shift, counts: float, width: float = 6.0):
    """A peak of this width in channels at 60, with a broad plasmon; expected counts."""
    x = np.arange(200) - np.asarray(shift)[..., None]
    mean = bell(x, 60, width) + 0.05 * bell(x, 130, 40)
    return counts * mean / mean.sum(-1, keepdims=True)


def core_loss(shift, counts: float):
    """An edge at channel 80 with a white line, on a falling background; expected counts."""
    from scipy.special import erfc

    x = np.arange(200) - np.asarray(shift)[..., None]
    edge = 0.5 * erfc((80 - x) / 4) * (1 + 1.5 * bell(x, 86, 8) + 0.8 * bell(x, 100, 15))
    mean = 3e7 * (300 + x) ** -3.0 + edge
    return counts * mean / mean.sum(-1, keepdims=True)


def drifted(kind: str):
    if kind == "trend":
        return np.linspace(-5, 5, 480).reshape(SCAN)
    return np.random.default_rng(2).uniform(-5, 5, SCAN)


def spectrum_map(mean, seed: int = 0, **options) -> fu.Dataset:
    energy = fu.Axis("energy loss", 0.1, -6.0, units="eV")
    return fu.Dataset("low", poisson_counts(mean, seed), axes=["y", "x", energy], **options)


def errors(found, truth):
    off = found - truth
    return off - np.median(off)


CASES = {
    "zero loss": (zero_loss, 3000, (-3, 3), 0.08, 0.35),
    "sharp zero loss": (lambda s, n: zero_loss(s, n, 2.5), 3000, (-3, 3), 0.08, 0.35),
    "edge": (core_loss, 60_000, (0, 7), 0.1, 0.5),
    "edge in all": (core_loss, 60_000, (None, None), 0.1, 0.5),
}


@pytest.mark.parametrize("kind", ["trend", "random"])
@pytest.mark.parametrize("case", CASES)
def test_planted_drifts_come_back_to_a_tenth_of_a_channel(case, kind):
    make, counts, window, rms, worst = CASES[case]
    truth = drifted(kind)
    found = drifts(spectrum_map(make(truth, counts)), energy=window)
    assert found.shape == SCAN
    assert abs(np.median(found)) < 0.01  # the reference stays where it is
    off = errors(found, truth)
    assert np.sqrt(np.mean(off**2)) < rms
    assert np.abs(off).max() < worst


def least_error(make, counts: float, window) -> float:
    """Cramér–Rao: no unbiased estimate of the shift, height and offset unknown, has less rms."""
    energy = -6 + 0.1 * np.arange(200)
    inside = (energy > window[0] - 0.05) & (energy < window[1] + 0.05)
    mean, slope = make(0.0, counts), (make(0.01, counts) - make(-0.01, counts)) / 0.02
    J = np.stack([slope, mean, np.ones_like(mean)])[:, inside]
    return float(np.sqrt(np.linalg.inv(J / mean[inside] @ J.T)[0, 0]))


@pytest.mark.parametrize("counts", [30_000, 100_000])
def test_the_drift_of_an_edge_is_as_sharp_as_its_counts_allow(counts):
    """At 3e4 counts that is 0.13 channels; what nears it within 15 % leaves nothing to be won."""
    truth = drifted("random")
    off = errors(drifts(spectrum_map(core_loss(truth, counts)), energy=(0, 7)), truth)
    assert np.sqrt(np.mean(off**2)) < 1.15 * least_error(core_loss, counts, (0, 7))


def test_the_drift_is_positive_where_the_feature_lies_at_higher_channels():
    truth = np.zeros(SCAN)
    truth[3:6] = 4.0
    found = drifts(spectrum_map(zero_loss(truth, 1e6)), energy=(-3, 3))
    assert np.allclose(found, truth, atol=0.05)
    new = spectrum_map(zero_loss(truth, 1e6)).align(energy=(-3, 3))
    assert np.allclose(new.axes[2].values[new.numpy().argmax(-1)], 0.0)


def test_one_drift_of_all_pixels_is_none():
    assert np.abs(drifts(spectrum_map(zero_loss(np.full(SCAN, 7.0), 1e5)))).max() < 0.1


def width_of(spectrum) -> float:
    """Full width at half maximum, in channels."""
    above = np.flatnonzero(spectrum >= spectrum.max() / 2)
    low, high, half = above[0], above[-1], spectrum.max() / 2
    left = (spectrum[low] - half) / (spectrum[low] - spectrum[low - 1])
    right = (spectrum[high] - half) / (spectrum[high] - spectrum[high + 1])
    return float(high - low + left + right)


@pytest.mark.parametrize("kind", ["trend", "random"])
def test_the_mean_of_aligned_spectra_has_the_width_of_one_without_drift(kind):
    truth = drifted(kind)
    still = width_of(zero_loss(np.zeros(1), 1.0)[0])
    given = spectrum_map(zero_loss(truth, 3000))
    assert width_of(given.numpy().mean((0, 1))) > 1.5 * still
    new = given.align(energy=(-3, 3))
    assert width_of(new.numpy().mean((0, 1))) == pytest.approx(still, rel=0.05)
    cut = 200 - new.shape[2]
    assert 10 <= cut <= 12
    assert f"{cut} channels cut off" in new.history[-1]
    position = new.axes[2].values[new.numpy().mean((0, 1)).argmax()]
    assert position == pytest.approx(0.1 * np.median(truth), abs=0.1)


def test_align_moves_by_the_shifts_of_another_detector():
    truth = drifted("random")
    shifts = drifts(spectrum_map(zero_loss(truth, 10_000)), energy=(-3, 3))
    core = spectrum_map(core_loss(truth, 3000), 1)
    new = core.align(shifts=shifts)
    still = core_loss(np.full(1, np.median(truth)), 3000)[0]
    first = round((new.axes[2].offset + 6.0) / 0.1)
    expected = still[first : first + new.shape[2]]
    error = np.sqrt(expected / 480)
    assert np.mean(((new.numpy().mean((0, 1)) - expected) / error) ** 2) < 4
    assert new.history[-1].startswith("align(shifts=…): drift from -")


def test_align_by_whole_channels_is_exact_and_says_where_it_lies():
    y = poisson_counts(np.full((3, 2, 30), 50.0)).astype(np.float32)
    shifts = np.array([[0, 2], [-3, 1], [0, 0]])
    new = data(y).align(shifts=shifts)
    assert new.shape == (3, 2, 25)
    assert new.tensor.dtype == torch.float32
    assert new.axes[2].offset == 100 + 0.5 * 3
    for i, j in np.ndindex(3, 2):
        assert np.array_equal(new.numpy()[i, j], y[i, j, 3 + shifts[i, j] : 28 + shifts[i, j]])


@pytest.mark.parametrize("shape", [(), (30,), (4, 6, 1), (4, 1, 1), (4, 6, 30)])
def test_align_takes_mask_and_variance_along(shape):
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-2, 2, (4, 6))
    variance = rng.uniform(1, 2, shape)
    mask = rng.random(shape) < 0.1 if shape else None
    y = rng.normal(size=(4, 6, 30))
    if mask is not None:
        y[np.broadcast_to(mask, y.shape)] = np.nan
    new = data(y, variance=variance, mask=mask).align(shifts=shifts)
    full = np.broadcast_to(np.where(False if mask is None else mask, 1, variance), y.shape)
    hidden = np.broadcast_to(False if mask is None else mask, y.shape)
    for i, j, c in np.ndindex(new.shape):
        place = c + 2 + shifts[i, j]
        low, share = int(np.floor(place)), place - np.floor(place)
        bad = hidden[i, j, low] or hidden[i, j, low + 1]
        if mask is not None:
            assert bool(new.mask.expand(new.shape)[i, j, c]) == bad
        if not bad:
            value = (1 - share) * y[i, j, low] + share * y[i, j, low + 1]
            assert new.numpy()[i, j, c] == pytest.approx(value)
            spread = (1 - share) ** 2 * full[i, j, low] + share**2 * full[i, j, low + 1]
            assert float(new.variance.expand(new.shape)[i, j, c]) == pytest.approx(spread)
    if shape and shape[-1] == 1:
        assert new.variance.shape == (4, 6, 1)  # the fast path
        assert new.mask.shape[-1] == 1


def test_pixels_without_the_feature_take_the_drift_of_their_neighbours():
    truth = drifted("trend")
    y = poisson_counts(zero_loss(truth, 3000)).astype(float)
    y[4, 5:9], y[10, 3], y[12, 4] = 0, np.nan, 7.0
    y[15, 20] = poisson_counts(np.full(200, 3.0))
    mask = ~np.isfinite(y)
    mask[2, 2:4], mask[:, :, 57] = True, True
    y[2, 2], y[:, :, 57] = 1e9, 1e9
    found = drifts(fu.Dataset("low", y, mask=mask), channel=(30, 90))
    assert np.sqrt(np.mean(errors(found, truth) ** 2)) < 0.12
    assert np.abs(errors(found, truth)).max() < 0.7  # the next line has drifted by 0.5


def test_a_line_scan_and_one_spectrum_have_drifts_too():
    truth = np.linspace(-4, 4, 30)
    found = drifts(fu.Dataset("line", poisson_counts(zero_loss(truth, 10_000))), channel=(30, 90))
    assert np.abs(errors(found, truth)).max() < 0.3
    assert drifts(fu.Dataset("one", poisson_counts(zero_loss(0.0, 1000)))).shape == ()


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([1e-9, 1e-3, 1e6]), st.integers(0, 5))
def test_drifts_do_not_depend_on_the_scale_of_the_data(scale, seed):
    y = poisson_counts(zero_loss(drifted("random"), 1000), seed).astype(float)
    one, other = (drifts(fu.Dataset("low", s * y), channel=(30, 90)) for s in (1, scale))
    assert np.allclose(one, other, atol=1e-6)


def test_drift_that_cannot_be_found_or_followed_is_refused():
    given = spectrum_map(zero_loss(drifted("random"), 3000))
    fails_in_one_line(lambda: given.align(energy=(30, 40)), "30", "40", "13.9")
    fails_in_one_line(lambda: given.align(energy=(0, 0.5)), "6 channels", "8 or more")
    fails_in_one_line(lambda: given.align(x=(0, 5)), "energy loss (200 channels)")
    fails_in_one_line(lambda: given.align(energy=3), "=3", "200")
    faint = spectrum_map(zero_loss(drifted("random"), 20) + 3)
    fails_in_one_line(lambda: drifts(faint, energy=(8, 13)), "of 480", "clear feature")
    fails_in_one_line(lambda: given.align(shifts=np.zeros((24, 20))), "(24, 20)", "(20, 24)")
    fails_in_one_line(lambda: given.align(shifts=np.full(SCAN, np.nan)), "480 of them not finite")
    fails_in_one_line(
        lambda: given.align(shifts=np.zeros(SCAN), energy=(0, 5)), "give shifts or a window"
    )
    far = np.zeros(SCAN)
    far[0, 0], far[1, 1] = -120, 120
    fails_in_one_line(lambda: given.align(shifts=far), "-120.0 to 120.0 of 200", "nothing is left")
    flat = spectrum_map(np.full((*SCAN, 200), 100.0))
    fails_in_one_line(lambda: flat.align(), "of 480", "clear feature")
    fails_in_one_line(lambda: fu.Dataset("adf", np.ones((4, 6)), signal=0).align(), "0 signal axes")
    wide = spectrum_map(zero_loss(8 * drifted("trend"), 3000))
    fails_in_one_line(lambda: wide.align(energy=(-1.5, 1.5)), "align(energy=(-1.5, 1.5))", "window")


@pytest.mark.parametrize("reach", [3, 6, 10])
def test_a_sharp_peak_that_drifts_by_many_widths_is_followed(reach):
    x = np.arange(200) - 100.0
    drift = np.linspace(-reach, reach, 20)[None].repeat(10, 0)
    mean = 1e4 * np.exp(-0.5 * ((x - drift[..., None]) / 0.7) ** 2) + 1
    energy = fu.Axis("energy loss", offset=-100, units="eV")
    counts = np.random.default_rng(0).poisson(mean)
    data = fu.Dataset("low_loss", counts, axes=["y", "x", energy])
    assert float((drifts(data, energy=(-25, 25)) - drift).std()) < 0.06


def drifting(at, channels=200):
    drift = np.linspace(-8, 8, 100).reshape(10, 10, 1)
    peak = 1e4 * np.exp(-0.5 * ((np.arange(channels) - at - drift) / 5) ** 2) + 1
    return np.random.default_rng(0).poisson(peak)


def test_a_feature_that_would_be_cut_off_itself_is_refused():
    energy = fu.Axis("energy loss", 0.01, -0.05, "eV")
    data = fu.Dataset("eels", drifting(7), axes=["y", "x", energy])
    with pytest.raises(ValueError, match="feature is at channel 7"):
        data.align(energy_loss=(-0.05, 0.3))


def test_pixels_without_the_feature_are_counted():
    counts = drifting(100)
    counts.reshape(100, 200)[np.random.default_rng(0).permutation(100)[:30]] = 0
    energy = fu.Axis("energy loss", 0.01, -0.05, "eV")
    data = fu.Dataset("eels", counts, axes=["y", "x", energy])
    with pytest.warns(fu.CutWarning, match="30 of 100 pixels"):
        data.align(energy_loss=(0.6, 1.4))


def test_single_counts_are_no_feature():
    random = np.random.default_rng(0)
    lines = 0.1 + 5 * bell(np.arange(300), 100, 7) + 3 * bell(np.arange(300), 200, 8)
    energy = fu.Axis("energy", 0.02, 0.1, units="keV")
    xrays = fu.Dataset("eds", random.poisson(lines * 0.2, (20, 24, 300)), axes=["y", "x", energy])
    fails_in_one_line(lambda: xrays.align(), "counts a channel", "shifts=")
    mean = fu.Dataset("eds", xrays.numpy() / 64, axes=xrays.axes)
    fails_in_one_line(lambda: mean.align(), "counts a channel", "shifts=")


def test_on_an_uneven_axis_spectra_are_moved_in_energy():
    random = np.random.default_rng(0)
    energy = np.linspace(0, 60, 240) + np.linspace(0, 60, 240) ** 2 / 60  # steps from 0.25 to 0.75
    truth = random.uniform(-2, 2, (12, 10))
    at = energy - truth[..., None]
    mean = 2000 * bell(at, 30, 5) + 300 * bell(at, 90, 12) + 5
    axis = fu.Axis("energy", values=energy, units="eV")
    data = fu.Dataset("cl", random.poisson(mean), axes=["y", "x", axis])
    step = (energy[-1] - energy[0]) / 239
    found = step * drifts(data, energy=(20, 40))
    assert np.abs(errors(found, truth)).max() < 0.1
    aligned = data.align(energy=(20, 40))
    kept = aligned.axes[-1].values
    places = (aligned.numpy() * kept * (kept > 75) * (kept < 105)).sum(-1)
    weights = (aligned.numpy() * (kept > 75) * (kept < 105)).sum(-1)
    before = (data.numpy() * energy * (energy > 75) * (energy < 105)).sum(-1) / (
        data.numpy() * (energy > 75) * (energy < 105)
    ).sum(-1)
    assert (places / weights).std() < 0.3 * before.std()

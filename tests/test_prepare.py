"""Steps before the fit: parts, sums, backgrounds, spikes, drift, noise, scale."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy.optimize import minimize

import fusion as fu
from fusion.prepare import drifts
from fusion.simulate import concurrent, layers

RNG = np.random.default_rng


@pytest.fixture
def data() -> fu.Dataset:
    axes = (
        fu.Axis("y", 0.5, units="nm"),
        fu.Axis("x", 0.5, 10.0, "nm"),
        fu.Axis("energy loss", 2.0, 100.0, "eV"),
    )
    mask = np.zeros((4, 6), bool)
    mask[0, 1] = True
    cube = RNG(0).poisson(9.0, (4, 6, 20)).astype(np.uint8)
    return fu.Dataset("eels", cube, axes=axes, mask=mask, variance=np.arange(1.0, 21.0))


def complaint(step) -> str:
    """The one line that a step complains with."""
    with pytest.raises(ValueError) as error:
        step()
    assert "\n" not in str(error.value)
    return str(error.value)


# --- crop and bin


def test_crop_takes_both_ends_in_units_and_carries_axes_mask_and_variance(data):
    part = data.crop(energy=(104, 110), x=slice(1, 3), y=(None, 0.5))
    np.testing.assert_array_equal(part.numpy(), data.numpy()[:2, 1:3, 2:6])
    np.testing.assert_allclose(part.channels[0].values, [104, 106, 108, 110])
    np.testing.assert_allclose(part.pixels[1].values, [10.5, 11.0])
    assert part.mask.flatten().tolist() == [True, False, False, False]
    assert part.variance.flatten().tolist() == [3, 4, 5, 6]
    assert part.history == ("crop(energy=(104, 110), x=slice(1, 3), y=(None, 0.5))",)
    assert data.shape == (4, 6, 20)
    assert data.history == ()


def test_crop_works_on_descending_and_uneven_axes():
    uneven = fu.Dataset("a", np.ones((2, 4)), axes=["x", fu.Axis("e", values=[1, 2, 4, 8])])
    assert uneven.crop(e=(2, 5)).channels[0].values.tolist() == [2, 4]
    falling = fu.Dataset("a", np.ones((2, 4)), axes=["x", fu.Axis("e", scale=-1, offset=10)])
    assert falling.crop(e=(8, 9)).channels[0].values.tolist() == [9, 8]


def test_crop_complains_of_windows_outside_and_of_names(data):
    assert "runs from 100 to 138 eV" in complaint(lambda: data.crop(energy=(200, 300)))
    assert "Dataset('eels') has y (4), x (6)" in complaint(lambda: data.crop(z=(0, 1)))
    assert "(first, last) in eV" in complaint(lambda: data.crop(energy=3))
    assert "nothing is left" in complaint(lambda: data.crop(x=slice(3, 3)))


def test_bin_sums_without_overflow_and_carries_axes_mask_and_variance(data):
    part = data.bin(energy=5, x=2)
    expected = data.numpy().astype(int).reshape(4, 3, 2, 4, 5).sum((2, 4))
    np.testing.assert_array_equal(part.numpy(), expected)
    assert part.channels[0].values.tolist() == [104, 114, 124, 134]
    assert part.pixels[1].values.tolist() == [10.25, 11.25, 12.25]
    assert part.mask[0, 0].all()
    assert part.mask.sum() == 1
    full = data.variance.expand(data.shape).numpy().reshape(4, 3, 2, 4, 5).sum((2, 4))
    np.testing.assert_allclose(part.variance.expand(part.shape).numpy(), full)


def test_bin_that_does_not_divide_says_what_to_crop(data):
    said = complaint(lambda: data.bin(energy=3))
    assert "20 entries along energy loss do not divide by 3" in said
    assert "energy_loss=slice(0, 18)" in said
    assert "whole number" in complaint(lambda: data.bin(x=0))


def test_lazy_data_are_cropped_and_binned_before_they_are_read():
    cube = RNG(0).poisson(5.0, (4, 6, 20)).astype(np.uint16)
    lazy, eager = (fu.Dataset("a", x) for x in (da.from_array(cube, chunks=3), cube))
    part = lazy.crop(channel=(2, 17)).bin(x=2, channel=4)
    assert part.lazy is not None
    assert lazy.lazy is not None
    np.testing.assert_array_equal(
        part.numpy(), eager.crop(channel=(2, 17)).bin(x=2, channel=4).numpy()
    )


# --- background


def spectra(counts: float, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, fu.Dataset]:
    energy = np.linspace(80, 140, 121)
    background = counts * (energy / 80) ** -3.0
    values = RNG(seed).poisson(background, (n, energy.size))
    axis = fu.Axis("energy loss", 0.5, 80.0, "eV")
    return energy, background, fu.Dataset("a", values, axes=["x", axis])


def test_power_law_equals_a_literal_maximum_of_the_likelihood():
    energy, _, data = spectra(30.0, 6)
    inside = energy <= 98
    found = data.numpy() - data.subtract_background((80, 98)).numpy()
    for y, background in zip(data.numpy(), found, strict=True):

        def loss(p, y=y):
            m = np.exp(p[0] - p[1] * np.log(energy[inside] / 90))
            return (m - y[inside] * np.log(m)).sum()

        p = minimize(loss, [np.log(y[inside].mean()), 3.0], method="Nelder-Mead", tol=1e-12).x
        np.testing.assert_allclose(background, np.exp(p[0]) * (energy / 90) ** -p[1], rtol=1e-5)


def test_power_law_is_exact_without_noise_and_scales_with_the_data():
    energy, background, _ = spectra(1.0, 1)
    axes = ["x", fu.Axis("energy loss", 0.5, 80.0, "eV")]
    for scale in (1e-6, 1.0, 1e6):
        net = fu.Dataset("a", scale * background[None], axes=axes).subtract_background((85, 98))
        np.testing.assert_allclose(net.numpy() / scale, 0, atol=1e-9)
    decay = np.exp(-energy / 20)[None]
    net = fu.Dataset("a", decay, axes=axes).subtract_background((85, 98), "exponential")
    np.testing.assert_allclose(net.numpy(), 0, atol=1e-12)


def test_power_law_has_no_bias_at_few_counts():
    _, background, data = spectra(1.0, 4000)
    fitted = data.numpy() - data.subtract_background((80, 98)).numpy()
    inside = slice(0, 37)
    error = fitted[:, inside].mean() / background[inside].mean() - 1
    assert abs(error) < 4 / np.sqrt(4000 * background[inside].sum())


def test_background_ignores_masked_channels_and_empty_pixels_and_counts_negatives():
    _, _, data = spectra(100.0, 5)
    values = data.numpy().copy()
    clean = fu.Dataset("a", values, axes=data.axes).subtract_background((80, 98))
    values[:, 10] = 10**6
    values[0] = 0
    mask = np.zeros(121, bool)
    mask[10] = True
    net = fu.Dataset("a", values, axes=data.axes, mask=mask).subtract_background((80, 98))
    assert (net.numpy()[0, 11:] == 0).all()
    assert np.abs(net.numpy() - clean.numpy())[1:, 11:].max() < 10
    negative = int((net.numpy()[:, ~mask] < 0).sum())
    assert f"{negative} of 600 values negative" in net.history[0]


def test_baselines_of_pybaselines_can_be_named():
    data = concurrent(shape=(6, 6)).datasets["edxs"]
    net = data.subtract_background((None, None), "snip")
    assert net.shape == data.shape
    assert net.numpy().sum() < data.numpy().sum()


def test_background_complains_of_models_windows_and_energies(data):
    assert "no such model" in complaint(lambda: data.subtract_background((100, 110), "magic"))
    assert "runs from 100" in complaint(lambda: data.subtract_background((300, 400)))
    assert "2 of 20 channels" in complaint(lambda: data.subtract_background((100, 102)))
    low = fu.Dataset("a", np.ones((2, 9)), axes=["x", fu.Axis("energy loss", offset=-3)])
    assert "positive energies" in complaint(lambda: low.subtract_background((1, 4)))


# --- spikes


def test_planted_spikes_are_found_and_nothing_else():
    counts = layers(seed=0).datasets["counts"]
    assert "0 values" in counts.remove_spikes().history[0]
    values = counts.numpy().astype(np.int64)
    places = (np.array([3, 20, 31]), np.array([5, 6, 40]), np.array([50, 120, 200]))
    values[places] += 6000
    values[3, 5, 51] += 4000
    clean = fu.Dataset("counts", values, axes=counts.axes).remove_spikes()
    assert "4 values in 3 pixels" in clean.history[0]
    assert clean.numpy().dtype == np.int64
    assert np.abs(clean.numpy() - counts.numpy().astype(int)).max() < 400


def test_sharp_lines_and_small_particles_are_no_spikes():
    assert "0 values" in concurrent(seed=0).datasets["edxs"].remove_spikes().history[0]


def test_spikes_complain_of_thresholds_and_images(data):
    assert "must be positive" in complaint(lambda: data.remove_spikes(threshold=0))
    image = fu.Dataset("adf", np.ones((3, 4)), signal=0)
    assert "give spectra" in complaint(image.remove_spikes)


# --- drift


def drifted(seed: int, peak: float = 2000.0) -> tuple[np.ndarray, fu.Dataset]:
    rng = RNG(seed)
    channel = np.arange(120.0)
    shifts = rng.uniform(-5, 5, (8, 10))
    mean = peak * np.exp(-0.5 * ((channel - 60 - shifts[..., None]) / 3) ** 2) + 5
    return shifts - np.median(shifts), fu.Dataset("zlp", rng.poisson(mean))


def test_planted_drifts_are_found_to_a_tenth_of_a_channel():
    for seed in range(3):
        shifts, data = drifted(seed)
        error = drifts(data) - shifts
        assert np.std(error) < 0.05
        assert np.abs(error - np.median(error)).max() < 0.15


def test_a_drifting_edge_is_found_to_a_tenth_of_a_channel():
    rng, energy = RNG(0), np.arange(240.0)
    shifts = rng.uniform(-3, 3, (6, 7))
    at = energy - 120 - shifts[..., None]
    edge = 2e4 / (1 + np.exp(-at / 1.5)) + 3e4 * np.exp(-0.5 * ((at - 6) / 3) ** 2) + 2e3
    error = drifts(fu.Dataset("edge", rng.poisson(edge)), channel=(80, 180)) - shifts
    assert np.std(error) < 0.1


def test_aligned_spectra_are_as_sharp_as_one_and_the_ends_are_cut_off():
    _, data = drifted(0)
    aligned = data.align()
    mean = aligned.numpy().mean((0, 1)) - 5
    channel = aligned.channels[0].values
    centre = (channel * mean).sum() / mean.sum()
    width = np.sqrt((((channel - centre) ** 2) * mean).sum() / mean.sum())
    assert width == pytest.approx(3.0, abs=0.25)
    assert aligned.shape[-1] < 120
    assert "cut off" in aligned.history[0]


def test_drifts_of_one_detector_align_another():
    _, data = drifted(0)
    a, b = data.align(), data.align(shifts=drifts(data))
    np.testing.assert_allclose(a.numpy(), b.numpy())
    assert "(8, 10)" in complaint(lambda: data.align(shifts=np.zeros((10, 8))))
    assert "nothing is left" in complaint(lambda: data.align(shifts=np.full((8, 10), 500.0)))
    assert "give 8 or more" in complaint(lambda: data.align(channel=(3, 5)))


# --- noise


@pytest.mark.parametrize("gain", [0.2, 4.0, 20.0])
def test_a_known_gain_is_found(gain):
    scene = layers(seed=1)
    mean = scene.truth["C"] @ scene.truth["S"].T + scene.truth["background"]
    counts = gain * RNG(0).poisson(mean / gain)
    noise = fu.Dataset("eels", counts.reshape(40, 44, -1)).noise()
    assert noise.gain == pytest.approx(gain, rel=0.05)
    assert noise.scree.rank == 3
    assert not noise.counts
    assert not noise.correlated


def test_gain_and_read_out_noise_are_told_apart():
    scene = layers(seed=1)
    mean = scene.truth["C"] @ scene.truth["S"].T + scene.truth["background"]
    values = 4.0 * RNG(0).poisson(mean / 4) + RNG(1).normal(0, 70, mean.shape)
    noise = fu.Dataset("eels", values.reshape(40, 44, -1)).noise()
    assert noise.gain == pytest.approx(4.0, rel=0.15)
    assert noise.readout == pytest.approx(4900, rel=0.1)
    assert noise.scree.rank == 3


def test_counts_are_recognised_dense_and_sparse():
    for data in (layers(seed=0).datasets["counts"], concurrent(seed=0).datasets["edxs"]):
        noise = data.noise()
        assert noise.counts
        assert noise.gain == pytest.approx(1.0, abs=0.05)
        assert noise.scree.rank == 3


def test_correlated_channels_are_warned_of():
    scene = layers(seed=0)
    mean = scene.truth["C"] @ scene.truth["S"].T + scene.truth["background"]
    counts = 4.0 * RNG(0).poisson(mean / 4)
    blurred = counts[:, :-2] / 4 + counts[:, 1:-1] / 2 + counts[:, 2:] / 4
    data = fu.Dataset("eels", blurred.reshape(40, 44, -1))
    noise = data.noise()
    assert noise.correlation == pytest.approx(2 / 3, abs=0.05)
    assert noise.gain == pytest.approx(1.5, rel=0.15)
    with pytest.warns(UserWarning, match="correlated"):
        data.estimate_variance()


def test_the_estimated_variance_is_that_of_the_noise():
    scene = layers(seed=1)
    mean = scene.truth["C"] @ scene.truth["S"].T + scene.truth["background"]
    values = 4.0 * RNG(0).poisson(mean / 4)
    data = fu.Dataset("eels", values.reshape(40, 44, -1)).estimate_variance()
    ratio = ((values - mean) ** 2 / data.variance.reshape(mean.shape).numpy()).mean()
    assert ratio == pytest.approx(1.0, abs=0.05)
    assert "variance = " in data.history[0]
    net = layers(seed=0).datasets["net"].estimate_variance()
    assert tuple(net.variance.shape) == (1, 1, 240)


def test_too_few_spectra_tell_no_noise():
    assert "four of each" in complaint(lambda: fu.Dataset("a", np.ones((2, 30))).noise())


# --- scale


def test_normalise_divides_by_numbers_pixels_and_detectors(data):
    mean = data.normalise()
    keep = ~data.mask.expand(data.shape).numpy()
    assert mean.numpy()[keep].mean() == pytest.approx(1.0)
    half = data.normalise(2)
    np.testing.assert_allclose(half.numpy(), data.numpy() / 2)
    np.testing.assert_allclose(half.variance.flatten(), np.arange(1.0, 21.0) / 4)
    total = data.normalise(data)
    np.testing.assert_allclose(total.numpy().sum(-1)[~data.mask[..., 0].numpy()], 1.0)
    maps = data.normalise(np.full((4, 6), 3.0))
    np.testing.assert_allclose(maps.numpy()[keep], data.numpy()[keep] / 3)
    assert maps.history == ("normalise(array (4, 6))",)


def test_normalise_complains_of_shapes_and_zeros(data):
    assert "(6, 4)" in complaint(lambda: data.normalise(np.ones((6, 4))))
    assert "not positive" in complaint(lambda: data.normalise(np.zeros((4, 6))))

"""`noise` and `estimate_variance`: known gains, read-out, correlations, components."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import fusion as fu
from fusion.prepare import chosen_pixels, noise_sample
from fusion.simulate import concurrent, layers

RNG = np.random.default_rng


def complaint(step) -> str:
    """The one line that a step complains with."""
    with pytest.raises(ValueError) as error:
        step()
    assert "\n" not in str(error.value)
    return str(error.value)


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


@pytest.mark.parametrize("count", [None, 2.0])
@pytest.mark.parametrize("at_once", [7, 2**20])
def test_neighbours_of_sparse_data_are_summed_from_their_entries(count, at_once, monkeypatch):
    monkeypatch.setattr(chosen_pixels, "READ_ENTRIES", at_once)
    values = 2.0 * RNG(0).poisson(0.3, (9, 11, 50))
    axes = [fu.Axis("y", size=9), fu.Axis("x", size=11), "energy"]
    data = fu.Dataset("edxs", csr_array(values.reshape(99, 50)), axes=axes)
    pixels, channels = np.array([1, 5, 11]), np.array([0, 3, 11])  # of 4 × 3 and 12 groups
    summed = values[:8, :9, :48].reshape(4, 2, 3, 3, 12, 4).sum((1, 3, 5)).reshape(12, 12)
    found = noise_sample._sums(data, pixels, channels, (2, 3, 4), count)
    np.testing.assert_array_equal(found, summed[np.ix_(pixels, channels)] / (count or 1))


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
    assert "4 pixels and 4 channels" in complaint(lambda: fu.Dataset("a", np.ones((2, 30))).noise())


def test_data_without_noise_have_none_to_measure():
    assert "all values are the same" in complaint(fu.Dataset("a", np.ones((20, 30))).noise)
    exact = np.outer(np.arange(1.0, 21), np.arange(1.0, 31) ** 0.5)
    assert "beyond rounding" in complaint(fu.Dataset("a", exact).estimate_variance)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_photon_transfer_curve_lies_on_the_line_of_the_gain(scale):
    scene = layers(seed=1)
    mean = scene.truth["C"] @ scene.truth["S"].T + scene.truth["background"]
    values = scale * (4.0 * RNG(0).poisson(mean / 4) + RNG(1).normal(0, 20, mean.shape))
    noise = fu.Dataset("eels", values.reshape(40, 44, -1)).noise()
    level, variance = noise.levels.T
    np.testing.assert_allclose(variance, scale * 4 * level + 400 * scale**2, rtol=0.1)
    np.testing.assert_allclose(variance, noise.gain * level + noise.readout, rtol=0.1)


def test_levels_of_binned_counts_are_those_of_single_entries():
    edxs = concurrent(seed=0).datasets["edxs"]
    noise = edxs.noise()
    assert max(noise.binned) > 1
    assert noise.levels[:, 0].mean() < 3 * edxs.numpy().mean()
    np.testing.assert_allclose(noise.levels[:, 1], noise.levels[:, 0], rtol=0.15)


def test_a_variance_of_every_channel_has_no_photon_transfer_curve():
    noise = layers(seed=0).datasets["net"].noise()
    assert noise.levels is None
    assert "no mean" in complaint(noise.plot)


@pytest.mark.parametrize("f", [1.0, 1e-6, 0.37, 1e6])
def test_the_variance_of_counts_in_another_unit_is_the_same(f):
    counts = np.random.default_rng(3).poisson(3 * np.exp(-np.arange(60) / 30), (12, 14, 60))
    data = fu.Dataset("eds", counts * f).estimate_variance()
    ratio = float(data.variance.expand(data.shape).mean()) / (counts.mean() * f**2)
    assert ratio == pytest.approx(1, abs=0.05)


def test_means_of_counts_have_their_share_of_the_noise_and_are_not_called_clipped():
    counts = np.random.default_rng(0).poisson(2.0, (16, 20, 60, 4))
    data = fu.Dataset("mean", counts.mean(-1))
    noise = data.noise()
    assert noise.gain == pytest.approx(0.25, rel=0.05)
    assert not noise.clipped
    variance = data.estimate_variance().variance.expand(data.shape)
    assert float(variance.mean()) == pytest.approx(0.5, rel=0.05)


def small_and_smooth(peak: float) -> tuple[np.ndarray, fu.Dataset]:
    """(expected counts, data) of three broad peaks, 20 × 20 × 60."""
    random = np.random.default_rng(0)
    x = np.linspace(0, 1, 60)[:, None]
    spectra = np.exp(-0.5 * ((x - np.array([0.2, 0.5, 0.8])) / 0.1) ** 2)
    mean = peak * random.dirichlet([0.3] * 3, 400) @ spectra.T + 1.0
    return mean, fu.Dataset("eels", random.poisson(mean).reshape(20, 20, 60))


@pytest.mark.parametrize("peak", [5, 50, 500])
def test_smooth_components_of_a_small_scan_are_no_correlated_noise(peak):
    noise = small_and_smooth(peak)[1].noise()
    assert noise.counts
    assert noise.scree.rank == 3
    assert noise.gain == pytest.approx(1, abs=0.1)
    assert noise.correlation < 0.1


def relative_error(variance, true) -> float:
    return float(np.sqrt(np.mean((np.broadcast_to(variance, true.shape) / true - 1) ** 2)))


@pytest.mark.parametrize(("counts", "at_most"), [(1000, 0.05), (100, 0.1)])
@pytest.mark.parametrize("value", [1.0, 1e-6])
def test_the_variance_follows_an_edge_that_one_phase_alone_has(counts, at_most, value):
    random = np.random.default_rng(1)
    E = np.linspace(100, 900, 300)
    spectra = [(E / 100) ** -2.5 * (1 + 0.9 * (edge < E)) for edge in (284, 532, 708)]
    mean = counts * random.dirichlet([0.5] * 3, 900) @ np.array(spectra)
    data = fu.Dataset("eels", value * random.poisson(mean).reshape(30, 30, 300))
    with_variance = data.estimate_variance()
    assert relative_error(with_variance.variance.reshape(mean.shape), value**2 * mean) < at_most


def test_masked_entries_have_the_variance_of_what_is_expected_there():
    mean, data = small_and_smooth(500)
    mask = np.zeros(data.shape, dtype=bool)
    mask[3:6, 4:8, 10:20] = True
    values = np.where(mask, 10**6, data.numpy())
    masked = fu.Dataset("eels", values, mask=mask).estimate_variance()
    assert relative_error(masked.variance.reshape(mean.shape), mean) < 0.2


def test_one_value_a_pixel_and_channel_stays_where_it_is_right():
    from fusion.forms.weights import separable

    random = np.random.default_rng(0)
    mean = random.uniform(50, 100, (300, 1)) * random.uniform(1, 2, 40)
    variance = (
        fu.Dataset("x", random.poisson(mean).reshape(15, 20, 40)).estimate_variance().variance
    )
    assert isinstance(separable(variance.reshape(300, 40)), tuple)


def test_blocks_and_channels_without_a_count_have_a_variance_too():
    mean, data = small_and_smooth(50)
    values = data.numpy().copy()
    values[3:8, 3:9] = 0
    values[..., 10:12] = 0
    variance = fu.Dataset("eels", values).estimate_variance().variance.expand(values.shape)
    assert bool((variance > 0).all())
    seen = values.reshape(mean.shape) > 20
    assert relative_error(variance.reshape(mean.shape)[seen], mean[seen]) < 0.3


def test_the_variance_of_an_image_comes_from_neighbouring_pixels():
    x = np.linspace(0, 1, 40)
    image = 100 * np.outer(x, x) + np.random.default_rng(0).normal(0, 3, (40, 40))
    data = fu.Dataset("adf", image, signal=0).estimate_variance()
    assert float(data.variance.mean()) == pytest.approx(9, rel=0.2)
    assert "neighbouring pixels" in data.history[-1]


def with_a_line_of_dim_pixels():
    """(counts of 40 channels, the same beside pixels that have one count each, in a 41st)."""
    mean = np.random.default_rng(0).uniform(1, 6, (60, 2)) @ np.eye(2).repeat(20, axis=1)
    bright = np.random.default_rng(1).poisson(mean)
    values = np.zeros((100, 41), int)
    values[:60, :40], values[60:, 40] = bright, 1
    return fu.Dataset("bright", bright, signal=1), fu.Dataset("all", values, signal=1)


def test_a_channel_that_only_pixels_left_out_have_changes_nothing_of_the_scree():
    bright, everything = (data.noise() for data in with_a_line_of_dim_pixels())
    assert everything.counts
    np.testing.assert_allclose(everything.scree.over_edge, bright.scree.over_edge, rtol=1e-9)


def test_the_rank_of_a_map_with_empty_pixels_and_channels_is_that_without_them():
    bright, everything = with_a_line_of_dim_pixels()
    ranks = [fu.rank(data, ard=False, stability=False).recommended for data in (bright, everything)]
    assert ranks[0] == ranks[1] == bright.noise().scree.clear


def test_the_edge_of_correlated_noise_with_one_peak_is_a_number():
    from fusion.prepare.noise_edge import uneven_edge

    squares = np.zeros((20, 40))
    squares[:, 3:6] = np.random.default_rng(0).uniform(0, 1e9, (20, 3))
    squares[::2, 30] = 1e-12
    assert np.isfinite(uneven_edge(squares, np.array([0.5, 0.3, 0.1]), 1.0))

"""What `info` notices: empty pixels, peaks that hold all, hot and dead channels, saturation."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fusion as fu
from fusion.prepare.inspection import inspect

ENERGY = fu.Axis("energy", 0.02, -0.2, "keV")
RNG = np.random.default_rng(0)
FLAT = RNG.poisson(30.0, (12, 14, 200))


def of(values, **options) -> fu.Dataset:
    axes = ["y", "x", options.pop("energy", ENERGY)]
    return fu.Dataset("eds", values, axes=axes, **options)


def told(data: fu.Dataset) -> str:
    return " ".join(inspect(data).messages)


def test_nothing_is_noticed_in_plain_counts():
    found = inspect(of(FLAT)).noticed
    assert (found.empty_pixels, found.peak, found.saturated) == (0, None, 0)
    assert (found.hot_channels, found.dead_channels, found.count_value) == ((), (), 1.0)


def test_an_empty_frame_is_told_with_the_crop_that_leaves_no_empty_pixel():
    values = FLAT.copy()
    values[:2], values[:, 11:] = 0, 0
    data = of(values)
    text = told(data)
    assert f"Nothing was counted in {12 * 14 - 10 * 11} of 168 pixels" in text
    assert "y 0 to 1 and x 11 to 13 are empty: crop(y=slice(2, 12), x=slice(0, 11))" in text
    assert inspect(data.crop(y=slice(2, 12), x=slice(0, 11))).noticed.empty_pixels == 0


def test_an_empty_line_inside_is_told_with_a_mask_that_works():
    values = FLAT.copy()
    values[5] = 0
    data = of(values)
    assert "Nothing was counted in 14 of 168 pixels: y 5 are empty: masked(" in told(data)
    assert inspect(data.masked(data.numpy().sum(-1) == 0)).noticed.empty_pixels == 0


def test_scattered_empty_pixels_of_few_counts_are_natural():
    values = np.random.default_rng(0).poisson(0.01, (12, 14, 200))
    assert "scattered, as is natural with so few: bin(y=2, x=2)" in told(of(values))


def test_masked_pixels_are_not_empty_ones():
    values, mask = FLAT.copy(), np.zeros((12, 14), bool)
    values[:2], mask[:2] = 0, True
    assert inspect(of(values, mask=mask)).noticed.empty_pixels == 0


def zero_peak(height: float):
    shape = np.exp(-0.5 * (ENERGY_VALUES / 0.03) ** 2)
    return RNG.poisson(0.2 + height * shape, (12, 14, 200))


ENERGY_VALUES = -0.2 + 0.02 * np.arange(200)


def test_a_zero_peak_of_x_rays_is_told_with_the_crop_that_leaves_it_out():
    data = of(zero_peak(300.0))
    peak = inspect(data).noticed.peak
    assert peak.at_zero
    assert peak.share > 0.9
    line = next(m for m in inspect(data).messages if "zero peak" in m)
    after = float(line.split("energy=(")[1].split(",")[0])
    assert f"--energy {after:.4g}:" in line
    cropped = data.crop(energy=(after, None))
    assert cropped.numpy().sum() < 0.1 * data.numpy().sum()
    assert inspect(cropped).noticed.peak is None


def test_a_zero_loss_peak_is_natural():
    energy = fu.Axis("energy loss", 0.2, -2.0, "eV")
    text = told(of(zero_peak(300.0), energy=energy))
    assert "the zero-loss peak, as is natural" in text


def test_all_counts_in_few_channels_elsewhere_are_told_with_their_window():
    values = np.zeros((12, 14, 200), int)
    values[..., 100:110] = RNG.poisson(9.0, (12, 14, 10))
    assert "100 % of the counts lie between 1.8 and 1.98 keV: crop(energy=(1.8, 1.98))" in told(
        of(values)
    )


def test_a_hot_channel_is_told_and_a_spike_or_a_line_is_not():
    values = FLAT.copy()
    values[..., 50] *= 10
    assert inspect(of(values)).noticed.hot_channels == (50,)
    text = told(of(values))
    assert "channel 50 (0.8 keV)" in text
    assert "masked(numpy.isin(numpy.arange(200), [50]))" in text
    spiked = FLAT.copy()
    spiked[3, 4, 50] = 10**6
    assert inspect(of(spiked)).noticed.hot_channels == ()
    line = RNG.poisson(5 + 500 * np.exp(-0.5 * ((np.arange(200) - 70) / 1.5) ** 2), (12, 14, 200))
    assert inspect(of(line)).noticed.hot_channels == ()


def test_a_hot_channel_of_lazy_data_in_blocks_of_channels_is_told():
    dask = pytest.importorskip("dask.array")
    values = FLAT.copy()
    values[..., 50] *= 10
    data = of(dask.from_array(values, chunks=(5, 5, 40)))
    assert inspect(data).noticed.hot_channels == (50,)


def test_dead_channels_are_those_between_channels_with_many_counts():
    values = FLAT.copy()
    values[..., [30, 31]] = 0
    values[..., 150:] = 0  # the end of the spectrum, not a defect
    assert inspect(of(values)).noticed.dead_channels == (30, 31)
    assert "Nothing was counted in channels 30 (0.4 keV), 31 (0.42 keV)" in told(of(values))
    few = np.random.default_rng(0).poisson(0.02, (12, 14, 200))
    assert inspect(of(few)).noticed.dead_channels == ()


def test_values_at_the_limit_of_their_type_are_told_as_saturated():
    values = np.minimum(FLAT * 8, 255).astype(np.uint8)
    found = inspect(of(values))
    assert found.noticed.saturated == (values == 255).sum()
    assert "masked(data.numpy() >= 255)" in told(of(values))


def test_values_cut_off_below_the_limit_of_the_type_are_saturated_and_a_low_maximum_is_not():
    high = np.random.default_rng(0).poisson(1000.0, (12, 14, 200))
    assert inspect(of(np.minimum(high, 1023))).noticed.saturated == (high >= 1023).sum()
    assert inspect(of(high)).noticed.saturated == 0
    few = np.random.default_rng(0).poisson(0.5, (12, 14, 200)).clip(max=3)
    assert inspect(of(few)).noticed.saturated == 0


@pytest.mark.parametrize("value", [2.5, 4.0])
def test_scaled_counts_are_told_with_their_value(value):
    text = told(of(FLAT * value))
    assert f"Values are counts × {value:g}: divide by that" in text


def test_what_was_noticed_is_in_the_dictionary_for_machines():
    values = FLAT.copy()
    values[:2] = 0
    noticed = inspect(of(values)).as_dict()["noticed"]
    assert noticed["empty_pixels"] == 28
    assert noticed["filled_box"] == [[2, 11], [0, 13]]


def test_the_window_of_a_narrow_peak_holds_its_channels():
    x = np.arange(2048)
    mean = 0.02 + 3000 * np.exp(-0.5 * ((x - 1005) / 1.5) ** 2)
    counts = np.random.default_rng(0).poisson(mean, (12, 12, 2048))
    data = fu.Dataset("raman", counts, axes=["y", "x", fu.Axis("wavenumber", 0.05, 1000, "1/cm")])
    said = re.search(r"crop\(wavenumber=\(([\d.]+), ([\d.]+)\)\)", " ".join(inspect(data).messages))
    low, high = said.groups()
    part = data.crop(wavenumber=(float(low), float(high)))
    assert part.numpy().sum() > 0.99 * counts.sum()


@pytest.mark.parametrize(("height", "told"), [(400.0, True), (30.0, True), (12.0, False)])
def test_the_zero_peak_of_x_ray_electronics_is_told_by_its_height_over_its_foot(height, told):
    axis = fu.Axis("energy", 0.02, -0.2, "keV", size=300)
    E = axis.values
    mean = 0.5 + 80 * np.exp(-0.5 * ((E - 1.74) / 0.05) ** 2)
    mean = mean + height * np.exp(-0.5 * (E / 0.03) ** 2) / 8
    counts = np.random.default_rng(0).poisson(mean, (6, 7, 300))
    data = fu.Dataset("edxs", counts, axes=["y", "x", axis])
    assert ("the zero peak of the electronics" in data.summary()) is told


def test_what_a_crop_left_of_the_zero_peak_is_no_window_to_keep():
    axis = fu.Axis("energy", 0.01, 0.1, "keV", size=300)
    mean = 400 * np.exp(-((axis.values / 0.09) ** 2)) + 0.02
    counts = np.random.default_rng(0).poisson(mean, (6, 7, 300))
    data = fu.Dataset("edxs", counts, axes=["y", "x", axis])
    after = float(re.search(r"--energy ([\d.]+): leaves it out", told(data))[1])
    assert "what is left of the zero peak of the electronics" in told(data)
    assert 0.25 < after < 0.35  # where the tail is as low as the background
    assert "zero peak" not in told(data.crop(energy=(after, None)))


def test_a_line_that_rises_behind_the_begin_of_the_axis_is_no_zero_peak():
    axis = fu.Axis("energy", 0.01, 0.15, "keV", size=300)
    mean = 0.5 + 80 * np.exp(-0.5 * ((axis.values - 0.277) / 0.03) ** 2)  # C Ka
    counts = np.random.default_rng(0).poisson(mean, (6, 7, 300))
    assert "zero peak" not in told(fu.Dataset("edxs", counts, axes=["y", "x", axis]))


def test_the_number_of_components_is_told_with_the_zero_peak_among_them():
    line = next(m for m in inspect(of(zero_peak(300.0))).messages if m.startswith("K:"))
    assert "the zero peak is one or more of them" in line


@pytest.mark.parametrize(
    ("axis", "serves"),
    [
        (fu.Axis("energy", 0.01, 0.2, "keV"), "ElementMaps"),
        (fu.Axis("energy loss", 0.5, 400.0, "eV"), "mlls"),
    ],
)
def test_a_single_spectrum_is_called_so_with_what_serves_for_it(axis, serves):
    values = np.random.default_rng(0).poisson(30.0, 80)
    data = fu.Dataset("one", values, axes=[axis], signal=1)
    (message,) = inspect(data).messages
    assert message.startswith("A single spectrum, no map")
    assert serves in message
    with pytest.raises(ValueError, match="a single spectrum, no map"):
        fu.rank(data)
    with pytest.raises(ValueError, match=r"that is no map.*`fu.mlls"):
        fu.models.NMF(data, K=2)


def test_the_zero_peak_is_told_alone_for_those_who_go_straight_to_a_fit():
    from fusion.prepare.noticed_text import zero_peak_advice

    axis = fu.Axis("energy", 0.02, -0.2, "keV", size=300)
    mean = 0.5 + 50 * np.exp(-0.5 * (axis.values / 0.03) ** 2)
    counts = np.random.default_rng(0).poisson(mean, (6, 7, 300))
    told = zero_peak_advice(fu.Dataset("edxs", counts, axes=["y", "x", axis]))
    assert "the zero peak of the electronics" in told
    assert 0.08 <= float(re.search(r"--energy ([\d.]+):", told)[1]) <= 0.18  # three to six widths
    flat = np.random.default_rng(0).poisson(5, (6, 7, 300))
    assert zero_peak_advice(fu.Dataset("edxs", flat, axes=["y", "x", axis])) == ""
    assert zero_peak_advice(fu.Dataset("adf", np.ones((6, 7)), signal=0)) == ""

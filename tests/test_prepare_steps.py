"""Steps before the fit, every case: types, masks, variances, scales, axes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import fusion as fu
from fusion.prepare import drifts
from fusion.simulate import concurrent, core_loss_edge, layers, power_law

REAL = Path(__file__).parents[2] / "shared/data/espm_geology_edxs/88GPa_80x80.npz"
FULL = (4, 6, 12)


def axes(scale: float = 0.5, offset: float = 100.0):
    return (
        fu.Axis("y", 2.0, 10.0, units="nm"),
        fu.Axis("x", 2.0, units="nm"),
        fu.Axis("energy loss", scale, offset, units="eV"),
    )


def data(array=None, **options) -> fu.Dataset:
    array = np.arange(288.0).reshape(FULL) + 1 if array is None else array
    return fu.Dataset("eels", array, **({"axes": axes(), "metadata": {"kV": 300}} | options))


def poisson(mean, seed: int = 0):
    return np.random.default_rng(seed).poisson(mean)


def one_line(call, *words: str) -> None:
    """The call fails with one line that names these words."""
    with pytest.raises(ValueError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("`")
    assert all(word in text for word in words), text


# ---- every step ----------------------------------------------------------------------------------

STEPS = {
    "crop": lambda d: d.crop(energy=(101, 105)),
    "bin": lambda d: d.bin(x=2),
    "subtract_background": lambda d: d.subtract_background((100, 104)),
    "remove_spikes": lambda d: d.remove_spikes(),
    "align": lambda d: d.align(shifts=np.full(FULL[:2], 0.5)),
    "normalise": lambda d: d.normalise(),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_a_step_leaves_the_original_and_appends_itself_to_the_history(step, kind):
    array = poisson(np.full(FULL, 30.0)).astype(kind)
    array[1, 2, 5] = 250
    before, variance = array.copy(), np.full(12, 3.0)
    given = data(array, variance=variance, mask=np.arange(12) == 3, history=["read"])
    new = STEPS[step](given)
    assert (array == before).all()
    assert (given.numpy() == before).all()
    assert given.shape == FULL
    assert given.history == ("read",)
    assert (given.variance.numpy() == 3).all()
    assert new.history[0] == "read"
    assert len(new.history) == 2
    assert new.history[1].startswith(step + "(")
    assert (new.name, new.metadata) == ("eels", {"kV": 300})
    assert [a.name for a in new.axes] == ["y", "x", "energy loss"]
    assert [a.units for a in new.axes] == ["nm", "nm", "eV"]
    new.check()
    assert new.matrix.double().isfinite().all()


def test_the_history_is_in_the_order_of_the_steps():
    given = data()
    order = ["crop", "subtract_background", "align", "remove_spikes", "bin", "normalise"]
    for step in order:
        given = STEPS[step](given)
    assert [line.split("(")[0] for line in given.history] == order


# ---- crop ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranges", "index"),
    [
        ({"energy": (101, 102.5)}, np.s_[:, :, 2:6]),
        ({"energy_loss": (None, 102.4)}, np.s_[:, :, :5]),
        ({"e": [104.9, None]}, np.s_[:, :, 10:]),
        ({"y": (12, 14), "x": slice(1, -2)}, np.s_[1:3, 1:4, :]),
        ({"x": slice(-2, None), "energy": slice(np.int64(3), 5)}, np.s_[:, 4:, 3:5]),
        ({"X": (None, None)}, np.s_[:, :, :]),
    ],
)
def test_crop_takes_positions_with_both_ends_or_indices(ranges, index):
    given = data()
    new = given.crop(**ranges)
    assert np.array_equal(new.numpy(), given.numpy()[index])
    for old, axis, part in zip(given.axes, new.axes, index, strict=True):
        assert np.allclose(axis.values, old.values[part])
        assert axis.scale == old.scale


BROADCAST = {
    "scalar": (),
    "channels": (12,),
    "pixels": (4, 6, 1),
    "rows": (4, 1, 1),
    "full": FULL,
    "one row": (1, 6, 12),
}


@pytest.mark.parametrize("shape", BROADCAST.values(), ids=list(BROADCAST))
def test_crop_takes_variance_along(shape):
    variance = np.random.default_rng(0).uniform(1, 2, shape)
    new = data(variance=variance).crop(energy=(101, 103), y=slice(1, 3), x=slice(2, 5))
    expected = np.broadcast_to(variance, FULL)[1:3, 2:5, 2:7]
    assert np.array_equal(new.variance.expand(new.shape).numpy(), expected)
    assert new.variance.numel() <= max(variance.size, 1)


@pytest.mark.parametrize("shape", [(4, 6), (12,), FULL, (1, 6, 1)])
def test_crop_takes_the_mask_along(shape):
    mask = np.random.default_rng(0).random(shape) < 0.4
    new = data(mask=mask).crop(energy=(101, 103), y=slice(1, 3), x=slice(2, 5))
    wide = mask[..., None] if shape == (4, 6) else mask
    assert np.array_equal(
        new.mask.expand(new.shape).numpy(), np.broadcast_to(wide, FULL)[1:3, 2:5, 2:7]
    )


def test_crop_and_bin_of_lazy_data_stay_lazy_and_give_the_same():
    dask = pytest.importorskip("dask.array")
    array = poisson(np.full(FULL, 100.0)).astype(np.uint8)
    lazy = data(dask.from_array(array, chunks=(2, 3, 5)), variance=np.arange(12) + 1.0)
    eager = data(array, variance=np.arange(12) + 1.0)
    steps = [
        lambda d: d.crop(energy=(101, 104), x=slice(1, 5)),
        lambda d: d.bin(energy=3, y=2),
        lambda d: d.crop(energy=slice(0, 8)).bin(energy=4, x=3),
    ]
    for step in steps:
        new, expected = step(lazy), step(eager)
        assert new.lazy is not None
        assert lazy.lazy is not None
        assert np.array_equal(new.numpy(), expected.numpy())
        assert new.tensor.dtype == expected.tensor.dtype
        assert torch.equal(new.variance, expected.variance)
        assert new.axes == expected.axes


def test_crop_of_non_uniform_and_descending_axes_keeps_the_positions():
    curved = fu.Axis("energy", values=np.arange(12.0) ** 2, units="eV")
    new = data(axes=["y", "x", curved]).crop(energy=(4, 30))
    assert np.array_equal(new.axes[2].values, [4, 9, 16, 25])
    falling = data(axes=axes(-0.5, 100)).crop(energy=(98, 99))
    assert np.array_equal(falling.axes[2].values, [99, 98.5, 98])
    assert np.array_equal(falling.numpy(), data().numpy()[..., 2:5])


def test_crop_of_what_is_not_there_says_what_is():
    given = data()
    one_line(lambda: given.crop(energy=(300, 400)), "300", "400", "100", "105.5", "12")
    one_line(lambda: given.crop(energy=(104, 102)), "104", "102")
    one_line(lambda: given.crop(tilt=(0, 1)), "'tilt'", "energy loss (12)")
    one_line(lambda: given.crop(x=slice(9, 12)), "6 entries")
    one_line(lambda: given.crop(x=slice(0, 4, 2)), "6 entries", "step 1")
    one_line(lambda: given.crop(x=slice(0.0, 4.0)), "6 entries", "whole numbers")
    one_line(lambda: given.crop(energy=101), "energy loss=101", "12 entries", "eV")
    one_line(lambda: given.crop(energy=("a", 3)), "'a'", "12 entries")
    one_line(lambda: given.crop(energy=(1, 2, 3)), "(1, 2, 3)", "12 entries")
    one_line(lambda: given.crop(energy=(float("nan"), 3)), "nan")
    one_line(lambda: given.crop(energy=(101, 102), energy_loss=(101, 103)), "energy loss")
    two = data(axes=["scan y", "scan x", "energy"])
    one_line(lambda: two.crop(scan=(0, 1)), "2 axes", "'scan'", "scan y (4)")


# ---- bin -----------------------------------------------------------------------------------------


def sums(array, y: int, x: int, e: int):
    """Literally."""
    array = np.asarray(array, dtype=float)
    shape = tuple(n // m for n, m in zip(array.shape, (y, x, e), strict=True))
    out = np.zeros(shape)
    for index in np.ndindex(array.shape):
        out[index[0] // y, index[1] // x, index[2] // e] += array[index]
    return out


@pytest.mark.parametrize(
    "kind", [np.bool_, np.uint8, np.int8, np.uint16, np.uint32, np.float16, np.float32, float]
)
def test_bin_sums_and_does_not_overflow(kind):
    high = {np.bool_: 1, np.uint8: 255, np.int8: 127, np.uint16: 65535, np.float16: 65000}
    array = np.full(FULL, high.get(kind, 1000)).astype(kind)
    new = data(array).bin(energy=4, y=2, x=3)
    assert np.array_equal(new.numpy(), sums(array, 2, 3, 4))
    assert new.form(new.matrix_shape, torch.device("cpu"), torch.float64) is not None


def test_bin_puts_the_position_in_the_middle_of_the_group():
    new = data().bin(energy=4, y=np.int64(2))
    assert np.allclose(new.axes[2].values, [100.75, 102.75, 104.75])
    assert np.allclose(new.axes[0].values, [11, 15])
    curved = fu.Axis("energy", values=np.arange(12.0) ** 2)
    new = data(axes=["y", "x", curved]).bin(energy=3)
    assert np.allclose(new.axes[2].values, [5 / 3, 50 / 3, 149 / 3, 302 / 3])


@pytest.mark.parametrize("shape", BROADCAST.values(), ids=list(BROADCAST))
def test_bin_adds_variances_of_all_entries(shape):
    variance = np.random.default_rng(0).uniform(1, 2, shape)
    new = data(variance=variance).bin(energy=4, y=2, x=3)
    expected = sums(np.broadcast_to(variance, FULL), 2, 3, 4)
    assert np.allclose(new.variance.expand(new.shape).numpy(), expected)
    assert new.variance.numel() <= max(variance.size, 1)


@pytest.mark.parametrize("shape", [(4, 6), (12,), FULL, (1, 6, 1)])
def test_a_bin_is_masked_where_one_of_its_entries_is(shape):
    mask = np.random.default_rng(1).random(shape) < 0.15
    new = data(mask=mask).bin(energy=4, y=2, x=3)
    wide = mask[..., None] if shape == (4, 6) else mask
    expected = sums(np.broadcast_to(wide, FULL), 2, 3, 4) > 0
    assert np.array_equal(new.mask.expand(new.shape).numpy(), expected)


def test_bin_that_does_not_divide_advises_a_crop_that_helps():
    given = data()
    one_line(lambda: given.bin(energy=5), "12", "5", "energy_loss=slice(0, 10)")
    assert given.crop(energy_loss=slice(0, 10)).bin(energy=5).shape == (4, 6, 2)
    one_line(lambda: given.bin(energy=24), "12", "24")
    for wrong in (0, -1, 2.0, "2", True, None):
        one_line(lambda wrong=wrong: given.bin(energy=wrong), "energy", "12")
    one_line(lambda: given.bin(tilt=2), "'tilt'", "12")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_bin_keeps_the_total(seed, n):
    array = poisson(np.full(FULL, 3.0), seed)
    assert data(array).bin(energy=n).numpy().sum() == array.sum()


# ---- background ----------------------------------------------------------------------------------

ENERGY = np.arange(60) * 2.0 + 400  # window 400 to 460, beyond it up to 518


def spectra(array, **options) -> fu.Dataset:
    return fu.Dataset(
        "raw", array, axes=["x", fu.Axis("energy", 2.0, 400.0, units="eV")], **options
    )


def literal(y, x):
    """Minimum of Σ (m − y ln m), m = exp(a + b x), spectrum by spectrum; the powers in all of x."""
    backgrounds = []
    scaled = (x - x[:31].mean()) / 0.07 if x[-1] < 10 else (x - x[:31].mean()) / 30
    for row in np.asarray(y, dtype=float)[:, :31]:
        t = scaled[:31]

        def cost(p, row=row, t=t):
            return np.sum(np.exp(p[0] + p[1] * t) - row * (p[0] + p[1] * t))

        def slope(p, row=row, t=t):
            left = np.exp(p[0] + p[1] * t) - row
            return np.array([left.sum(), left @ t])

        start = [np.log(row.mean()), 0.0]
        p = minimize(cost, start, jac=slope, bounds=[(None, None), (None, 0)], method="L-BFGS-B")
        best = minimize(cost, p.x, jac=slope, method="BFGS", options={"gtol": 1e-9})
        p = best.x if best.x[1] < 0 else p.x
        backgrounds.append(np.exp(p[0] + p[1] * scaled))
    return np.array(backgrounds)


@pytest.mark.parametrize(
    ("model", "x"), [("power law", np.log(ENERGY)), ("exponential", ENERGY)], ids=["power", "exp"]
)
@pytest.mark.parametrize("counts", [5.0, 100.0, 10_000.0])
def test_the_background_is_that_of_greatest_poisson_likelihood(model, x, counts):
    y = poisson(np.tile(power_law(ENERGY, 3.0, amplitude=counts), (12, 1)))
    new = spectra(y).subtract_background((400, 460), model)
    assert np.allclose(y - new.numpy(), literal(y, x), rtol=1e-6)


@pytest.mark.parametrize("exponent", [0.0, 2.0, 5.0])
def test_a_power_law_without_noise_is_found_exactly(exponent):
    y = 37.5 * power_law(ENERGY, exponent)[None] * np.array([[1e-6], [1.0], [1e9]])
    net = spectra(y).subtract_background((410, 440)).numpy()
    assert (np.abs(net) < 1e-9 * y).all()


@pytest.mark.parametrize("axis", [fu.Axis("energy", 1.0, -10.0), fu.Axis("energy", -1.0, 60.0)])
def test_an_exponential_without_noise_is_found_exactly_on_any_axis(axis):
    y = 1e4 * np.exp(-axis.sized(60).values / 15)[None]
    net = fu.Dataset("raw", y, axes=["x", axis]).subtract_background((5, 30), "exponential")
    assert (np.abs(net.numpy()) < 1e-9 * y).all()


def test_low_counts_with_zeros_bias_the_extrapolation_by_a_percent_logarithms_by_a_third():
    axis = fu.Axis("energy", 0.25, 400.0)
    energy = axis.sized(800).values
    mean = power_law(energy, 3.0, amplitude=2.0)
    y = poisson(np.tile(mean, (1500, 1)))
    net = fu.Dataset("raw", y, axes=["x", axis]).subtract_background((400, 520)).numpy()
    beyond, inside = energy > 520, energy <= 520
    assert (y == 0).mean() > 0.1
    ours = (y - net)[:, beyond].sum(1).mean() / mean[beyond].sum() - 1
    within = (y - net)[:, inside].sum() / (len(y) * mean[inside].sum()) - 1
    assert abs(within) < 3 / np.sqrt(len(y) * mean[inside].sum())
    assert abs(ours) < 0.015  # e to a noisy slope is convex: 0.7 % here
    logs = np.polyfit(np.log(energy[inside]), np.log(np.maximum(y[:, inside], 1)).T, 1)
    theirs = np.exp(np.log(energy)[:, None] * logs[0] + logs[1])[beyond].sum(0)
    assert theirs.mean() / mean[beyond].sum() - 1 > 0.3


def test_the_background_of_a_few_counts_is_finite_and_never_rises():
    y = np.zeros((4, 60))
    y[0, 30] = 1  # the last channel of the window
    y[1, 0] = 1  # the first
    y[2, [29, 30]] = 1
    y[3] = np.arange(60)
    background = y - spectra(y).subtract_background((400, 460)).numpy()
    assert (np.diff(background, axis=1) <= 1e-12).all()
    assert np.allclose(background[:, :31].sum(1), y[:, :31].sum(1))
    assert np.allclose(background[[0, 2, 3]], y[[0, 2, 3], :31].mean(1)[:, None])


def test_an_empty_pixel_has_no_background():
    y = poisson(np.full((3, 60), 5.0))
    y[1, :31] = 0
    net = spectra(y).subtract_background((400, 460)).numpy()
    assert np.array_equal(net[1], y[1])


def test_masked_and_non_finite_entries_of_the_window_do_not_count():
    y = np.tile(power_law(ENERGY, 3.0, amplitude=50.0), (3, 1))
    mask = np.zeros(y.shape, dtype=bool)
    y[0, 4], mask[0, 4] = 1e6, True
    y[1, 7], mask[1, 7] = np.nan, True
    mask[2] = True
    new = spectra(y, mask=mask).subtract_background((400, 460))
    clean = ~mask
    assert (np.abs(new.numpy()[clean]) < 1e-6).all()
    assert f"of {clean.sum()} values negative" in new.history[-1]


def test_history_counts_the_negatives():
    y = poisson(np.tile(power_law(ENERGY, 3.0, amplitude=50.0), (9, 1)))
    new = spectra(y).subtract_background((400, 460))
    said = new.history[-1]
    assert said.startswith("subtract_background((400, 460), 'power law'): ")
    assert f"{(new.numpy() < 0).sum()} of {y.size} values negative" in said
    assert f"lowest {new.numpy().min():.4g}" in said


@pytest.mark.parametrize("model", ["power law", "exponential"])
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_data_of_another_scale_have_the_same_net_in_that_scale(model, scale):
    y = poisson(np.tile(power_law(ENERGY, 3.0, amplitude=8.0), (40, 1))).astype(float)
    net, scaled = (spectra(s * y).subtract_background((400, 460), model) for s in (1, scale))
    assert np.allclose(scaled.numpy(), scale * net.numpy(), rtol=1e-7, atol=1e-7 * scale)


def test_a_baseline_of_pybaselines_reads_the_window_and_leaves_the_rest():
    pytest.importorskip("pybaselines")
    rng = np.random.default_rng(0)
    peak = 200 * np.exp(-(((ENERGY - 440) / 4) ** 2))
    y = 100 + peak + rng.normal(0, 1, (3, 60))
    mask = np.zeros(y.shape, dtype=bool)
    y[1, 5], mask[1, 5] = np.nan, True
    new = spectra(y, mask=mask).subtract_background((400, 490), "snip")
    background = (y - new.numpy())[:, :46]
    assert np.abs(background[~mask[:, :46]] - 100).max() < 8
    assert np.array_equal(new.numpy()[:, 46:], y[:, 46:])


def test_backgrounds_that_cannot_be_fitted_are_refused():
    given = data()
    one_line(lambda: given.subtract_background((100, 104), "cubic"), "'cubic'", "'snip'")
    one_line(lambda: given.subtract_background((100, 104), "_private"), "'_private'")
    one_line(lambda: given.subtract_background((100, 100.5)), "2 of 12", "three")
    one_line(lambda: given.subtract_background((300, 400)), "300", "105.5")
    one_line(lambda: given.subtract_background(5), "=5", "12")
    below = data(axes=axes(offset=-1.0))
    one_line(lambda: below.subtract_background((1, 4)), "-1", "'exponential'")
    image = fu.Dataset("adf", np.ones((4, 6)), signal=0)
    one_line(lambda: image.subtract_background((0, 1)), "0 signal axes")


# ---- spikes --------------------------------------------------------------------------------------


def eels_map(seed: int = 0):
    """Expected counts (30, 32, 300): two edges on a power law, a thickness step and a gradient."""
    energy = np.linspace(450, 600, 300)
    sharp = core_loss_edge(energy, 530, [(532, 5.0, 1.5), (540, 2.0, 5.0)], width=0.6)
    other = core_loss_edge(energy, 500, [(502, 8.0, 1.2)], width=0.5)
    background = power_law(energy, 3.0, amplitude=300)
    y, x = np.mgrid[:30, :32]
    thick = np.where(x < 15, 0.4, 1.0) * (1 + y / 60)
    return thick[..., None] * (
        background
        + 150 * np.where(y < 12, 1, 0)[..., None] * sharp
        + 60 * (x > 20)[..., None] * other
    )


def edxs_map():
    """Expected counts (30, 32, 400), 0.02 on average, lines up to 8."""
    energy = np.arange(400)
    lines = sum(np.exp(-(((energy - c) / 4) ** 2)) * h for c, h in ((60, 0.8), (150, 3), (300, 8)))
    x = np.mgrid[:30, :32][1]
    return (0.01 + np.where(x < 10, 1.0, 0.1)[..., None] * lines) * np.ones((30, 32, 1))


def particle_map():
    """Faint everywhere, but for particles of one and of 2 × 2 pixels with bright lines."""
    energy = np.arange(300)
    line = sum(np.exp(-(((energy - c) / 2.5) ** 2)) for c in (80, 200))
    mean = np.full((20, 20, 300), 2.0)
    mean[5, 5] += 2000 * line
    mean[12:14, 12:14] += 3000 * line
    return mean


def planted(mean, width: int, number: int = 40, seed: int = 1):
    """(counts with spikes, where): 15 to 100 standard deviations high."""
    rng = np.random.default_rng(seed)
    y, where = rng.poisson(mean), np.zeros(mean.shape, dtype=bool)
    for _ in range(number):
        i, j = (rng.integers(n) for n in mean.shape[:2])
        c = rng.integers(mean.shape[2] - width)
        part = np.s_[i, j, c : c + width]
        level = max(mean[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2, c : c + width].max(), 4.0)
        y[part] += int(rng.uniform(15, 100) * np.sqrt(level))
        where[part] = True
    return y, where


MAPS = {"eels": eels_map, "edxs": edxs_map, "particle": particle_map}


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("scene", MAPS)
def test_planted_spikes_are_found_and_little_else(scene, width):
    mean = MAPS[scene]()
    y, where = planted(mean, width)
    new = fu.Dataset("d", y).remove_spikes()
    changed = new.numpy() != y
    assert changed[where].all()
    assert (changed & ~where).sum() <= 1e-5 * y.size
    assert new.numpy().dtype == y.dtype
    pixels = changed.any(-1).sum()
    assert new.history[-1].endswith(f"{changed.sum()} values in {pixels} pixels replaced")
    off = new.numpy()[where] - mean[where]
    assert (np.abs(off) < 8 * np.sqrt(np.maximum(mean[where], 4)) + 0.5 * mean[where]).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("scene", MAPS)
def test_spikes_are_found_in_data_of_any_scale(scene, scale):
    y, where = planted(MAPS[scene](), 1)
    changed = fu.Dataset("d", scale * y).remove_spikes().numpy() != scale * y
    assert changed[where].all()
    assert (changed & ~where).sum() <= 1e-5 * y.size


def test_spikes_stand_out_from_net_spectra_too():
    y = layers(seed=3).datasets["net"].numpy().copy()
    rng = np.random.default_rng(0)
    where = tuple(rng.integers(n, size=30) for n in y.shape)
    y[where] += 1500  # 30 to 60 standard deviations
    changed = fu.Dataset("net", y).remove_spikes().numpy() != y
    assert changed[where].all()
    assert changed.sum() <= 30 + 1e-5 * y.size


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64])
def test_integers_stay_integers(kind):
    y = poisson(np.full((6, 6, 50), 20.0)).astype(kind)
    y[2, 3, 10] = 255
    new = fu.Dataset("d", y).remove_spikes().numpy()
    assert new.dtype == kind
    assert (new != y).sum() == 1
    assert new[2, 3, 10] < 40


@pytest.mark.parametrize("shape", [(80,), (1, 80), (2, 80), (9, 80), (1, 1, 80), (2, 3, 4, 80)])
def test_spectra_alone_line_scans_and_stacks_work(shape):
    y = poisson(np.broadcast_to(100 * np.exp(-np.arange(80) / 40) + 5, shape))
    peak = 4000 * np.exp(-(((np.arange(80) - 20) / 2.5) ** 2))  # a peak of four channels
    y = y + peak.astype(int)
    clean = fu.Dataset("d", y.copy()).remove_spikes()
    assert np.array_equal(clean.numpy(), y)
    y[(0,) * (len(shape) - 1) + (50,)] += 500
    y[(0,) * (len(shape) - 1) + (0,)] += 900
    assert (fu.Dataset("d", y).remove_spikes().numpy() != y).sum() == 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dose", [0.01, 1.0, 100.0])
def test_data_without_spikes_are_left_as_they_are(seed, dose):
    scenes = (layers(seed=seed, dose=dose), concurrent(seed=seed, dose=dose))
    for data in (d for scene in scenes for d in scene.datasets.values() if d.signal == 1):
        new = data.remove_spikes()
        assert np.array_equal(new.numpy(), data.numpy())
        assert ": 0 values in 0 pixels" in new.history[-1]


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e9])
def test_masked_and_broken_values_neither_hide_spikes_nor_are_touched(broken):
    y, where = planted(eels_map(), 1)
    y, rng = y.astype(float), np.random.default_rng(5)
    mask = (rng.random(y.shape) < 0.02) & ~where
    mask[3, 4], mask[where.nonzero()[0][0], :, 7] = True, True
    where &= ~mask
    y[mask] = broken
    new = fu.Dataset("d", y, mask=mask).remove_spikes().numpy()
    changed = ~((new == y) | (np.isnan(new) & np.isnan(y)))
    assert changed[where].all()
    assert (changed & ~where).sum() <= 1e-5 * y.size


def test_spikes_with_a_wrong_threshold_or_without_spectra_are_refused():
    for wrong in (0, -1.0, float("nan")):
        one_line(lambda wrong=wrong: data().remove_spikes(threshold=wrong), str(wrong))
    image = fu.Dataset("adf", np.ones((4, 6)), signal=0)
    one_line(lambda: image.remove_spikes(), "0 signal axes")


@pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL}")
def test_a_measured_edxs_map_has_no_spikes_but_those_that_are_planted():
    y = np.load(REAL)["data"]
    assert np.array_equal(fu.Dataset("edxs", y).remove_spikes().numpy(), y)
    rng = np.random.default_rng(0)
    where = tuple(rng.integers(n, size=50) for n in y.shape)
    y[where] += 60
    assert ((fu.Dataset("edxs", y).remove_spikes().numpy() != y).nonzero()[0]).size == 50


# ---- drift ---------------------------------------------------------------------------------------

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
    return fu.Dataset("low", poisson(mean, seed), axes=["y", "x", energy], **options)


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
    y = poisson(np.full((3, 2, 30), 50.0)).astype(np.float32)
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
    y = poisson(zero_loss(truth, 3000)).astype(float)
    y[4, 5:9], y[10, 3], y[12, 4] = 0, np.nan, 7.0
    y[15, 20] = poisson(np.full(200, 3.0))
    mask = ~np.isfinite(y)
    mask[2, 2:4], mask[:, :, 57] = True, True
    y[2, 2], y[:, :, 57] = 1e9, 1e9
    found = drifts(fu.Dataset("low", y, mask=mask), channel=(30, 90))
    assert np.sqrt(np.mean(errors(found, truth) ** 2)) < 0.12
    assert np.abs(errors(found, truth)).max() < 0.7  # the next line has drifted by 0.5


def test_a_line_scan_and_one_spectrum_have_drifts_too():
    truth = np.linspace(-4, 4, 30)
    found = drifts(fu.Dataset("line", poisson(zero_loss(truth, 10_000))), channel=(30, 90))
    assert np.abs(errors(found, truth)).max() < 0.3
    assert drifts(fu.Dataset("one", poisson(zero_loss(0.0, 1000)))).shape == ()


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([1e-9, 1e-3, 1e6]), st.integers(0, 5))
def test_drifts_do_not_depend_on_the_scale_of_the_data(scale, seed):
    y = poisson(zero_loss(drifted("random"), 1000), seed).astype(float)
    one, other = (drifts(fu.Dataset("low", s * y), channel=(30, 90)) for s in (1, scale))
    assert np.allclose(one, other, atol=1e-6)


def test_drift_that_cannot_be_found_or_followed_is_refused():
    given = spectrum_map(zero_loss(drifted("random"), 3000))
    one_line(lambda: given.align(energy=(30, 40)), "30", "40", "13.9")
    one_line(lambda: given.align(energy=(0, 0.5)), "6 channels", "8 or more")
    one_line(lambda: given.align(x=(0, 5)), "energy loss (200 channels)")
    one_line(lambda: given.align(energy=3), "=3", "200")
    faint = spectrum_map(zero_loss(drifted("random"), 20))
    one_line(lambda: drifts(faint, energy=(8, 13)), "of 480", "clear feature")
    one_line(lambda: given.align(shifts=np.zeros((24, 20))), "(24, 20)", "(20, 24)")
    one_line(lambda: given.align(shifts=np.full(SCAN, np.nan)), "480 of them not finite")
    one_line(lambda: given.align(shifts=np.zeros(SCAN), energy=(0, 5)), "give shifts or a window")
    far = np.zeros(SCAN)
    far[0, 0], far[1, 1] = -120, 120
    one_line(lambda: given.align(shifts=far), "-120.0 to 120.0 of 200", "nothing is left")
    flat = spectrum_map(np.full((*SCAN, 200), 100.0))
    one_line(lambda: flat.align(), "of 480", "clear feature")
    one_line(lambda: fu.Dataset("adf", np.ones((4, 6)), signal=0).align(), "0 signal axes")
    wide = spectrum_map(zero_loss(8 * drifted("trend"), 3000))
    one_line(lambda: wide.align(energy=(-1.5, 1.5)), "align(energy=(-1.5, 1.5))", "window")


# ---- normalise -----------------------------------------------------------------------------------


def test_normalise_by_a_number_pixels_or_a_data_set_divides_data_and_variance():
    rng = np.random.default_rng(0)
    y, variance, image = rng.uniform(1, 2, FULL), rng.uniform(1, 2, 12), rng.uniform(1, 2, (4, 6))
    given = data(y, variance=variance)
    low = fu.Dataset("low", rng.uniform(1, 2, (4, 6, 7)))
    adf = fu.Dataset("adf", image, signal=0)
    for by, divisor in (
        (None, y.mean()),
        (2, 2.0),
        (np.float32(0.5), 0.5),
        (image, image[..., None]),
        (torch.from_numpy(image), image[..., None]),
        (image.ravel(), image[..., None]),
        (low, low.numpy().sum(-1, keepdims=True)),
        (adf, image[..., None]),
        (given, y.sum(-1, keepdims=True)),
    ):
        new = given.normalise(by)
        assert np.allclose(new.numpy(), y / divisor)
        assert np.allclose(new.variance.expand(FULL).numpy(), variance / np.square(divisor))
    assert given.normalise().history[-1] == f"normalise(): divided by {y.mean():.6g}"
    assert given.normalise(low).history[-1] == "normalise('low')"


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.int64, np.float32])
def test_normalised_integers_are_floats(kind):
    new = data(np.full(FULL, 3, dtype=kind), mask=np.arange(12) == 0).normalise(2)
    assert new.numpy().dtype == (np.float32 if kind is np.float32 else np.float64)
    assert (new.numpy() == 1.5).all()
    assert (
        data(np.full(FULL, 3, dtype=kind), mask=np.arange(12) == 0).normalise().numpy() == 1
    ).all()


def test_what_is_masked_counts_neither_for_the_mean_nor_for_a_sum():
    y, mask = np.full(FULL, 4.0), np.zeros(FULL, dtype=bool)
    mask[0, 0], mask[..., 3] = True, True
    y[mask] = np.nan
    given = data(y, mask=mask)
    assert (given.normalise().numpy()[~mask] == 1).all()
    by_itself = given.normalise(given)  # the pixel without data is no error
    assert np.allclose(by_itself.numpy()[~mask], 1 / 11)
    assert np.array_equal(by_itself.mask.numpy(), mask)


def test_divisors_that_are_not_positive_or_do_not_fit_are_refused():
    given, image = data(), np.ones((4, 6))
    image[1, 2] = 0
    one_line(lambda: given.normalise(image), "1 of 24", "lowest 0", "mask")
    one_line(lambda: given.normalise(-2), "normalise(-2)", "lowest -2")
    one_line(lambda: given.normalise(float("nan")), "1 of 1")
    one_line(lambda: data(np.zeros(FULL)).normalise(), "1 of 1", "lowest 0")
    one_line(lambda: given.normalise(np.ones((6, 4))), "(6, 4)", "(4, 6)")
    one_line(lambda: given.normalise(fu.Dataset("low", np.ones((3, 6, 5)))), "'low'", "(3, 6)")
    one_line(lambda: given.normalise("mean"), "'mean'", "1 entries")

"""Parts, sums and quotients of a data set, and what every step has in common."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fusion as fu
from tests.helpers.messages import fails_in_one_line
from tests.helpers.prepared_data import FULL, axes, data, poisson_counts

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
    array = poisson_counts(np.full(FULL, 30.0)).astype(kind)
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
    array = poisson_counts(np.full(FULL, 100.0)).astype(np.uint8)
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
    fails_in_one_line(lambda: given.crop(energy=(300, 400)), "300", "400", "100", "105.5", "12")
    fails_in_one_line(lambda: given.crop(energy=(104, 102)), "104", "102")
    fails_in_one_line(lambda: given.crop(tilt=(0, 1)), "'tilt'", "energy loss (12)")
    fails_in_one_line(lambda: given.crop(x=slice(9, 12)), "6 entries")
    fails_in_one_line(lambda: given.crop(x=slice(0, 4, 2)), "6 entries", "step 1")
    fails_in_one_line(lambda: given.crop(x=slice(0.0, 4.0)), "6 entries", "whole numbers")
    fails_in_one_line(lambda: given.crop(energy=101), "energy loss=101", "12 entries", "eV")
    fails_in_one_line(lambda: given.crop(energy=("a", 3)), "'a'", "12 entries")
    fails_in_one_line(lambda: given.crop(energy=(1, 2, 3)), "(1, 2, 3)", "12 entries")
    fails_in_one_line(lambda: given.crop(energy=(float("nan"), 3)), "nan")
    fails_in_one_line(lambda: given.crop(energy=(101, 102), energy_loss=(101, 103)), "energy loss")
    two = data(axes=["scan y", "scan x", "energy"])
    fails_in_one_line(lambda: two.crop(scan=(0, 1)), "2 axes", "'scan'", "scan y (4)")


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
    fails_in_one_line(lambda: given.bin(energy=5), "12", "5", "energy_loss=slice(0, 10)")
    assert given.crop(energy_loss=slice(0, 10)).bin(energy=5).shape == (4, 6, 2)
    fails_in_one_line(lambda: given.bin(energy=24), "12", "24")
    for wrong in (0, -1, 2.0, "2", True, None):
        fails_in_one_line(lambda wrong=wrong: given.bin(energy=wrong), "energy", "12")
    fails_in_one_line(lambda: given.bin(tilt=2), "'tilt'", "12")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_bin_keeps_the_total(seed, n):
    array = poisson_counts(np.full(FULL, 3.0), seed)
    assert data(array).bin(energy=n).numpy().sum() == array.sum()


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
    fails_in_one_line(lambda: given.normalise(image), "1 of 24", "lowest 0", "mask")
    fails_in_one_line(lambda: given.normalise(-2), "normalise(-2)", "lowest -2")
    fails_in_one_line(lambda: given.normalise(float("nan")), "1 of 1")
    fails_in_one_line(lambda: data(np.zeros(FULL)).normalise(), "1 of 1", "lowest 0")
    fails_in_one_line(lambda: given.normalise(np.ones((6, 4))), "(6, 4)", "(4, 6)")
    fails_in_one_line(
        lambda: given.normalise(fu.Dataset("low", np.ones((3, 6, 5)))), "'low'", "(3, 6)"
    )
    fails_in_one_line(lambda: given.normalise("mean"), "'mean'", "1 entries")

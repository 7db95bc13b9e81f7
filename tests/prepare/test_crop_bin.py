"""`crop` and `bin`: positions or indices, mask and variance along."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fusion as fu
from tests.helpers.messages import fails_in_one_line
from tests.helpers.prepared_data import FULL, axes, data, poisson_counts


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

"""`normalise`: by a number, by pixels, by a data set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion as fu
from tests.helpers.messages import fails_in_one_line
from tests.helpers.prepared_data import FULL, data


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

"""Of images with more pixels than a figure shows means are drawn, and that is said."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.plots import drawing as draw
from fusion.plots.averages import few_enough

AXES = (fu.Axis("y", 0.5, 3.0, "nm", size=4096), fu.Axis("x", 0.5, -1.0, "nm", size=1030))


def test_means_are_those_of_their_pixels_and_masked_ones_do_not_count():
    values = np.random.default_rng(0).random((4096, 1030))
    values[:4, :2] = np.nan
    values[4, 0] = np.nan
    means, axes, by = few_enough(values, AXES)
    assert by == (4, 2)
    assert means.shape == (1024, 515)
    assert np.isnan(means[0, 0])
    assert means[1, 0] == pytest.approx(np.nanmean(values[4:8, :2]))
    np.testing.assert_allclose(means[5, 7], values[20:24, 14:16].mean())
    assert [axis.values[0] for axis in axes] == [3.75, -0.75]
    assert [axis.scale for axis in axes] == [2.0, 1.0]


def test_an_image_of_4096_rows_says_that_means_are_drawn_and_keeps_its_place():
    panel = draw.panel_or_new(None, 2.0, 3.0)
    draw.image(panel, np.ones((4096, 1030)), AXES, ends=True)
    assert [text.get_text() for text in panel.texts] == ["means of 4 × 2 pixels"]
    left, right, bottom, top = panel.images[0].get_extent()
    assert (left, right) == pytest.approx((-1.25, -1.25 + 515))
    assert (top, bottom) == pytest.approx((2.75, 2.75 + 2048))


def test_small_images_are_drawn_as_they_are():
    values = np.random.default_rng(1).random((1024, 3))
    axes = (fu.Axis("y", 1.0, units="nm", size=1024), fu.Axis("x", 1.0, units="nm", size=3))
    means, same, by = few_enough(values, axes)
    assert means is values
    assert same == axes
    assert by == (1, 1)

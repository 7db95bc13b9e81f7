"""A huge peak at energy 0 does not set the height of a drawn spectrum; a line does."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.plots import drawing as draw
from fusion.plots.tall_peak import height_beside_zero

AXIS = fu.Axis("energy", 0.02, -0.2, "keV", size=400)
X = AXIS.values


def line(at: float, height: float, width: float = 0.03):
    return height * np.exp(-0.5 * ((X - at) / width) ** 2)


def drawn(*curves):
    panel = draw.panel_or_new(None, 3.0, 2.0)
    for values in curves:
        draw.curve(panel, values, AXIS, ends=True)
    return panel


def test_a_panel_ends_above_the_lines_beside_a_zero_peak_and_says_how_high_that_is():
    panel = drawn(line(0, 1000.0) + line(1.74, 10.0) + 0.1)
    assert 10 < panel.get_ylim()[1] < 13
    assert panel.texts[0].get_text() == "peak at 0 up to 1e+03"


def test_a_line_of_the_sample_is_never_cut_off():
    panel = drawn(line(1.74, 1000.0) + 0.1)
    assert panel.get_ylim()[1] >= 1000
    assert not panel.texts


@pytest.mark.parametrize("height", [5.0, 0.0])
def test_a_zero_peak_that_is_not_far_above_the_rest_or_alone_is_drawn_whole(height):
    assert height_beside_zero(line(0, height) + line(1.74, height / 5), AXIS) is None


def test_without_energies_nothing_is_at_zero():
    plain = fu.Axis("channel", size=400)
    assert height_beside_zero(np.r_[1000.0, np.ones(399)], plain) is None


def test_a_second_curve_raises_the_end_and_does_not_lower_it():
    first, second = line(0, 1000.0) + line(1.74, 10.0), line(0, 500.0) + line(3.0, 20.0)
    assert drawn(first, second).get_ylim()[1] == pytest.approx(1.15 * 20, rel=0.05)
    assert drawn(second, first).get_ylim()[1] == pytest.approx(1.15 * 20, rel=0.05)

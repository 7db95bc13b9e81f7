"""Axes in one unit; lengths in the unit that can be read."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.algebra.axis import Axis
from fusion.algebra.units import in_one_unit, in_suited_unit, length_text


def test_axes_of_several_lengths_are_in_the_smallest_of_their_units():
    y, x = in_one_unit(
        (Axis("y", 0.0051, 1.0, "µm", size=3), Axis("x", values=[1, 2, 4], units="Å"))
    )
    assert (y.units, y.scale, y.offset) == ("Å", pytest.approx(51), pytest.approx(1e4))
    assert (x.units, x.values.tolist()) == ("Å", [1, 2, 4])


@pytest.mark.parametrize("units", [("nm", "s"), ("nm", ""), ("eV", "nm"), ("1/nm", "nm")])
def test_what_does_not_convert_stays(units):
    axes = tuple(Axis("a", units=unit) for unit in units)
    assert in_one_unit(axes) is axes


def test_lengths_are_told_from_1_to_1000():
    said = [length_text(x, "µm") for x in (1e-6, 0.01, 0.5, 1.0, 20, 999, 1000, 5e5)]
    assert said == ["1 pm", "10 nm", "500 nm", "1 µm", "20 µm", "999 µm", "1 mm", "500 mm"]
    assert length_text(0.2, "Å") == "20 pm"
    assert length_text(5e-3, "mrad") == "0.005 mrad"
    assert length_text(3.0, "") == "3"
    assert length_text(np.float64(0.1) * 0.1, "µm") == "10 nm"


def test_lengths_are_in_the_unit_in_which_the_field_is_from_1_to_1000():
    y, x = (Axis(name, 0.001992, 0.0, "µm", size=n) for name, n in (("y", 2), ("x", 20)))
    suited = in_suited_unit((y, x))
    assert [axis.units for axis in suited] == ["nm", "nm"]
    assert suited[1].scale == pytest.approx(1.992)
    assert in_suited_unit((Axis("x", 8.7, 0.0, "µm", size=100),))[0].units == "µm"
    assert in_suited_unit((Axis("tilt", 2.0, -60.0, "°", size=61),))[0].units == "°"
    assert in_suited_unit(()) == ()

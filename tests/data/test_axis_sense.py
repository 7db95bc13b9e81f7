"""Calibrations that cannot be right are named, with a line that mends them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import fusion as fu
from fusion.data.axis_sense import axis_doubts


def doubts(axis: fu.Axis, kind: str) -> list[str]:
    return axis_doubts("map", (axis.sized(100),), 1, {"Signal": {"signal_type": kind}})


@pytest.mark.parametrize(
    ("axis", "kind", "word", "mended"),
    [
        (fu.Axis("energy", 1.0, -655.0, "eV"), "EELS", "mirrored", (655.0, 556.0, "eV")),
        (fu.Axis("energy", 5.0, 30.0, "keV"), "EDS_TEM", "more than there are", (30, 525, "eV")),
        (fu.Axis("energy", 10.0, 0.0, "keV"), "EDS_SEM", "more than there are", (0, 990, "eV")),
        (fu.Axis("energy", 0.1, 0.0, "eV"), "EDS_TEM", "less than there are", (0, 9.9, "keV")),
        (fu.Axis("energy", 1.0, 400.0, "keV"), "EELS", "more than is measured", (400, 499, "eV")),
    ],
)
def test_the_line_that_is_given_mends_the_axis(axis, kind, word, mended):
    (text,) = doubts(axis, kind)
    assert word in text
    data = fu.Dataset("map", np.ones((2, 100)), axes=["x", axis])
    line = re.search(r"data\.with_axes\(.*\)$", text)[0]
    right = eval(line, {"data": data, "fusion": fu})
    first, last, units = mended
    np.testing.assert_allclose(right.axes[-1].values[[0, -1]], [first, last], atol=1e-9)
    assert right.axes[-1].units == units
    assert not axis_doubts("map", right.axes, 1, {"Signal": {"signal_type": kind}})


def test_an_axis_without_unit_in_steps_of_a_billionth_is_said_to_be_in_metres():
    axes = (fu.Axis("y", 1e-9, size=3), fu.Axis("energy", 0.01, units="keV", size=100))
    (text,) = axis_doubts("map", axes, 1, {"Signal": {"signal_type": "EDS_TEM"}})
    assert 'fusion.Axis("y", scale=1, offset=0, units="nm")' in text


@pytest.mark.parametrize(
    ("axis", "kind"),
    [
        (fu.Axis("energy loss", 0.5, -20.0, "eV"), "EELS"),
        (fu.Axis("energy", 0.01, -0.2, "keV"), "EDS_TEM"),
        (fu.Axis("energy", 10.0, 200.0, "eV"), "EDS_SEM"),
        (fu.Axis("wavelength", 0.5, 400.0, "nm"), "CL"),
        (fu.Axis("energy loss", 5.0, 0.0, "meV"), "EELS"),
        (fu.Axis("binding energy", -0.1, 1200.0, "eV"), "XPS"),
    ],
)
def test_of_usual_axes_nothing_is_said(axis, kind):
    assert not doubts(axis, kind)

"""What was measured, as the metadata tell it, or else the axis."""

from __future__ import annotations

import pytest

import fusion as fu
from fusion.data.signal_type import has_edges, signal_type

SEM = {"Acquisition_instrument": {"SEM": {"beam_energy": 15.0}}}


@pytest.mark.parametrize("kind", ["EDS_SEM", "EDS_TEM", "EELS", "CL", "CL_SEM", "XPS", "Raman"])
@pytest.mark.parametrize("units", ["eV", "keV", "nm", "1/cm", ""])
def test_what_the_metadata_say_holds_in_any_unit(kind, units):
    axis = fu.Axis("energy loss", units=units, size=4)
    assert signal_type((axis,), {"Signal": {"signal_type": kind}} | SEM) == kind


@pytest.mark.parametrize(
    ("name", "units", "metadata", "kind"),
    [
        ("energy", "eV", {}, "EELS"),
        ("energy loss", "keV", {}, "EELS"),
        ("Electron energy loss", "", {}, "EELS"),
        ("energy", "keV", {}, "EDS_TEM"),
        ("energy", "keV", SEM, "EDS_SEM"),
        ("X-ray energy", "eV", {}, "EDS_TEM"),
        ("x_ray energy", "eV", SEM, "EDS_SEM"),
        ("photon energy", "eV", {}, ""),
        ("binding energy", "eV", {}, ""),
        ("wavelength", "nm", SEM, ""),
        ("channel", "", {}, ""),
        ("energy", "keV", {"Signal": {"signal_type": ""}}, "EDS_TEM"),
        ("energy", "keV", {"Signal": None, "Acquisition_instrument": None}, "EDS_TEM"),
    ],
)
def test_where_they_say_nothing_the_axis_decides(name, units, metadata, kind):
    assert signal_type((fu.Axis(name, units=units, size=4),), metadata) == kind


def test_patterns_and_images_have_no_type_but_a_stated_one():
    axes = (fu.Axis("ky", units="eV", size=4), fu.Axis("kx", units="eV", size=4))
    assert signal_type(axes, {}) == ""
    assert signal_type((), {}) == ""
    stated = {"Signal": {"signal_type": "electron_diffraction"}}
    assert signal_type(axes, stated) == "electron_diffraction"


@pytest.mark.parametrize(
    ("kind", "edges"),
    [("EELS", True), ("EDS_TEM", False), ("EDS_SEM", False), ("CL", None), ("XPS", None)],
)
def test_edges_are_of_eels_and_lines_of_eds_whatever_the_unit(kind, edges):
    for units in ("eV", "keV"):
        axis = fu.Axis("energy", units=units, size=4)
        assert has_edges(axis, {"Signal": {"signal_type": kind}}) is edges

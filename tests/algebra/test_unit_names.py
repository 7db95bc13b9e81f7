"""One spelling of every unit; a unit in brackets behind a name is read."""

import pytest

import fusion as fu
from fusion.algebra.units import ratio


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("um", "µm"),
        ("\u03bcm", "µm"),
        ("\u00b5m", "µm"),
        ("microns", "µm"),
        ("$nm$", "nm"),
        ("Angstrom", "Å"),
        ("\u212b", "Å"),
        ("EV", "eV"),
        ("KeV", "keV"),
        ("meV", "meV"),
        ("MeV", "MeV"),
        ("<undefined>", ""),
        ("mrad", "mrad"),
        ("furlong", "furlong"),
    ],
)
def test_an_axis_has_the_projects_spelling(written, unit):
    assert fu.Axis("x", units=written).units == unit
    assert ratio(fu.Axis("x", units=written).units, unit) == 1


@pytest.mark.parametrize(
    ("name", "units", "expected"),
    [
        ("Energy Loss (eV)", "", ("Energy Loss", "eV")),
        ("x [um]", "", ("x", "µm")),
        ("energy (keV)", "keV", ("energy", "keV")),
        ("energy (keV)", "eV", ("energy (keV)", "eV")),
        ("angle (left)", "", ("angle (left)", "")),
    ],
)
def test_a_unit_behind_the_name_is_read_where_it_is_one(name, units, expected):
    axis = fu.Axis(name, units=units)
    assert (axis.name, axis.units) == expected

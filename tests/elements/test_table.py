"""Lines and edges as the field names them, at their energies."""

from __future__ import annotations

import sys

import pytest

import fusion as fu
from fusion.elements import edges, labels, lines
from fusion.xrays.table import atomic_mass
from tests.helpers.xray_phases import EDXS, EELS


@pytest.mark.parametrize(
    ("name", "energy", "weight"),
    [
        ("Mn Ka", 5.8988, 1.0),  # X-Ray Data Booklet, table 1-2
        ("Mn Kb", 6.4905, 0.13),
        ("O Ka", 0.5249, 1.0),
        ("Si Ka", 1.7400, 1.0),
        ("Si Kb", 1.8359, 0.03),
        ("Al Kb", 1.5575, 0.013),
        ("Pt La", 9.4423, 1.0),
        ("Pt Ma", 2.0505, 1.0),
        ("Ag La", 2.9843, 1.0),
    ],
)
def test_lines_have_the_booklets_energy_and_about_the_weight_that_is_measured(name, energy, weight):
    (line,) = lines(name)
    assert line.name == name
    assert line.energy == pytest.approx(energy, abs=0.004)
    assert line.weight == pytest.approx(weight, rel=0.2, abs=0.015)
    assert sum(share for _, share in line.parts) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "onset"),
    [("C K", 284), ("N K", 401), ("O K", 532), ("Mn L3", 640), ("Mn L2", 651), ("Ni L3", 855)],
)
def test_edges_lie_where_the_eels_atlas_has_them(name, onset):
    (edge,) = edges(name)
    assert edge.energy == pytest.approx(onset, abs=3.5)


def test_lines_and_edges_are_those_on_the_axis_by_energy():
    assert [line.name for line in lines(["Si", "Al"], (1.0, 2.0), least=0.5)] == ["Al Ka", "Si Ka"]
    names = [edge.name for edge in edges(["Mn", "O"], EELS)]
    assert names == ["O K", "Mn L3", "Mn L2", "Mn L1"]
    keV = fu.Axis("energy loss", 5e-4, 0.38, "keV", size=1000)
    assert [edge.name for edge in edges(["Mn", "O"], keV)] == names


def test_one_line_may_be_written_in_three_ways_and_shells_are_groups_of_lines():
    assert lines("Mn_Ka") == lines("Mn Ka") == lines(["Mn Ka", "Mn_Ka"])
    assert lines("Mn Kα") == lines("Mn Ka")  # as pictures print it
    assert [line.name for line in lines("Mn K")] == ["Mn Ka", "Mn Kb"]


def test_labels_take_lines_or_edges_from_the_axis_and_positions_in_its_unit():
    assert labels(EELS, ["O", "Mn"])[0] == (532.0, "O K")
    assert "Mn L₁" not in [name for _, name in labels(EELS, ["Mn"])]
    found = {name: at for at, name in labels(EDXS, ["O", "Mn"])}
    assert found["Mn Kα"] == pytest.approx(5.9, abs=0.005)
    eV = fu.Axis("energy loss", 1.0, 50.0, "eV", size=200)
    assert labels(eV, "Si") == [(99.2, "Si L₂,₃")]
    low = fu.Axis("energy loss", 0.5, 5.0, "eV", size=200)
    assert [name for _, name in labels(low, ["O", "N", "Al"])] == ["Al L₂,₃"]


def test_what_is_no_element_no_line_or_no_energy_is_said(monkeypatch):
    with pytest.raises(ValueError, match="no element 'Mm': give symbols"):
        lines(["Mn", "Mm"])
    with pytest.raises(ValueError, match="there is no O La; there are O Ka"):
        lines("O La")
    with pytest.raises(ValueError, match="an axis in eV or keV"):
        labels(fu.Axis("x", units="nm", size=4), "O")
    with pytest.raises(ValueError, match=r"name one element or more"):
        edges([])
    atomic_mass.cache_clear()
    monkeypatch.setitem(sys.modules, "xraydb", None)
    with pytest.raises(ValueError, match=r"pip install \"sdfusion\[elements\]\""):
        atomic_mass("O")


@pytest.mark.parametrize(
    ("name", "energy"), [("La Ma", 0.833), ("Ba Ma", 0.776), ("Ca La", 0.341), ("Sc La", 0.395)]
)
def test_alpha_lines_that_xraydb_lacks_are_there(name, energy):
    """Energies of Bearden, Rev. Mod. Phys. 39:78 (1967)."""
    (line,) = lines(name)
    assert line.energy == pytest.approx(energy, abs=0.012)
    assert sum(share for _, share in line.parts) == pytest.approx(1)

"""`plot_composition`: element maps in at.%, mass thickness, and the table of the components."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from fusion.elements import Stoichiometry
from fusion.plots import plot_composition
from tests.elements.two_oxides import ELEMENTS, fitted


@pytest.fixture(scope="module")
def composition():
    return fitted(300).composition(progress=False)


def images(figure):
    """{title: values} of all panels with an image."""
    return {
        p.get_title(): np.asarray(p.images[0].get_array())
        for part in figure.subfigs
        for p in part.axes
        if p.images
    }


def texts(figure):
    return [t.get_text() for part in figure.subfigs for p in part.axes for t in p.texts]


def test_every_element_has_a_map_in_at_per_cent_beside_the_mass_thickness(composition):
    shown = images(composition.plot())
    assert list(shown) == [*ELEMENTS, "mass thickness"]
    for element in ELEMENTS:
        np.testing.assert_allclose(shown[element], composition.map(element))
    np.testing.assert_allclose(shown["mass thickness"], 1e6 * composition.mass_thickness)


def test_pictures_say_that_oxygen_is_by_stoichiometry():
    made = fitted(300).composition(oxygen=Stoichiometry(), progress=False)
    figure = made.plot()
    assert list(images(figure)) == ["O (stoich.)", "Mg", "Al", "mass thickness"]
    assert texts(figure)[:5] == ["at.%", "O (stoich.)", "Mg", "Al", "formula (stoich.)"]


def test_weight_per_cent_and_errors_are_drawn_where_they_are_asked_for(composition):
    shown = images(plot_composition(composition, weight=True, errors=True))
    assert list(shown) == [*ELEMENTS, "mass thickness", *(f"error of {e}" for e in ELEMENTS)]
    np.testing.assert_allclose(shown["O"], composition.map("O", weight=True))
    expected = composition.maps.error_map("Al", weight=True)
    np.testing.assert_allclose(shown["error of Al"], expected)


def test_the_table_has_values_intervals_and_formulas_of_every_component(composition):
    said = texts(composition.plot())
    assert said[:5] == ["at.%", *ELEMENTS, "formula"]
    for i, name in enumerate(composition.names):
        assert name in said
        assert [composition.cell(i, j) for j in range(3)] == [
            text for text in said if text in {composition.cell(i, j) for j in range(3)}
        ]
    assert {"MgO", "Al₂O₃"} <= set(said)
    low, high = composition.atomic_intervals[0, 0]
    assert f"{low:.1f} to {high:.1f}" in said
    assert texts(composition.plot(weight=True))[0] == "weight %"

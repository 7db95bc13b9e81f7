"""Which elements a spectrum shows: lines and edges that stand out, at any dose."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.elements.shown_lines import shown_elements
from tests.helpers.xray_phases import EDXS, EELS, planted

AFTER = EELS.values


def test_lines_that_are_planted_are_found_and_others_are_not():
    oxide, alloy = planted().T
    asked = ["O", "Mn", "Ni", "Si", "Al", "P", "S", "Ti"]
    assert shown_elements(oxide, EDXS, asked) == ["O", "Mn"]
    assert (
        {"Mn", "Ni"} <= set(shown_elements(alloy, EDXS, asked)) <= {"O", "Mn", "Ni"}
    )  # O beside Mn L
    assert shown_elements(planted(), EDXS, asked) == ["O", "Mn", "Ni"]


@pytest.mark.parametrize("counts", [3e3, 1e6])
def test_counts_show_what_they_are_of(counts):
    drawn = np.random.default_rng(0).poisson(counts * planted()[:, 1])
    found = shown_elements(drawn, EDXS, ["Mn", "Ni", "Si", "P", "Ti"])
    assert {"Mn", "Ni"} <= set(found)


def test_noise_alone_shows_an_element_once_in_twenty_times_at_most():
    rng = np.random.default_rng(1)
    asked = ["O", "Mn", "Ni", "Si", "P", "Ti"]
    found = [shown_elements(rng.poisson(5, EDXS.size), EDXS, asked) for _ in range(100)]
    assert sum(map(len, found)) <= 0.05 * 100 * len(asked)


@pytest.mark.parametrize("level", [0.0, 1e4], ids=["net", "on a background"])
def test_edges_are_steps_over_a_power_law(level):
    background = level * (AFTER / 400) ** -3.0
    spectrum = background + 800 * (AFTER > 532) * (AFTER / 532) ** -2.5
    noisy = spectrum + np.random.default_rng(0).normal(0, 5, len(AFTER))
    for values in (spectrum, noisy):
        assert shown_elements(values, EELS, ["O", "Mn", "Fe", "Cr"]) == ["O"]


def test_few_channels_or_an_edge_at_the_first_of_them_tell_nothing_so_all_are_there():
    short = fu.Axis("energy", 0.5, 0.2, "keV", size=10)
    assert shown_elements(np.ones(10), short, ["O", "Mn"]) == ["O", "Mn"]
    late = fu.Axis("energy loss", 0.5, 531.0, "eV", size=200)
    assert shown_elements(np.ones(200), late, ["O"]) == ["O"]


def test_lines_may_be_asked_for_instead_of_elements():
    assert shown_elements(planted()[:, 0], EDXS, ["Mn Ka", "Ni Kα"]) == ["Mn"]

"""The smallest formula that intervals allow."""

import numpy as np
import pytest

from fusion.elements.formula_unit import formula_unit, in_small_letters, interval_text


def within(atomic, by):
    """(atomic, intervals) so far to each side, not below zero or above all."""
    atomic = np.array(atomic, dtype=float)
    return atomic, np.clip(np.stack([atomic - by, atomic + by], 1), 0, 100)


@pytest.mark.parametrize(
    ("elements", "atomic", "by", "formula", "off"),
    [
        ("Sr Ti O", [20.4, 19.7, 59.9], 0.8, "SrTiO3", 0.4),
        ("Mg Al O", [14.0, 28.9, 57.1], 0.6, "MgAl2O4", 28.9 - 200 / 7),
        ("Si O", [33.0, 67.0], 0.5, "SiO2", 1 / 3),
        ("Fe O", [40.0, 60.0], 0.1, "Fe2O3", 0.0),
        ("Cu", [100.0], 0.0, "Cu", 0.0),
        ("Ca P O", [22.8, 13.5, 63.7], 0.6, "Ca5P3O14", 0.1364),
    ],
)
def test_the_fewest_whole_numbers_within_all_intervals_are_the_formula(
    elements, atomic, by, formula, off
):
    found = formula_unit(elements.split(), *within(atomic, by))
    assert found is not None
    assert found[0] == formula
    assert found[1] == pytest.approx(off, abs=1e-3)


def test_a_smaller_formula_is_taken_where_intervals_are_wide():
    narrow = formula_unit(["Sr", "Ti", "O"], *within([20, 20, 60], 1.0))
    wide = formula_unit(["Sr", "Ti", "O"], *within([20, 20, 60], 15.0))
    assert narrow is not None
    assert wide is not None
    assert (narrow[0], wide[0]) == ("SrTiO3", "SrTiO2")


def test_there_is_none_where_no_small_one_lies_within_the_intervals():
    assert formula_unit(["Sr", "Ti", "O"], *within([20.5, 20.5, 59.0], 0.05)) is None
    assert formula_unit(["Fe", "Ni"], *within([98.0, 2.0], 0.5)) is None  # of 50 atoms


def test_an_element_that_may_be_absent_is_left_out_and_one_that_may_not_is_in():
    atomic = np.array([20.0, 20.0, 59.6, 0.4])
    _, intervals = within(atomic, 0.9)
    elements = ["Sr", "Ti", "O", "La"]
    assert formula_unit(elements, atomic, intervals) == ("SrTiO3", pytest.approx(0.4))
    intervals[3] = [0.2, 0.6]  # surely there, and no small formula has so little
    assert formula_unit(elements, atomic, intervals) is None


def test_an_element_at_zero_does_not_stand_in_the_way_whatever_its_limit():
    atomic = np.array([50.0, 50.0, 0.0])
    intervals = np.array([[49.0, 51.0], [49.0, 51.0], [0.0, 3.0]])
    assert formula_unit(["Mg", "O", "Al"], atomic, intervals) == ("MgO", 0.0)


def test_an_element_above_one_per_cent_counts_even_where_its_interval_reaches_zero():
    atomic = np.array([47.0, 47.0, 6.0])
    intervals = np.array([[40.0, 54.0], [40.0, 54.0], [0.0, 13.0]])
    made = formula_unit(["Mg", "O", "Al"], atomic, intervals)
    assert made is not None
    assert "Al" in made[0]


def test_unknown_compositions_have_none():
    atomic = np.array([np.nan, np.nan])
    assert formula_unit(["Mg", "O"], atomic, np.full((2, 2), np.nan)) is None


def test_numbers_of_atoms_are_written_small():
    assert in_small_letters("Ca10P6O26") == "Ca₁₀P₆O₂₆"


def test_an_interval_without_width_holds_the_formula_that_rounding_is_off():
    exact = np.array([60 + 1e-12, 40 - 1e-12])
    assert formula_unit(("O", "Al"), exact, np.stack([exact, exact], -1))[0] == "Al2O3"


def test_fewer_than_no_atoms_are_in_no_formula():
    """As of oxygen by stoichiometry beside more anions than cations have charges for."""
    atomic = np.array([50.0, 60.0, -10.0])
    intervals = np.array([[45.0, 55.0], [55.0, 65.0], [0.0, 0.0]])
    assert formula_unit(("Ca", "F", "O"), atomic, intervals) is None


def test_ends_of_a_narrow_interval_are_told_apart_and_limits_are_left_to_their_cell():
    assert interval_text(19.2, 20.4) == "19.2 to 20.4"
    assert interval_text(57.07, 57.14) == "57.07 to 57.14"
    assert interval_text(0.0, 0.4) == interval_text(60.0, 60.0) == ""

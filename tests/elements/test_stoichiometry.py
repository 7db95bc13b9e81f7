"""Oxygen by the valences of all else, held against a literal transcription of counting charges."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from benchmarks.science.edxs_simulator import molar_masses
from fusion.elements import Stoichiometry
from fusion.elements.doubts import oxygen_apart
from fusion.elements.stoichiometry import Charges, FoundOxygen
from tests.elements.two_oxides import ELEMENTS, SHAPE, fitted

V = np.array([0.0, 2.0, 3.0])
"""Valences of ELEMENTS, nothing of oxygen."""


@cache
def found(error=0.0):
    """By stoichiometry, the valence of Al known so well."""
    return fitted(300).composition(oxygen=Stoichiometry({"Al": (3, error)}), progress=False)


@cache
def by_line():
    return fitted(300).composition(progress=False)


def shares(n, v=V):
    """At.% of atoms (…, element), of which oxygen is as many as charges want."""
    n = np.array(n, dtype=float)
    n[..., 0] = (n[..., 1:] * v[1:]).sum(-1) / 2
    return 100 * n / n.sum(-1, keepdims=True)


def slope(function, x, step=1e-7):
    """(value, x) by differences to the side that is allowed: some of x are at their bound, 0."""
    return np.stack([function(x + step * row) - function(x) for row in np.eye(len(x))], -1) / step


def known():
    """(A (K, element) of raw variables, these, their covariance with how far zeros may be off)."""
    common = found()._source.common
    place = common.place("A")
    module = fitted(300).model.factor("A")

    def atoms(raw):
        return module.constrain(torch.as_tensor(raw).reshape(module.raw.shape)).T.detach().numpy()

    covariance = common.covariance[place, place].numpy()
    reach = common.limit[place].numpy() / 1.96
    return atoms, common.few[place].numpy(), covariance + np.diag(reach**2)


# ---- values ------------------------------------------------------------------------------------


def test_oxygen_of_components_and_pixels_is_half_the_charges_of_all_else():
    result, made = fitted(300), found()
    np.testing.assert_allclose(made.atomic, shares(result["A"].T), rtol=1e-6)
    n = result["C"].reshape(-1, 2) @ result["A"].T
    np.testing.assert_allclose(made.maps.atomic, shares(n), rtol=1e-6)
    np.testing.assert_array_equal(made.map("O"), made.maps.atomic[:, 0].reshape(SHAPE))
    grams = shares(result["A"].T) * molar_masses(ELEMENTS)
    np.testing.assert_allclose(made.weight, 100 * grams / grams.sum(1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize("error", [0.0, 0.2])
def test_errors_of_components_are_those_of_a_literal_transcription(error):
    made, (atoms, raw, covariance) = found(error), known()
    for k in range(2):
        by_raw = slope(lambda x, k=k: shares(atoms(x)[k]), raw)
        by_valence = slope(lambda v, k=k: shares(atoms(raw)[k], v), V)[:, 2] * error
        errors = np.sqrt(np.diag(by_raw @ covariance @ by_raw.T) + by_valence**2)
        there = made.atomic[k] > 0
        np.testing.assert_allclose(made.atomic_errors[k][there], errors[there], rtol=1e-4)
        np.testing.assert_array_equal(made.atomic_errors[k][~there], 0)


def test_how_far_its_line_is_from_that_has_the_error_of_the_difference():
    made, (atoms, raw, covariance) = found(0.2), known()

    def gap(x, v=V):
        n = atoms(x)
        return shares(n, v)[:, 0] - 100 * n[:, 0] / n.sum(1)

    np.testing.assert_allclose(made.oxygen.apart, gap(raw), rtol=1e-6)
    by_valence = slope(lambda v: gap(raw, v), V)[:, 2] * 0.2
    by_raw = slope(gap, raw)
    errors = np.sqrt(np.diag(by_raw @ covariance @ by_raw.T) + by_valence**2)
    np.testing.assert_allclose(made.oxygen.apart_errors, errors, rtol=1e-4)
    np.testing.assert_allclose(made.oxygen.by_line, by_line().atomic[:, 0], rtol=1e-9)
    np.testing.assert_allclose(made.oxygen.by_line_errors, by_line().atomic_errors[:, 0])


def test_oxygen_that_charges_fix_has_no_error_in_any_pixel():
    known = Stoichiometry({"Al": (2, 2.0)})  # so little that its line does not speak against it
    made = fitted(300).composition(oxygen=known, progress=False)
    source = replace(made._source, charges=replace(made._source.charges, errors=torch.zeros(3)))
    maps = source.maps()
    np.testing.assert_allclose(maps.atomic[:, 0], 50, rtol=1e-9)  # MgO and AlO
    assert (maps.atomic_errors[:, 0] == 0).all()
    assert (maps.atomic_errors[:, 1] > 0).any()


def test_anions_take_charges_from_oxygen():
    elements = ("Mg", "F", "O", "Al")
    valences = Stoichiometry().of(elements)
    n = torch.tensor([[3.0, 1.0, 9.0, 2.0]], dtype=torch.float64)
    charges = Charges.of(elements, valences, n)
    assert charges.counted(n).tolist() == [[3.0, 1.0, (3 * 2 - 1 + 2 * 3) / 2, 2.0]]


def test_formulas_are_neutral_and_everything_says_how_oxygen_was_counted(tmp_path):
    made = found()
    assert set(made.formulas) == {"MgO", "Al2O3"}
    said = str(made)
    assert "O (stoich.)" in said
    assert "formula (stoich.)" in said
    line = ", ".join(by_line().cell(k, 0) for k in range(2))
    assert ("oxygen", f"by stoichiometry (Mg 2+, Al 3+); by its line {line} at.%") in made.facts
    assert "O (stoich.)" in str(made.maps)
    made.to_csv(tmp_path / "made.csv")
    with (tmp_path / "made.csv").open(newline="") as file:
        told = [(row["element"], row["by"]) for row in csv.DictReader(file)][:3]
    assert told == [("O", "stoichiometry"), ("Mg", "line"), ("Al", "line")]
    for name, each, counted in (("a", made, ["O"]), ("b", by_line(), [])):
        each.maps.to_npz(tmp_path / f"{name}.npz")
        with np.load(tmp_path / f"{name}.npz") as held:
            assert held["by_stoichiometry"].tolist() == counted
    assert "stoich" not in str(by_line())


# ---- doubts ------------------------------------------------------------------------------------


def test_valences_that_its_line_speaks_against_are_told_and_right_ones_are_not():
    assert found().messages == ()
    with pytest.warns(fu.ClaimWarning, match=r"Al 2\+\) is not what its line tells") as caught:
        made = fitted(300).composition(oxygen=Stoichiometry({"Al": 2}), progress=False)
    assert caught[0].filename == __file__
    (told,) = made.messages
    assert told in str(caught[0].message)
    assert "50.0 by charges" in told  # of Al2O3, and not of MgO beside it
    assert told.count("by its line") == 1


def test_three_standard_errors_of_the_difference_are_the_threshold():
    line, errors = np.array([50.0, 50.0]), np.ones(2)
    made = FoundOxygen(
        {"Mg": (2.0, 0.0)}, line, errors, np.zeros((2, 2)), np.array([2.9, -3.1]), errors
    )
    (told,) = oxygen_apart(("a", "b"), made)
    assert "b 50.0 by its line, 46.9 by charges (3.1 σ)" in told
    assert "a 50.0" not in told


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("valences", "said"),
    [
        ({"O": -2}, "leave 'O' out"),
        ({"Xx": 2}, "no element 'Xx'"),
        ({"Fe Ka": 2}, "give elements"),
        ({"Fe": "III"}, "Fe: 'III': give a charge"),
        ({"Fe": (2, 0.1, 0.2)}, "give a charge"),
        ({"Fe": 9}, r"Fe: \(9, 0\): a charge lies between"),
        ({"Fe": (2, -0.1)}, "not below 0"),
        ({"Fe": float("nan")}, "a charge lies between"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_valences_that_mean_nothing_are_refused(valences, said):
    with pytest.raises(ValueError, match=said):
        Stoichiometry(valences)


@pytest.mark.parametrize(
    ("valences", "elements", "said"),
    [
        ({}, ["Mg", "Al"], "fit 'O', too"),
        ({}, ["O", "Fe", "Mg"], r"Fe \(2 to 3\)\? Give it, `Stoichiometry\(\{'Fe': 3\}\)`"),
        ({}, ["O", "Ca", "S"], r"S \(-2 in sulphides, 6 in sulphates\)\?"),
        ({}, ["O", "Au", "Ti"], r"Au, Ti \(3 to 4\)\? .*\{'Au': …, 'Ti': 4\}"),
        ({"Au": 0}, ["O", "Au", "F"], "Au 0, F 1−: no cation"),
        ({}, ["O"], "oxygen alone: no cation"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_composition_whose_charges_are_not_known_says_what_to_give(valences, elements, said):
    with pytest.raises(ValueError, match=said):
        Stoichiometry(valences).of(elements)


def test_words_and_k_factors_in_the_place_of_a_model_are_refused():
    with pytest.raises(ValueError, match=r"oxygen='stoichiometry'.*give `fu\.elements\.Stoich"):
        fitted(300).composition(oxygen="stoichiometry", progress=False)
    with pytest.raises(ValueError, match="leave the k factors out here"):
        fitted(300).composition({"O K": 1.0, "Mg K": 1.0}, oxygen=Stoichiometry(), progress=False)

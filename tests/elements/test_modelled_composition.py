"""Compositions that a line model found, of maps by a simulator that shares no code with it."""

from __future__ import annotations

import csv
import math
from functools import cache

import numpy as np
import pytest
import torch

import fusion as fu

pytest.importorskip("xraydb", reason='needs pip install "sdfusion[elements]"')

from benchmarks.science.edxs_simulator import molar_masses
from fusion.elements import Stoichiometry
from fusion.elements.common_errors import common_errors, widened
from fusion.elements.from_line_model import misfit_of
from fusion.elements.limits import reach
from fusion.losses import Frobenius, Poisson, SquaredNorm
from tests.elements.two_oxides import (
    ELEMENTS,
    INSTRUMENT,
    SHAPE,
    TRUTH,
    amounts,
    dataset,
    fitted,
    k_factors,
)


@cache
def composition(mean=2000, error=0.0, grid=0.0):
    """(composition, rows of it in the order of the phases)."""
    made = fitted(mean, error, grid).composition(progress=False)
    rows = [int(made.atomic[:, 1].argmax()), int(made.atomic[:, 2].argmax())]
    assert sorted(rows) == [0, 1]
    return made, rows


# ---- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [2000, 8000])
def test_atomic_and_weight_per_cent_are_the_truth_within_three_errors(mean):
    made, rows = composition(mean)
    assert made.elements == ELEMENTS
    masses = molar_masses(ELEMENTS)
    weight = 100 * TRUTH * masses / (TRUTH @ masses)[:, None]
    there = TRUTH > 0
    for found, errors, expected in (
        (made.atomic, made.atomic_errors, TRUTH),
        (made.weight, made.weight_errors, weight),
    ):
        assert (errors[rows][there] > 0).all()
        assert (errors[rows][there] < 0.8).all()
        assert (np.abs(found[rows] - expected)[there] < 3 * errors[rows][there]).all()
        np.testing.assert_allclose(found.sum(1), 100, rtol=1e-9)
        np.testing.assert_allclose(found[rows][~there], 0, atol=0.05)


def test_intervals_are_1_96_errors_wide_and_begin_at_zero_where_an_element_is_at_its_limit():
    made, rows = composition()
    low, high = np.moveaxis(made.atomic_intervals[rows], -1, 0)
    value, errors = made.atomic[rows], made.atomic_errors[rows]
    there = errors > 0
    assert there[TRUTH > 0].all()
    np.testing.assert_allclose(high[there], (value + 1.96 * errors)[there], rtol=1e-6)
    np.testing.assert_allclose(low[there], np.maximum(value - 1.96 * errors, 0)[there], rtol=1e-6)
    assert not there.all()  # of Mg in Al2O3, or Al in MgO, at least one is at zero
    assert (value[~there] == 0).all()
    assert (low[~there] == 0).all()
    assert ((high > 0) & (high < 0.5))[~there].all()


def test_four_times_the_counts_halve_the_errors():
    (few, few_rows), (many, many_rows) = composition(2000), composition(8000)
    there = TRUTH > 0
    ratio = few.atomic_errors[few_rows][there] / many.atomic_errors[many_rows][there]
    np.testing.assert_allclose(ratio, 2, atol=0.15)
    ratio = few.detector.offset_error / many.detector.offset_error
    assert ratio == pytest.approx(2, abs=0.15)


def test_an_error_of_the_k_factors_is_in_the_errors_of_compositions():
    made, rows = composition(error=0.05)
    exact, exact_rows = composition()
    counted = exact.atomic_errors[exact_rows][0, 0]
    # of two k factors, each off by 5 %, a ratio is off by 7 %; a share s of it by s (1 − s) of that
    of_k = 100 * 0.5 * 0.5 * 0.05 * np.sqrt(2)
    assert made.atomic_errors[rows][0, 0] == pytest.approx(np.hypot(of_k, counted), rel=0.2)
    pixels, exact_pixels = (each.maps.atomic_errors[:, 0] for each in (made, exact))
    more = np.sqrt(pixels**2 - exact_pixels**2)
    np.testing.assert_allclose(more.mean(), of_k, rtol=0.25)
    assert (np.abs(made.atomic[rows] - TRUTH) < 3 * made.atomic_errors[rows] + 0.05).all()


def test_the_formulas_are_those_of_the_phases():
    made, rows = composition(error=0.05)
    assert [made.formulas[row] for row in rows] == ["MgO", "Al2O3"]
    assert "MgO" in str(made)
    assert "Al₂O₃" in str(made)


def test_mass_thickness_is_the_truth_within_its_interval_and_a_map_of_the_scan():
    made, _ = composition(8000)
    expected = amounts()[0]
    low, high = made.mass_thickness_interval
    assert low < expected.mean() < high
    assert high / low < 2
    assert made.mass_thickness.shape == SHAPE
    assert made.mass_thickness.mean() == pytest.approx(made.mass_thickness_mean, rel=1e-9)
    rows = made.mass_thickness.mean(1) / made.mass_thickness_mean
    true_rows = expected.reshape(SHAPE).mean(1) / expected.mean()
    np.testing.assert_allclose(rows, true_rows, rtol=0.05)


def test_offset_and_gain_are_the_truth_within_three_errors():
    detector = composition(8000)[0].detector
    assert abs(detector.offset - INSTRUMENT.offset) < 3 * detector.offset_error < 1e-3
    assert abs(detector.gain - INSTRUMENT.gain) < 3 * detector.gain_error < 1e-3
    assert detector.noise == pytest.approx(INSTRUMENT.noise, rel=0.1)


def test_no_message_where_all_is_as_expected_and_no_shell_is_from_tables():
    made, _ = composition()
    assert made.messages == ()
    assert made.computed == ()


def test_without_k_factors_shells_from_tables_are_named_and_errors_are_theirs():
    data = dataset(2000)
    model = fu.models.Compositions(data, ELEMENTS, 2)
    made = fu.fit(model, Poisson(data), starts=1, progress=False).composition(progress=False)
    assert set(made.computed) == {"O K", "Mg K", "Al K"}
    rows = [int(made.atomic[:, 1].argmax()), int(made.atomic[:, 2].argmax())]
    errors = made.atomic_errors[rows]
    assert errors[TRUTH > 0].min() > 3  # O to 20 %, others to 15 %
    assert (np.abs(made.atomic[rows] - TRUTH) < 3 * errors + 0.5).all()


# ---- others, maps, tables ----------------------------------------------------------------------


def test_others_are_in_the_spectra_and_not_in_the_composition():
    made, rows = composition(grid=0.3)
    assert made.elements == made.maps.elements == ELEMENTS
    np.testing.assert_allclose(made.maps.atomic.sum(1), 100, rtol=1e-9)
    there = TRUTH > 0
    assert (np.abs(made.atomic[rows] - TRUTH) < 3 * made.atomic_errors[rows])[there].all()
    result = fitted(grid=0.3)
    assert result["B"].reshape(-1, 1).shape == (96, 1)
    atoms = result["C"].reshape(-1, 2) @ result["A"].T
    assert result["B"].mean() / atoms.mean() == pytest.approx(0.3, rel=0.1)


@cache
def without_components():
    data = dataset(2000)
    model = fu.models.ElementMaps(data, ELEMENTS, k_factors=k_factors())
    return fu.fit(model, Poisson(data), starts=1, progress=False)


def test_without_components_the_composition_is_that_of_the_whole_map():
    made = without_components().composition(progress=False)
    n = amounts()[1]
    whole, pixels = (100 * each / each.sum(-1, keepdims=True) for each in (n.mean(0), n))
    assert made.names == ("whole map",)
    assert made.atomic.shape == (1, 3)
    assert (made.atomic_errors < 1).all()
    assert (np.abs(made.atomic[0] - whole) < 3 * made.atomic_errors[0] + 0.1).all()
    away = np.abs(made.maps.atomic - pixels) / made.maps.atomic_errors
    assert (away < 1.96).mean() > 0.9


def test_oxygen_by_stoichiometry_of_a_whole_map_is_counted_by_its_cations():
    result = without_components()
    made = result.composition(oxygen=Stoichiometry({"Al": (3, 0.1)}), progress=False)
    mg, al = result["N"].reshape(-1, 3)[:, 1:].mean(0)
    n = np.array([mg + 1.5 * al, mg, al])
    np.testing.assert_allclose(made.atomic[0], 100 * n / n.sum(), rtol=1e-6)
    of_valence = 100 * 0.1 * al / 2 * (mg + al) / n.sum() ** 2
    assert made.atomic_errors[0, 0] == pytest.approx(of_valence, rel=0.02)
    whole = result.composition(progress=False)
    assert made.oxygen.by_line_errors == pytest.approx(whole.atomic_errors[:, 0])
    assert made.messages == ()


def test_element_maps_find_every_element_of_every_pixel():
    result = without_components()
    N, n = result["N"].reshape(-1, 3), amounts()[1]
    found, expected = N.mean(0) / N.mean(), n.mean(0) / n.mean()
    np.testing.assert_allclose(found, expected, rtol=0.02)
    shares, true_shares = N / N.sum(1, keepdims=True), n / n.sum(1, keepdims=True)
    assert np.sqrt(((shares - true_shares) ** 2).mean()) < 0.03
    with torch.no_grad():
        relative = result.model.relative_mass_thickness()
    assert tuple(relative.shape) == SHAPE
    assert float(relative.mean()) == pytest.approx(1, rel=1e-9)


def test_a_thickness_that_is_known_from_elsewhere_is_a_term():
    """As t/λ of the same pixels, a wedge, or an image tell it."""
    data, mass = dataset(60), amounts()[1] @ molar_masses(ELEMENTS)
    expected = torch.from_numpy(mass / mass.mean()).reshape(SHAPE)
    known = SquaredNorm(lambda m: m.relative_mass_thickness() - expected, 0.02)
    model = fu.models.ElementMaps(data, ELEMENTS, k_factors=k_factors())
    result = fu.fit(model, Poisson(data) + known, starts=1, progress=False)
    with torch.no_grad():
        off = float((result.model.relative_mass_thickness() - expected).std())
    assert off < 0.03  # the noise of 60 counts a pixel alone is 0.13


def test_the_table_of_a_file_has_every_component_and_element(tmp_path):
    made, _ = composition()
    made.to_csv(tmp_path / "made.csv")
    with (tmp_path / "made.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["component"], row["element"]) for row in rows] == [
        (name, element) for name in made.names for element in ELEMENTS
    ]
    found = np.array([float(row["atomic %"]) for row in rows]).reshape(2, 3)
    np.testing.assert_allclose(found, made.atomic, rtol=1e-4)
    found = np.array([float(row["weight to"]) for row in rows]).reshape(2, 3)
    np.testing.assert_allclose(found, made.weight_intervals[..., 1], rtol=1e-4)


# ---- what is refused ---------------------------------------------------------------------------


def test_a_loaded_result_is_refused_in_words(tmp_path):
    fitted().save(tmp_path / "r.npz")
    with pytest.raises(ValueError, match="as long as it was not saved and loaded"):
        fu.Result.load(tmp_path / "r.npz").composition()


def test_a_result_of_another_model_is_refused_in_words():
    data = dataset(2000)
    result = fu.fit(fu.models.NMF(data, 2), Frobenius(data), starts=1, max_steps=3, progress=False)
    with pytest.raises(ValueError, match=r"a fit of `fusion\.models\.Compositions`"):
        result.composition()


def test_a_limit_is_never_nearer_than_what_data_without_the_element_could_tell():
    bend = torch.tensor([4.0, 4.0, 4.0], dtype=torch.float64)
    pull = torch.tensor([0.0, 1.0, 1e6], dtype=torch.float64)
    found = reach(pull, bend)
    root = (-1 + math.sqrt(1 + 2 * 4 * 1.92)) / 4  # of x + ½ 4 x² = 1.92
    assert found.tolist() == pytest.approx([math.sqrt(3.84 / 4), max(root, 1.645 / 2), 1.645 / 2])


# ---- contradictions ----------------------------------------------------------------------------


def test_what_is_expected_is_no_more_certain_than_what_was_found():
    found = widened(torch.tensor([0.0, -1.9, 1.96 * 2, -1.96 * 3], dtype=torch.float64))
    np.testing.assert_allclose(found, [1, 1, 4, 9])


@pytest.mark.parametrize("misfit", [1.0, 4.0])
def test_counts_weigh_less_by_the_misfit_and_beliefs_by_how_far_they_missed(misfit):
    result = fitted(2000)
    held = result.model.lines.calibration.detach().clone()
    plain = common_errors(result.model, result.minimised)
    found = common_errors(result.model, result.minimised, misfit)
    expected = torch.zeros_like(plain.covariance)
    for name in result.model.lines.factor_modules():
        place = plain.place(f"lines.{name}")
        expected[place, place] = torch.eye(place.stop - place.start).to(expected)
    inside = ~plain.at_bound
    told = expected[inside][:, inside]
    t = plain.few[inside]
    counts = torch.linalg.pinv(plain.covariance[inside][:, inside], hermitian=True)
    counts = counts - told / widened(t)
    wanted = torch.linalg.pinv(counts / misfit + told / widened(t), hermitian=True)
    place = plain.place("lines.calibration")
    free = inside.cumsum(0)[place] - 1
    np.testing.assert_allclose(
        found.covariance[place, place].diagonal(), wanted[free, free], rtol=1e-3
    )
    assert torch.equal(held, result.model.lines.calibration.detach())
    torch.testing.assert_close(found.rows, misfit * plain.rows)


def test_a_residual_within_its_noise_leaves_errors_and_says_nothing():
    result = fitted(2000)
    assert 1 <= misfit_of(result) < 1.2
    assert not any("Birge" in text for text in composition()[0].messages)

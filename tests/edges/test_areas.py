"""Areas of windows: sums over channels, errors by the covariance of all of them."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import fusion as fu
from tests.edges import scene
from tests.helpers.literal_covariance import literal_covariance

WINDOWS = {"own": (602.0, 606.0), "L3": (638.0, 645.0), "behind": (660.0, 680.0)}


@pytest.fixture(scope="module")
def found(fitted):
    return fu.edges.areas(fitted, WINDOWS, progress=False)


def rows_of(windows) -> np.ndarray:
    E = scene.ENERGIES
    return np.stack([(low <= E) & (high >= E) for low, high in windows]).astype(float)


def test_an_area_is_the_sum_over_the_channels_of_the_window_both_ends_included(fitted, found):
    S, rows = fitted["S"], rows_of(WINDOWS.values())
    np.testing.assert_allclose(found.values, (rows @ S).T, rtol=1e-12)
    np.testing.assert_allclose(found.shares, (rows @ S / S.sum(0)).T, rtol=1e-12)


def test_errors_are_those_of_the_literal_covariance_of_channels_and_not_sums_of_single_ones(
    fitted, found
):
    C, S, rows = fitted["C"], fitted["S"], rows_of(WINDOWS.values())
    sigma = float(fitted.minimised.datasets["core"].variance.sqrt().flatten()[0])
    whole = literal_covariance(C, S, np.full((len(C), len(S)), sigma**-2))
    whole = whole.reshape(*S.shape, *S.shape)
    wrong = []
    for k, total in enumerate(S.sum(0)):
        own = whole[:, k, :, k]
        covariance = rows @ own @ rows.T
        np.testing.assert_allclose(found.covariance[k], covariance, rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(found.errors[k] ** 2, covariance.diagonal(), rtol=1e-5)
        slopes = rows / total - (rows @ S[:, k])[:, None] / total**2
        shares = np.sqrt(np.einsum("wi,ij,wj->w", slopes, own, slopes))
        np.testing.assert_allclose(found.share_errors[k], shares, rtol=1e-5)
        single = np.sqrt(rows @ own.diagonal())
        wrong.append(np.abs(single / found.errors[k] - 1).max())
    assert max(wrong) > 0.05


def test_counts_of_a_component_in_a_window_are_its_amounts_times_the_area(fitted, found):
    counts = found.map(2, "L3")
    wanted = fitted["C"][:, 1] * fitted["S"][rows_of([WINDOWS["L3"]])[0] > 0, 1].sum()
    assert [axis.name for axis in counts.axes] == ["y", "x"]
    np.testing.assert_allclose(np.ravel(counts), wanted)
    np.testing.assert_array_equal(found.map(2, 2), counts)


def test_windows_may_be_a_list_or_in_another_unit(fitted, found):
    listed = fu.edges.areas(fitted, [(0.602, 0.606)], units="keV", progress=False)
    assert listed.windows == ("0.602 to 0.606 keV",)
    np.testing.assert_allclose(listed.values[:, 0], found.values[:, 0])
    np.testing.assert_allclose(listed.errors[:, 0], found.errors[:, 0], rtol=1e-9)
    whole = fu.edges.areas(fitted, (None, None), progress=False)
    np.testing.assert_allclose(whole.shares, 1)
    assert whole.share_errors.max() < 1e-9


def test_a_table_shows_and_a_file_holds_what_was_found(found, tmp_path):
    assert "L3 (638 to 645 eV)" in str(found)
    assert "% of the spectrum" in str(found)
    found.to_csv(tmp_path / "areas.csv")
    rows = list(csv.DictReader((tmp_path / "areas.csv").read_text().splitlines()))
    assert len(rows) == 9
    assert rows[1]["component"] == "component 1"
    assert rows[1]["from (eV)"] == "638"
    assert float(rows[1]["± share"]) == pytest.approx(found.share_errors[0, 1], rel=1e-5)


def test_names_of_components_are_those_of_the_result(fitted):
    named = fu.edges.areas(fitted.renamed({2: "shell"}), WINDOWS, progress=False)
    assert named.names == ("component 1", "shell", "component 3")
    assert named.map("shell", "L3").shape == (5, 8)


def test_a_window_beyond_the_axis_is_cut_with_a_caution(fitted):
    with pytest.warns(fu.CutWarning, match=r"goes to 700 eV, the axis from 600 to 684.5: of it"):
        cut = fu.edges.areas(fitted, {"end": (680, 700)}, progress=False)
    assert any("goes to 700 eV" in text for text in cut.messages)


@pytest.mark.parametrize(
    ("windows", "options", "told"),
    [
        ({"a": (700, 710)}, {}, r"areas\(a=\(700, 710\)\).*runs from 600 to 684.5 eV"),
        ({"a": (648, 640)}, {}, "give the lower end first"),
        ({"a": 640}, {}, r"a=640.*give two numbers \(first, last\) in eV"),
        ({}, {}, "give one window or more"),
        ((640, 648), {"factor": "C"}, r"factor='C'.*the factors that are spectra are S"),
        ((640, 648), {"units": "nm"}, r"units='nm'.*energy loss is in eV"),
    ],
    ids=["beyond", "backwards", "number", "none", "maps", "units"],
)
def test_what_cannot_be_is_told_with_its_numbers(fitted, windows, options, told):
    with pytest.raises(ValueError, match=told):
        fu.edges.areas(fitted, windows, progress=False, **options)


def test_a_loaded_result_has_areas_without_errors_and_says_so(fitted, found, tmp_path):
    fitted.save(tmp_path / "a.npz")
    loaded = fu.edges.areas(fu.Result.load(tmp_path / "a.npz"), WINDOWS, progress=False)
    np.testing.assert_allclose(loaded.values, found.values)
    assert np.isnan(loaded.errors).all()
    assert "a loaded result has no errors" in loaded.messages[0]


def test_what_is_no_result_is_told():
    with pytest.raises(ValueError, match=r"`areas\(dict\)`: give the result of"):
        fu.edges.areas({}, (640, 648))


def test_masked_channels_are_left_out_with_a_caution(fitted):
    S = fitted["S"].copy()
    S[80:82] = np.nan
    masked = scene.without_noise(fitted, S)
    with pytest.warns(fu.CutWarning, match="L3: 2 of 15 channels are masked and left out"):
        found = fu.edges.areas(masked, WINDOWS, progress=False)
    rows = rows_of(WINDOWS.values())
    np.testing.assert_allclose(found.values, (rows @ np.nan_to_num(S)).T, rtol=1e-12)

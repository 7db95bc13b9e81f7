"""Onsets: planted shifts of parts of a channel, and where there is no onset."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

import fusion as fu
from tests.edges import scene

WINDOW = (628.0, 646.0)


@pytest.mark.parametrize("level", [0.3, 0.5])
def test_planted_shifts_come_back_to_a_hundredth_of_a_channel(fitted, level):
    shifts = np.array([0.0, 0.3, 1.7])
    S = np.stack([scene.edge(shift) for shift in shifts], 1)
    found = fu.edges.onset_shifts(
        scene.without_noise(fitted, S), WINDOW, level=level, progress=False
    )
    np.testing.assert_allclose(found.shifts / scene.STEP, shifts, atol=0.01)


def test_spectra_that_are_alike_but_for_their_scale_are_not_shifted(fitted):
    S = scene.edge(0.4)[:, None] * [1.0, 5.0, 0.2]
    found = fu.edges.onset_shifts(scene.without_noise(fitted, S), WINDOW, progress=False)
    np.testing.assert_allclose(found.shifts, 0, atol=1e-9)


def test_the_tail_of_what_comes_before_does_not_move_an_onset(fitted):
    S = np.stack([scene.edge(), scene.edge() + 0.7, scene.edge()], 1)
    result = scene.without_noise(fitted, S)
    found = fu.edges.onset_shifts(result, WINDOW, before=(610, 624), progress=False)
    np.testing.assert_allclose(found.shifts, 0, atol=1e-9)
    blind = fu.edges.onset_shifts(result, WINDOW, progress=False)
    assert abs(blind.shifts[1]) > 0.05


def test_an_axis_that_falls_or_is_in_another_unit_has_the_same_onsets(fitted):
    S = np.stack([scene.edge(shift) for shift in (0.0, 0.3, 1.7)], 1)
    plain = scene.without_noise(fitted, S)
    falling = fu.Axis("energy loss", units="eV", values=scene.ENERGIES[::-1])
    turned = replace(
        scene.without_noise(fitted, S[::-1]),
        axes={**fitted.axes, "S": ((falling,), *fitted.axes["S"][1:])},
    )
    wanted = fu.edges.onset_shifts(plain, WINDOW, progress=False).onsets
    found = fu.edges.onset_shifts(turned, WINDOW, progress=False).onsets
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    in_kev = fu.edges.onset_shifts(plain, (0.628, 0.646), units="keV", progress=False)
    np.testing.assert_allclose(1e3 * in_kev.onsets, wanted, rtol=1e-9)
    assert in_kev.units == "keV"


def test_shifts_are_counted_from_any_component_and_their_errors_hold_both(fitted):
    first = fu.edges.onset_shifts(fitted, WINDOW, progress=False)
    other = fu.edges.onset_shifts(fitted, WINDOW, reference=3, progress=False)
    assert other.reference == "component 3"
    np.testing.assert_allclose(other.shifts, first.shifts - first.shifts[2], atol=1e-12)
    assert other.shift_errors[2] == 0
    assert other.shift_errors[0] == pytest.approx(first.shift_errors[2], rel=1e-6)
    two = np.hypot(*first.onset_errors[[0, 2]])
    assert 0.3 * two < first.shift_errors[2] < 2 * two


def test_a_component_without_the_edge_is_told_and_left_out(fitted):
    S = np.stack([scene.edge(), 0 * scene.edge(), scene.edge(1)], 1)
    result = scene.without_noise(fitted, S)
    with pytest.warns(fu.ClaimWarning, match="component 2 has no onset here: nothing rises"):
        found = fu.edges.onset_shifts(result, WINDOW, progress=False)
    assert np.isnan(found.shifts).tolist() == [False, True, False]
    with pytest.warns(fu.ClaimWarning, match="highest at an end of the window"):
        fu.edges.onset_shifts(result, (628, 640), components=[1], progress=False)
    with pytest.warns(fu.ClaimWarning, match="above 50 % of its height in all of the window"):
        fu.edges.onset_shifts(result, (640.5, 646), components=[1], progress=False)


def test_an_edge_that_rises_in_two_steps_is_told(fitted):
    """Its first maximum is as high as the level at which the onset is read."""
    peaks = [np.exp(-0.5 * ((scene.ENERGIES - at) / 1.2) ** 2) for at in (634, 641)]
    S = np.stack([0.52 * peaks[0] + peaks[1], 0.9 * peaks[0] + peaks[1], peaks[0]], 1)
    result = scene.without_noise(fitted, S)
    with pytest.warns(
        fu.ClaimWarning, match="component 1 rises in two steps, and a maximum at 634"
    ) as caught:
        found = fu.edges.onset_shifts(result, WINDOW, progress=False)
    assert len([w for w in caught if issubclass(w.category, fu.ClaimWarning)]) == 1
    assert found.onsets[0] < 634  # where it first is so high


def test_a_reference_without_the_edge_is_told_with_those_that_have_it(fitted):
    S = np.stack([0 * scene.edge(), scene.edge(), scene.edge(1)], 1)
    result = scene.without_noise(fitted, S)
    with pytest.warns(
        fu.ClaimWarning, match="give `reference=` one that has, of 'component 2', 'component 3'"
    ):
        assert np.isnan(fu.edges.onset_shifts(result, WINDOW, progress=False).shifts).all()


def test_noise_alone_has_no_onset():
    S = scene.spectra()
    S[scene.ENERGIES > 625, 1] = 0.0
    result = scene.result_of(S, noise=0.05)
    with pytest.warns(fu.ClaimWarning, match="component 2 has no onset here"):
        found = fu.edges.onset_shifts(result, WINDOW, progress=False)
    assert np.isnan(found.onsets[1])
    assert np.isnan(found.shift_errors[1])


@pytest.mark.parametrize(
    ("window", "options", "told"),
    [
        (WINDOW, {"reference": 0}, r"reference=0.*give a number from 1 to 3"),
        (WINDOW, {"components": [1, 2], "reference": 3}, "not among `components`"),
        (WINDOW, {"level": 1.0}, "a share between 0 and 1"),
        ((640, 641), {}, "3 channels in the window, 4 are needed"),
    ],
    ids=["reference", "not chosen", "level", "narrow"],
)
def test_what_cannot_be_is_told(fitted, window, options, told):
    with pytest.raises(ValueError, match=told):
        fu.edges.onset_shifts(fitted, window, progress=False, **options)


def test_a_table_shows_and_a_file_holds_what_was_found(fitted, tmp_path):
    found = fu.edges.onset_shifts(fitted, WINDOW, progress=False)
    assert "onset at 50 % (eV)" in str(found)
    assert "reference" in str(found)
    found.to_csv(tmp_path / "onsets.csv")
    rows = list(csv.DictReader((tmp_path / "onsets.csv").read_text().splitlines()))
    assert float(rows[1]["shift (eV)"]) == pytest.approx(found.shifts[1], rel=1e-5)

"""White lines: literal areas above two steps, ratios, cautions."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest

import fusion as fu
from fusion.models import NMF
from fusion.plots import plot_white_lines
from tests.edges import scene
from tests.helpers.planted_factors import Bilinear

LINES = {"L3": (634.0, 647.0), "L2": (647.5, 660.0)}
BEHIND = (672.0, 684.0)
PLURAL = "ignore:.*holds plural scattering"
OPTIONS = {"behind": BEHIND, "width": scene.WIDTH, "progress": False}
energies = scene.ENERGIES


def literal(s: np.ndarray, at, windows, *, electrons=(4, 2), width=scene.WIDTH) -> np.ndarray:
    """(areas of both lines) above the steps."""
    height = s[(energies >= BEHIND[0]) & (energies <= BEHIND[1])].mean()
    continuum = np.zeros_like(s)
    for n, position in zip(electrons, at, strict=True):
        step = 0.5 + np.arctan(np.pi * (energies - position) / width) / np.pi
        continuum += height * n / sum(electrons) * step
    return np.array([(s - continuum)[(energies >= a) & (energies <= b)].sum() for a, b in windows])


@pytest.mark.filterwarnings(PLURAL)
@pytest.mark.parametrize(("names", "electrons"), [(("L3", "L2"), (4, 2)), (("M5", "M4"), (6, 4))])
def test_areas_and_ratios_are_those_of_a_literal_transcription(fitted, names, electrons):
    lines = dict(zip(names, LINES.values(), strict=True))
    at = (641.0, 652.0)
    found = fu.edges.white_lines(fitted, **OPTIONS, maxima=at, **lines)
    wanted = np.stack([literal(s, at, LINES.values(), electrons=electrons) for s in fitted["S"].T])
    assert found.lines == names
    np.testing.assert_allclose(found.areas, wanted, rtol=1e-10)
    np.testing.assert_allclose(found.ratio, wanted[:, 0] / wanted[:, 1], rtol=1e-10)
    np.testing.assert_allclose(found.branching, wanted[:, 0] / wanted.sum(1), rtol=1e-10)
    np.testing.assert_array_equal(found.maxima, [at] * 3)
    assert (found.maxima_errors == 0).all()


@pytest.mark.filterwarnings(PLURAL)
def test_planted_ratios_come_back_where_the_continuum_is_steps(fitted):
    S = np.stack([scene.edge(0.7 * k, ratio) for k, ratio in enumerate((2.0, 1.2, 4.0))], 1)
    planted = scene.without_noise(fitted, S)
    found = fu.edges.white_lines(planted, **OPTIONS, **LINES)
    np.testing.assert_allclose(found.ratio, [2.0, 1.2, 4.0], rtol=0.02)
    np.testing.assert_allclose(found.maxima[:, 0], 641 + 0.35 * np.arange(3), atol=0.15)
    assert np.isnan(found.ratio_errors).all()


@pytest.mark.filterwarnings(PLURAL)
def test_the_tail_of_what_comes_before_is_taken_off(fitted):
    S = np.stack([scene.edge()] * 3, 1)
    tail = np.where(energies > 610, 0.8 * (610 / energies) ** 3, 0)[:, None]
    alone = fu.edges.white_lines(scene.without_noise(fitted, S), **OPTIONS, **LINES)
    with_tail = scene.without_noise(fitted, S + tail)
    found = fu.edges.white_lines(with_tail, **OPTIONS, before=(612, 625), **LINES)
    np.testing.assert_allclose(found.areas, alone.areas, rtol=5e-3)
    under = (energies > 634) & (energies < 660)
    more = (found.continuum - alone.continuum)[under]
    np.testing.assert_allclose(more, np.repeat(tail, 3, 1)[under], rtol=0.02)
    flat = fu.edges.white_lines(with_tail, **OPTIONS, before=(612, 625), decay=0, **LINES)
    assert np.abs(flat.areas / alone.areas - 1).max() > 0.02


@pytest.mark.filterwarnings(PLURAL)
def test_a_sharp_step_is_the_limit_of_arctangents(fitted):
    widths = [(OPTIONS | {"width": width}) for width in (0, 1e-6)]
    sharp, narrow = (
        fu.edges.white_lines(fitted, maxima=(641.25, 652.25), **options, **LINES)
        for options in widths
    )
    np.testing.assert_allclose(sharp.areas, narrow.areas, rtol=1e-4)


@pytest.mark.filterwarnings(PLURAL)
def test_windows_in_kev_have_the_areas_of_those_in_ev(fitted):
    options = {"behind": BEHIND, "progress": False}
    wanted = fu.edges.white_lines(fitted, **options, width=1.0, **LINES)
    in_kev = {name: (low / 1e3, high / 1e3) for name, (low, high) in LINES.items()}
    options["behind"] = (0.672, 0.684)
    found = fu.edges.white_lines(fitted, **options, units="keV", **in_kev)
    np.testing.assert_allclose(found.ratio, wanted.ratio, rtol=1e-9)
    np.testing.assert_allclose(1e3 * found.maxima_errors, wanted.maxima_errors, rtol=1e-6)


def test_spectra_with_plural_scattering_are_told_and_those_without_are_not(fitted, recwarn):
    with pytest.warns(fu.ClaimWarning, match=r"S of this model holds plural scattering.*DualEELS"):
        fu.edges.white_lines(fitted, **OPTIONS, **LINES)
    recwarn.clear()
    fitted.model.single_scattering = ("S",)
    try:
        fu.edges.white_lines(fitted, **OPTIONS, **LINES)
    finally:
        del fitted.model.single_scattering
    assert not [w for w in recwarn if issubclass(w.category, fu.FusionWarning)]
    assert fu.models.DualEELS.single_scattering == ("S",)


@pytest.mark.filterwarnings(PLURAL)
def test_a_ratio_that_is_not_determined_is_told_and_left_out():
    S = scene.spectra()
    S[energies > 625, 1] = 0.0
    result = scene.result_of(S, noise=0.05)
    with pytest.warns(fu.ClaimWarning, match=r"component 2: the ratio is not determined.*L3 is"):
        found = fu.edges.white_lines(result, **OPTIONS, **LINES)
    assert np.isnan(found.ratio).tolist() == [False, True, False]
    assert np.isnan(found.branching_errors).tolist() == [False, True, False]
    assert np.isfinite(found.areas).all()
    assert "–" in str(found)
    with_edge = fu.edges.white_lines(result, **OPTIONS, components=[3, 1], **LINES)
    assert with_edge.names == ("component 3", "component 1")
    np.testing.assert_allclose(with_edge.ratio, found.ratio[[2, 0]])
    np.testing.assert_allclose(with_edge.ratio_errors, found.ratio_errors[[2, 0]], rtol=1e-9)


@pytest.mark.filterwarnings(PLURAL)
def test_where_the_scale_of_spectra_is_open_ratios_and_shares_have_errors_all_the_same():
    """Of a model without unit columns, as one of unit columns has them."""
    answers = []
    for model in (Bilinear, NMF):
        result = scene.result_of(scene.spectra(), noise=0.02, model=model)
        lines = fu.edges.white_lines(result, **OPTIONS, **LINES)
        areas = fu.edges.areas(result, (640, 650), progress=False)
        answers.append((lines, areas))
    (lines, areas), (unit_lines, unit_areas) = answers
    assert np.isinf(lines.area_errors).all()
    assert np.isinf(areas.errors).all()
    np.testing.assert_allclose(lines.ratio_errors, unit_lines.ratio_errors, rtol=0.02)
    np.testing.assert_allclose(areas.share_errors, unit_areas.share_errors, rtol=0.02)


@pytest.mark.filterwarnings(PLURAL)
@pytest.mark.parametrize(
    ("lines", "options", "kind", "told"),
    [
        ({"L3": (634, 650)}, {}, fu.ClaimWarning, r"L3 \(634 to 650\) and L2 .* overlap"),
        ({"L3": (660, 670), "L2": (634, 648)}, {}, fu.ClaimWarning, "do not follow each other"),
        ({}, {"behind": (676, 700)}, fu.CutWarning, "goes to 700 eV"),
        ({"L3": (634, 640)}, {}, fu.ClaimWarning, "at an end of the window of L3"),
        ({}, {"before": (600, 609)}, fu.ClaimWarning, "component 1: steps lead down, by"),
    ],
    ids=["overlap", "order", "off the axis", "cut line", "downwards"],
)
def test_windows_that_mislead_are_told(fitted, lines, options, kind, told):
    with pytest.warns(fu.FusionWarning) as caught:
        found = fu.edges.white_lines(fitted, **(OPTIONS | options), **(LINES | lines))

    said = [str(w.message) for w in caught if issubclass(w.category, kind)]
    assert any(re.search(told, text) for text in said), said
    assert any(re.search(told, text) for text in found.messages)


@pytest.mark.parametrize(
    ("lines", "options", "told"),
    [
        ({"L3": (634, 647)}, {}, "give the windows of two lines of one shell"),
        ({"L3": (634, 647), "M4": (648, 660)}, {}, "two lines of one shell"),
        ({"first": (634, 647), "second": (648, 660)}, {}, "L3=\\(640, 648\\), L2"),
        ({"L3": (634, 634.4), "L2": (648, 660)}, {}, "1 channels in the window, 3 are needed"),
        (LINES, {"width": -1}, "a width is 0 or more"),
        (LINES, {"maxima": (641,)}, "give the energies of both"),
        (LINES, {"components": [4]}, "give a number from 1 to 3"),
        (LINES, {"components": []}, "give a list of names, or of numbers"),
    ],
    ids=["one", "two shells", "no shell", "narrow", "width", "maxima", "component", "none"],
)
def test_what_cannot_be_is_told(fitted, lines, options, told):
    with pytest.raises(ValueError, match=told):
        fu.edges.white_lines(fitted, **(OPTIONS | options), **lines)


@pytest.mark.filterwarnings(PLURAL)
def test_a_file_and_a_picture_hold_what_was_found(fitted, tmp_path):
    found = fu.edges.white_lines(fitted, **OPTIONS, before=(625.5, 632), **LINES)
    found.to_csv(tmp_path / "lines.csv")
    rows = list(csv.DictReader((tmp_path / "lines.csv").read_text().splitlines()))
    assert [row["component"] for row in rows] == list(found.names)
    assert float(rows[2]["± L3/L2"]) == pytest.approx(found.ratio_errors[2], rel=1e-5)
    figure = plot_white_lines(found)
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles[0].startswith("component 1: L3/L2 = ")
    assert figure.axes[-1].get_xlabel() == "energy loss (eV)"
    own = plot_white_lines(found, components=[2]).axes
    assert len(own) == 1
    with pytest.raises(ValueError, match="one panel takes one spectrum"):
        plot_white_lines(found, panel=own[0])


def test_maxima_outside_of_their_windows_are_refused(fitted):
    with pytest.raises(ValueError, match="100 is not in the window of its line"):
        fu.edges.white_lines(fitted, **OPTIONS, maxima=(100.0, 200.0), **LINES)

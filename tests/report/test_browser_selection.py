"""Areas, lines and two places of a map, by the mouse and by keys alone."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.losses import Poisson
from fusion.models import NMF
from tests.helpers.report_data import ENERGIES, SHAPE, cube, dataset, quick
from tests.helpers.report_page import Shown

MAP = "#scan0 .large .canvas"


@pytest.fixture(autouse=True)
def _nothing_is_held(page):
    """Every test begins with a page that holds one pixel and zooms."""
    tool(page, "zoom")
    page.ask("report.scans[0].selection.letGo()")
    page.browser.scheme("light")


def tool(page, name):
    page.click(f"#scan0 input[value={name}]")


def pixels(rows, columns):
    """Flat indices of a rectangle, its ends included."""
    r, c = (np.arange(a, b + 1) for a, b in (rows, columns))
    return (r[:, None] * SHAPE[1] + c).ravel()


def test_an_area_shows_the_mean_of_its_pixels_and_keeps_it(page, joint):
    tool(page, "area")
    page.drag((5, 9), (7, 2))
    page.away()
    inside = pixels((5, 7), (2, 9))
    fit, measured, high = page.values("spectrum0-source", "fit", "measured", "high")
    np.testing.assert_allclose(fit, joint["S_eels"] @ joint["C"][inside].mean(0), rtol=1e-5)
    expected = joint.minimised.datasets["eels"].numpy().reshape(-1, ENERGIES)[inside].mean(0)
    np.testing.assert_allclose(measured, expected, atol=1e-3 * expected.max())
    noise = np.nanmean(joint.data["eels"].residual_map ** 2) / len(inside)
    np.testing.assert_allclose(high, 2 * np.sqrt(noise), rtol=1e-5)
    assert "x 1–4.5 nm, y 2.5–3.5 nm, mean of 3 × 8 pixels" in page.text("#where0")
    assert page.ask("report.model('map0').x_range.start") == pytest.approx(-0.25)  # not zoomed
    page.is_calm()


def test_a_masked_pixel_of_an_area_is_left_out_of_its_mean(page, joint):
    tool(page, "area")
    page.drag((2, 4), (4, 4))  # (3, 4) is masked in both data sets
    fit, measured = page.values("spectrum1-source", "fit", "measured")
    seen = [2 * SHAPE[1] + 4, 4 * SHAPE[1] + 4]
    np.testing.assert_allclose(fit, joint["S_edxs"] @ joint["C"][seen].mean(0), rtol=1e-5)
    counts = joint.minimised.datasets["edxs"].numpy().reshape(-1, 20)[seen].mean(0)
    np.testing.assert_allclose(measured, counts, atol=1e-3 * counts.max())


def test_a_line_shows_the_maps_along_it_against_the_distance_in_their_unit(page, joint):
    tool(page, "line")
    page.drag((8, 1), (2, 9))
    x, c1 = page.values("across0.0-source", "x", "c1")
    steps = np.arange(9) / 8
    rows, columns = np.floor(8 - 6 * steps + 0.5).astype(int), np.arange(1, 10)
    np.testing.assert_allclose(c1, joint["C"][rows * SHAPE[1] + columns, 1], rtol=1e-5)
    np.testing.assert_allclose(x, 5.0 * steps)  # 8 × 0.5 nm by 6 × 0.5 nm
    assert page.text("#scan0 .length") == "5 nm"
    assert page.ask("report.model('across0.0').below[0].axis_label") == "distance (nm)"
    page.click("#scan0 .let-go")
    assert page.ask("document.querySelector('#scan0 .across').hidden")
    page.is_calm()


def test_two_places_are_drawn_together_with_their_difference(page, joint):
    S, C = joint["S_eels"], joint["C"]
    a, b = 2 * SHAPE[1] + 7, 6 * SHAPE[1] + 1
    page.at_pixel(6, 1, click=True)
    page.click("#scan0 .keep-second")
    page.at_pixel(2, 7, click=True)
    page.away()
    columns = page.values("spectrum0-source", "fit", "otherFit", "apartFit", "apart")
    np.testing.assert_allclose(columns[0], S @ C[a], rtol=1e-5)
    np.testing.assert_allclose(columns[1], S @ C[b], rtol=1e-5)
    np.testing.assert_allclose(columns[2], S @ (C[a] - C[b]), atol=1e-5 * (S @ C[a]).max())
    data = joint.minimised.datasets["eels"].numpy().reshape(-1, ENERGIES)
    np.testing.assert_allclose(columns[3], data[a] - data[b], atol=2e-3 * data[a].max())
    assert page.text("#where0") == "A, x 3.5 nm, y 1 nm; B, x 0.5 nm, y 3 nm"
    assert page.ask("report.model('apart0').visible")
    page.click("#scan0 .let-go")
    (other,) = page.values("spectrum0-source", "otherFit")
    assert np.isnan(other).all()
    assert not page.ask("report.model('apart0').visible")
    page.is_calm()


def test_keys_move_keep_compare_and_let_go_as_the_mouse_does(page, joint):
    page.at_pixel(4, 5, click=True)
    page.away()
    page.focus(MAP)
    page.keys("ArrowRight", "ArrowDown", "ArrowDown")
    (fit,) = page.values("spectrum0-source", "fit")
    np.testing.assert_allclose(fit, joint["S_eels"] @ joint["C"][6 * SHAPE[1] + 6], rtol=1e-5)
    page.keys("b")
    page.keys("ArrowLeft", shift=True)  # by ten, as far as there are pixels
    page.keys("Enter")
    assert page.text("#where0") == "A, x 0 nm, y 3 nm; B, x 3 nm, y 3 nm"
    page.away()
    assert page.text("#where0").startswith("A, x 0 nm, y 3 nm")  # kept
    page.focus(MAP)
    page.keys("Escape")
    assert page.text("#where0") == "x 0 nm, y 3 nm"
    page.is_calm()


def test_keys_alone_mark_an_area_and_a_line(page, joint):
    page.at_pixel(1, 1, click=True)
    page.away()
    tool(page, "area")
    page.focus(MAP)
    page.keys("Enter", "ArrowRight", "ArrowRight", "ArrowDown", "Enter")
    inside = pixels((1, 2), (1, 3))
    mean = joint["S_eels"] @ joint["C"][inside].mean(0)
    assert page.shows("spectrum0-source", "fit", mean)
    tool(page, "line")
    page.focus(MAP)
    page.keys("Enter", "ArrowRight", "ArrowRight", "Enter")
    row = 1  # the middle of the area that is kept
    along = joint["C"][row * SHAPE[1] + np.arange(2, 5), 0]
    assert page.shows("across0.0-source", "c0", along)
    page.is_calm()


def test_tab_reaches_map_tools_spectra_and_tables_in_their_order(page):
    page.ask("document.body.tabIndex = -1; document.body.focus()")
    met = []
    for _ in range(60):
        page.browser.key("Tab")
        what = "(e => e.ariaRoleDescription || e.ariaLabel || e.textContent)"
        met.append(page.ask(f"{what}(document.activeElement)"))
    places = [met.index(name) for name in ("map", "spectrum", "spectra", "Table of the components")]
    assert places == sorted(places)
    assert "Table of the starts" in met


def test_keys_move_the_energy_and_marked_lines_near_it_are_named(page, joint):
    energies = joint.data["eels"].axes[-1].values
    page.at("spectrum0", energies[12], click=True)
    page.away()
    page.focus("#part0 .focus")
    assert "at A" not in page.text("#channel0")  # 124 eV, and A is at 120
    page.keys("ArrowLeft", "ArrowLeft")
    expected = joint["C"] @ joint["S_eels"][10]
    np.testing.assert_allclose(page.layer("p0fit"), expected, rtol=1e-5)
    assert page.text("#channel0").endswith("at A (120 eV)")
    page.keys("ArrowRight", shift=True)
    np.testing.assert_allclose(page.layer("p0fit"), joint["C"] @ joint["S_eels"][20], rtol=1e-5)
    page.keys("Escape")
    np.testing.assert_allclose(page.layer("p0fit"), joint["C"] @ joint["S_eels"][12], rtol=1e-5)
    page.is_calm()


def test_a_stretch_of_a_line_scan_is_averaged_and_one_pixel_has_its_error(browser, tmp_path):
    line = dataset("line", cube((25,)))
    result = quick(NMF(line, 2), Poisson(line))
    errors = result.errors(progress=False)
    shown = Shown(browser, result, tmp_path / "line.html", errors=errors)
    for pixel, k in ((p, k) for k in range(2) for p in range(0, 25, 4)):
        shown.at("profile0.0", 0.5 * pixel)
        told = shown.text("#scan0 .readout").splitlines()[1].split("   ")[k]
        number, _, error = told.removeprefix(f"{k + 1}: ").partition(" ± ")
        np.testing.assert_allclose(float(number), result["C"][pixel, k], rtol=1e-3, atol=1e-9)
        expected = errors["C"][pixel, k]
        got = {"": np.nan, "∞": np.inf}.get(error) or float(error)
        np.testing.assert_allclose(got, expected, rtol=0.06)
    shown.click("#scan0 input[value=area]")
    for kind, x in (("panstart", 2.0), ("pan", 3.0), ("panend", 4.5)):
        shown.ask(f"report.drag(0, '{kind}', {x}, 0)")
    browser.frames()
    (fit,) = shown.values("spectrum0-source", "fit")
    np.testing.assert_allclose(fit, result["S"] @ result["C"][4:10].mean(0), rtol=1e-5)
    assert "x 2–4.5 nm, mean of 6 pixels" in shown.text("#where0")
    shown.is_calm()

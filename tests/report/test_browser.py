"""What a real browser shows where the mouse points."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF, SharedMaps
from tests.helpers.report_data import ENERGIES, SHAPE, cube, dataset, quick
from tests.helpers.report_page import Shown


def test_pointing_at_a_pixel_shows_its_spectra_of_all_detectors(page, joint):
    for row, column in [(2, 7), (9, 0), (0, 11)]:
        page.at_pixel(row, column)
        p = row * SHAPE[1] + column
        for i, (name, data) in enumerate(joint.minimised.datasets.items()):
            S, c = joint[f"S_{name}"], joint["C"][p]
            got = page.values(f"spectrum{i}-source", "measured", "fit", "left", "c0", "c2")
            x = data.numpy()[row, column]
            np.testing.assert_allclose(got[0], x, atol=1e-3 * x.max())
            np.testing.assert_allclose(got[1], S @ c, rtol=1e-5)
            np.testing.assert_allclose(got[2], x - S @ c, atol=1e-3 * x.max())
            np.testing.assert_allclose(got[3], c[0] * S[:, 0], rtol=1e-5)
            np.testing.assert_allclose(got[4], c[2] * S[:, 2], rtol=1e-5)
            (band,) = page.values(f"spectrum{i}-source", "high")
            variance = S @ c if name == "edxs" else np.nanmean(joint.data[name].residual_map ** 2)
            np.testing.assert_allclose(band, 2 * np.sqrt(variance * np.ones(len(S))), rtol=1e-5)
    assert "x 5.5 nm, y 0 nm" in page.text("#where0")
    page.is_calm()


def test_a_click_keeps_a_pixel_when_the_mouse_goes_and_masked_pixels_say_so(page):
    page.at_pixel(2, 7, click=True)
    (kept,) = page.values("spectrum0-source", "fit")
    page.at_pixel(3, 4)
    for column in page.values("spectrum0-source", "fit", "measured"):
        assert np.isnan(column).all()  # masked in both data sets
    assert "masked" in page.text(".readout")
    page.at_pixel(8, 2)
    fit, seen = page.values("spectrum1-source", "fit", "measured")
    assert np.isnan(seen).all()  # masked in edxs: what it would be is still known
    assert np.isfinite(fit).all()
    page.away()
    np.testing.assert_array_equal(page.values("spectrum0-source", "fit")[0], kept)
    page.is_calm()


def test_a_neighbourhood_shows_the_mean_of_its_pixels(page, joint):
    page.set("#scan0 select.reach", 1, "change")
    page.at_pixel(5, 6)
    near = (np.arange(4, 7)[:, None] * SHAPE[1] + np.arange(5, 8)).ravel()
    fit, measured = page.values("spectrum0-source", "fit", "measured")
    np.testing.assert_allclose(fit, joint["S_eels"] @ joint["C"][near].mean(0), rtol=1e-5)
    data = joint.minimised.datasets["eels"].numpy().reshape(-1, ENERGIES)[near].mean(0)
    np.testing.assert_allclose(measured, data, atol=1e-3 * data.max())
    assert "3 × 3 pixels" in page.text("#where0")
    page.set("#scan0 select.reach", 0, "change")
    page.is_calm()


def test_pointing_at_an_energy_shows_its_maps_and_a_wider_window_their_mean(page, joint):
    eels = joint.minimised.datasets["eels"]
    seen = np.where(eels.mask.numpy()[..., 0], np.nan, eels.numpy()[..., 12]).ravel()
    energy, expected = eels.channels[0].values[12], joint["C"] @ joint["S_eels"][12]
    for figure in ("spectrum0", "parts0", "left0"):
        page.at(figure, energy)
        np.testing.assert_allclose(page.layer("p0measured"), seen, atol=1e-3 * np.nanmax(seen))
        np.testing.assert_allclose(page.layer("p0fit"), expected, rtol=1e-5)
        page.away()
        assert not np.allclose(page.layer("p0fit"), expected, equal_nan=True)
    page.at("spectrum0", energy, click=True)
    page.away()
    np.testing.assert_allclose(page.layer("p0fit"), expected, rtol=1e-5)
    page.set("#part0 select.width", 5, "change")
    expected = joint["C"] @ joint["S_eels"][10:15].mean(0)
    np.testing.assert_allclose(page.layer("p0fit"), expected, rtol=1e-5)
    assert "120–128 eV" in page.text("#maps-title0")
    page.set("#part0 select.width", 1, "change")
    page.is_calm()


def test_clicks_on_tiles_legend_rows_and_switches_change_what_is_shown(page, joint):
    page.click("[data-layer=s0c1]")
    assert page.text(".large-title") == "Component 2"
    page.click('.toggle[data-number="0"]')
    count = "[...Bokeh.documents[0].all_models].filter(m => m.name === '{}' && m.visible).length"
    assert page.ask(count.format("component0")) == 0
    assert page.ask(count.format("component1")) > 0
    page.click('.toggle[data-number="0"]')
    assert page.ask(count.format("component0")) > 0
    page.click("#part0 input[value=log]")
    assert page.ask("report.model('log0').visible && !report.model('spectrum0').visible")
    page.click("#part0 input[value=mean]")
    expected = np.nanmean(joint["C"][:, 1]) * joint["S_eels"][:, 1]
    share, mean = page.values("parts0-source", "c1", "mean")
    np.testing.assert_allclose(share, expected, rtol=1e-4)
    np.testing.assert_allclose(mean, joint.data["eels"].mean_spectrum, rtol=1e-5)
    page.click("#part0 input[value=linear]")
    page.click('tr[data-number="2"]')
    assert page.text(".large-title") == "Component 3"
    page.is_calm()


def test_a_drag_zooms_into_the_map_without_changing_its_shape_and_two_clicks_reset(page):
    spans = (
        "(() => { const m = report.model('map0'), x = m.x_range, y = m.y_range;"
        "return [x.end - x.start, y.start - y.end]; })()"
    )
    whole = np.array(page.ask(spans))
    page.at_pixel(2, 2)
    left, top, width, height = page.box()
    page.browser.drag(
        (left + 0.2 * width, top + 0.2 * height), (left + width / 2, top + height / 3)
    )
    zoomed = np.array(page.ask(spans))
    np.testing.assert_allclose(zoomed / whole, 0.3, atol=0.02)
    page.browser.mouse(left + width / 2, top + height / 2, clicks=2)
    np.testing.assert_allclose(page.ask(spans), whole)
    page.is_calm()


def test_the_frame_of_a_notebook_shows_the_page(browser, joint_report, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'>{joint_report._repr_html_()}")
    browser.complaints.clear()
    inside = "document.querySelector('iframe')?.contentDocument.documentElement"
    browser.open(path, f"{inside}?.dataset.ready === 'true'")
    assert (
        browser.ask(f"{inside}.querySelector('h1').textContent") == "3 components in eels and edxs"
    )
    assert browser.complaints == []


def test_a_loaded_result_shows_the_mean_residual_that_was_saved(browser, joint, tmp_path):
    joint.save(tmp_path / "joint.npz")
    loaded = fu.Result.load(tmp_path / "joint.npz")
    page = Shown(browser, loaded, tmp_path / "page.html")
    page.at_pixel(4, 7)
    left, measured, fit = page.values("spectrum0-source", "left", "measured", "fit")
    np.testing.assert_allclose(left, joint.data["eels"].residual_spectrum, rtol=1e-5)
    assert np.isnan(measured).all()
    np.testing.assert_allclose(fit, joint["S_eels"] @ joint["C"][4 * SHAPE[1] + 7], rtol=1e-5)
    page.is_calm()


def test_a_known_variance_is_the_band_of_the_residual(browser, tmp_path):
    rng = np.random.default_rng(0)
    rows, columns = rng.random(SHAPE) + 0.5, rng.random(ENERGIES) + 0.5
    given = {"variance": rows[..., None] * columns, "mask": np.eye(*SHAPE, dtype=bool)}
    data = dataset("eels", cube().astype(float), **given)
    page = Shown(browser, quick(NMF(data, 3), Frobenius(data)), tmp_path / "page.html")
    page.at_pixel(4, 7)
    (band,) = page.values("spectrum0-source", "high")
    np.testing.assert_allclose(band, 2 * np.sqrt(rows[4, 7] * columns), rtol=1e-5)
    page.is_calm()


def test_a_line_scan_follows_the_mouse_along_its_profiles(browser, tmp_path):
    line = dataset("line", cube((25,)))
    result = quick(NMF(line, 2), Poisson(line))
    page = Shown(browser, result, tmp_path / "line.html")
    (profile,) = page.values("profile0.0-source", "c1")
    np.testing.assert_allclose(profile, result["C"][:, 1], rtol=1e-5)
    page.at("profile0.0", 0.5 * 17)
    (fit,) = page.values("spectrum0-source", "fit")
    np.testing.assert_allclose(fit, result["S"] @ result["C"][17], rtol=1e-5)
    page.at("spectrum0", 130.0)
    (along,) = page.values("along0-source", "fit")
    np.testing.assert_allclose(along, result["C"] @ result["S"][15], rtol=1e-5)
    page.is_calm()


def test_a_tilt_series_turns_with_its_slider(browser, tmp_path):
    tilt = fu.Dataset("tilt", cube((3, 6, 5)), axes=[fu.Axis("tilt", 30, -30, "°"), "y", "x", "e"])
    result = quick(NMF(tilt, 2), Frobenius(tilt))
    page = Shown(browser, result, tmp_path / "tilt.html")
    page.set("input.lead", 2, "input")
    assert page.text("output.lead") == "tilt 30 °"
    row, column = page.ask("[report.scans[0].place.row, report.scans[0].place.column]")
    (fit,) = page.values("spectrum0-source", "fit")
    p = np.ravel_multi_index((2, row, column), (3, 6, 5))
    np.testing.assert_allclose(fit, result["S"] @ result["C"][p], rtol=1e-5)
    page.is_calm()


class Squares(fu.Model):
    """X ≈ (C Sᵀ)², which no product of maps and spectra is."""

    def __init__(self, data):
        super().__init__()
        self.name, self.shape = data.name, data.shape
        self.C, self.S = fu.Factor((data.pixels, 2)), fu.Factor((data.channels, 2))

    def forward(self):
        return {self.name: (self.C @ self.S.T).square().reshape(self.shape)}


def others():
    """(name, model, loss) of other shapes."""
    one = dataset("one", cube((), 30)[None].astype(float))
    yield "a single spectrum", NMF(one, 1), Frobenius(one)
    spectra, image = dataset("spectra", cube()), fu.Dataset("adf", cube().sum(-1) * 1.0, signal=0)
    loss = Frobenius(spectra) + 0.01 * Frobenius(image)
    yield "an image beside spectra", SharedMaps(spectra, image, K=2), loss
    pattern = fu.Dataset("pattern", cube((4, 5), 36).reshape(4, 5, 6, 6), signal=2)
    yield "a fit that is no product", Squares(spectra), Frobenius(spectra)
    yield "patterns", NMF(pattern, 2), Frobenius(pattern)


@pytest.mark.parametrize(("name", "model", "loss"), list(others()))
def test_other_shapes_of_data_open_without_a_complaint(browser, tmp_path, name, model, loss):
    page = Shown(browser, quick(model, loss), tmp_path / "page.html")
    assert page.ask("document.querySelectorAll('article').length") == 1 + ("beside" in name)
    page.is_calm()

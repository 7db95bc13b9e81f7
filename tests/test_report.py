"""The report: what the page holds, and what a real browser shows where the mouse points."""

from __future__ import annotations

import json
import sys
import zlib
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from browser import Browser, found

import fusion as fu
from fusion.elements import labels
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF, SharedMaps
from fusion.report.averaging import bins_for, cell_of, data_means, means
from fusion.report.contents import Scene
from fusion.report.packing import levels

SHAPE, ENERGIES = (10, 12), 30
READY = "document.documentElement?.dataset.ready === 'true'"


def cube(shape=SHAPE, energies=ENERGIES, K=3, seed=0):
    """Counts of K phases."""
    rng = np.random.default_rng(seed)
    maps = rng.gamma(1, 1, (int(np.prod(shape)), K))
    spectra = np.exp(
        -(((np.arange(energies)[:, None] - energies * (np.arange(K) + 1) / (K + 1)) / 3) ** 2)
    )
    return rng.poisson(40 * maps @ spectra.T + 1).reshape(*shape, energies)


def dataset(name, array, units="eV", **given):
    scan = [fu.Axis("y", 0.5, units="nm"), fu.Axis("x", 0.5, units="nm")]
    scan = scan[-(array.ndim - 1) :] if array.ndim > 1 else []
    return fu.Dataset(name, array, axes=[*scan, fu.Axis("energy", 2.0, 100.0, units)], **given)


def quick(model, loss, **given):
    return fu.fit(model, loss, starts=2, seed=0, max_steps=15, progress=False, **given)


@pytest.fixture(scope="module")
def joint():
    """Two detectors, one pixel masked in both, one in one of them."""
    mask = np.zeros(SHAPE, bool)
    mask[3, 4] = True
    eels = dataset("eels", cube().astype(float), mask=mask)
    mask[8, 2] = True
    edxs = dataset("edxs", cube(energies=20, seed=0), "keV", mask=mask)
    return quick(SharedMaps(eels, edxs, K=3), Frobenius(eels) + Poisson(edxs))


def unpacked(packed):
    """What the page's script makes of an array."""
    raw = zlib.decompress(b64decode(packed["text"]))
    if packed["kind"] == "f4":
        return np.frombuffer(raw, "<f4").reshape(packed["shape"])
    codes = np.frombuffer(raw, "<u2").reshape(packed["shape"])
    low, step = unpacked(packed["low"]), unpacked(packed["step"])
    return np.where(codes == 65535, np.nan, low + codes * step.astype(float))


# --- what is in the file


def test_whole_numbers_are_packed_exactly_and_others_to_a_65534th_of_their_column():
    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, (20, 7)).astype(float)
    counts[2, 3] = np.nan
    np.testing.assert_array_equal(unpacked(levels(counts)), counts)
    values = rng.normal(0, [[1e-3, 1.0, 1e6]], (50, 3))
    off = np.abs(unpacked(levels(values)) - values).max(0)
    assert (off <= np.ptp(values, axis=0) / 65534).all()
    np.testing.assert_array_equal(
        unpacked(levels(np.full((3, 2), np.nan))), np.full((3, 2), np.nan)
    )


def test_averages_of_dense_and_sparse_data_are_means_of_what_is_not_masked():
    counts = cube((5, 7), 11).astype(float)
    mask = np.zeros((5, 7), bool)
    mask[0, :3] = True
    bins = (2, 2, 3)
    given = {"axes": [fu.Axis("y", size=5), fu.Axis("x", size=7), fu.Axis("e", size=11)]}
    dense = fu.Dataset("a", counts, mask=mask, **given)
    sparse = fu.Dataset("a", scipy.sparse.csr_array(counts.reshape(35, 11)), mask=mask, **given)
    got = data_means(dense, bins).reshape(3, 4, 4)
    hidden = np.where(mask[..., None], np.nan, counts)
    np.testing.assert_allclose(got[1, 1, 1], hidden[2:4, 2:4, 3:6].mean())
    np.testing.assert_allclose(got[0, 0, 3], np.nanmean(hidden[:2, :2, 9:]))
    np.testing.assert_allclose(data_means(sparse, bins), got.reshape(12, 4))
    maps = means(hidden[..., 0].reshape(-1), cell_of((5, 7), (2, 2)), 12)
    np.testing.assert_allclose(maps[5], hidden[2:4, 2:4, 0].mean())


@pytest.mark.parametrize(
    ("nav", "signal", "bins"),
    [
        ((256, 256), (2048,), (4, 4, 2)),
        ((40, 44), (240,), (1, 1, 1)),
        ((31, 200, 200), (1024,), (1, 16, 16, 4)),
        ((100_000,), (2000,), (64, 1)),
        ((5000, 3), (2000,), (8, 1, 1)),
        ((), (4096,), (1,)),
    ],
)
def test_large_data_are_averaged_until_the_page_is_light_and_small_data_never(nav, signal, bins):
    budget = 4_500_000
    got = bins_for(nav, signal, budget)
    assert got == bins
    left = [-(-n // b) for n, b in zip((*nav, *signal), got, strict=True)]
    assert np.prod(left) <= budget


def test_a_large_result_makes_a_page_below_twenty_megabytes_that_says_what_was_averaged(joint):
    rng = np.random.default_rng(0)
    block = rng.integers(0, 255, (4096, 2048), dtype=np.uint8)  # which no packing makes smaller
    data = fu.Dataset("large", np.tile(block, (16, 1)).reshape(256, 256, 2048))
    summary = replace(
        joint.data["eels"],
        shape=data.shape,
        axes=data.axes,
        residual_map=rng.random((256, 256)),
        residual_spectrum=rng.random(2048),
        mean_spectrum=rng.random(2048),
        component_variance=None,
    )
    result = replace(
        joint,
        data={"large": summary},
        factors={"C": rng.random((256 * 256, 4)), "S": rng.random((2048, 4))},
        structure=("cp", ("C", "S")),
        model=None,
        minimised=None,
    )
    page = result.report(data=data).html
    assert 8e6 < len(page.encode()) < 20e6
    assert "means over neighbours, 4 along y, 4 along x and 2 along channel" in page


def test_the_page_holds_equation_starts_table_cautions_and_names_nothing_as_markup(tmp_path):
    data = dataset("<b>map</b>", cube())
    result = fu.fit(NMF(data, 2), Poisson(data), starts=1, max_steps=2, progress=False)
    page = result.report(tmp_path / "r.html").html
    assert (tmp_path / "r.html").read_text() == page
    assert "<b>map</b>" not in page
    assert "X ≈ C Sᵀ" in page
    assert "ln M_" in page
    assert "One start only" in page
    assert "raise max_steps" in page
    assert page.count('data-number="0"') == 2  # legend and table


def test_a_loaded_result_shows_its_fit_says_that_no_data_were_at_hand_and_takes_them(
    joint, tmp_path
):
    joint.save(tmp_path / "joint.npz")
    loaded = fu.Result.load(tmp_path / "joint.npz")
    alone, held = Scene(loaded), Scene(joint)
    assert [p["measured"] for p in alone.payload["parts"]] == [None, None]
    for name in ("left0", "right0", "left1", "right1"):
        np.testing.assert_allclose(unpacked(alone.arrays[name]), unpacked(held.arrays[name]))
    assert "measured data of eels were not at hand" in loaded.report().html
    eels = joint.minimised.datasets["eels"]
    again = Scene(loaded, [eels])
    np.testing.assert_array_equal(
        unpacked(again.arrays["measured0"]), unpacked(held.arrays["measured0"])
    )
    with pytest.raises(ValueError, match=r"the result is of 'eels', 'edxs'"):
        loaded.report(data=eels.renamed("other"))
    with pytest.raises(ValueError, match=r"fitted were \(10, 12, 30\)"):
        loaded.report(data=eels.crop(energy=(100, 120)))


def test_elements_are_marked_in_every_data_set_on_an_axis_of_energies(joint):
    page = joint.report(elements=["U"], lines={"edxs": [(110.0, "other")]})
    names = [name for axis in joint.data.values() for _, name in labels(axis.axes[-1], ["U"])]
    assert names
    assert all(name in page.html for name in ["other", *names])


def test_lines_are_marked_in_the_data_set_they_are_given_for_and_no_other_name_is_taken(joint):
    page = joint.report(lines={"edxs": [(110.0, "Fe Kα")]}).html
    assert "Fe K\\u03b1" in page
    with pytest.raises(ValueError, match="'xrd' is none of the data sets"):
        joint.report(lines={"xrd": [(1.0, "a")]})


def test_a_notebook_shows_the_page_in_a_frame_that_holds_it_all(joint):
    shown = joint.report()._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert shown.count("<iframe") == 1
    assert "<script" not in shown


def test_without_bokeh_the_error_says_what_to_install(joint, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(ImportError, match=r'pip install "sdfusion\[report\]"'):
        joint.report()


# --- what a browser shows


class Shown:
    """A page in a browser, and what it complained of and asked for since it was opened."""

    def __init__(self, browser, result, path, **given):
        self.browser, self.ask, self.path = browser, browser.ask, path
        browser.complaints.clear()
        browser.requests.clear()
        result.report(path, **given)
        browser.open(path, READY)

    def is_calm(self):
        """Nothing was complained of, and nothing but the file was asked for."""
        self.browser.frames()
        assert self.browser.complaints == []
        asked = [url for url in self.browser.requests if not url.startswith("data:")]
        assert asked == [self.path.resolve().as_uri()]

    def text(self, selector):
        return self.ask(f"document.querySelector({selector!r}).textContent")

    def click(self, selector):
        self.ask(f"document.querySelector({selector!r}).click()")
        self.browser.frames()

    def set(self, selector, value, event):
        """Choose a value of a control."""
        self.ask(
            f"(() => {{ const s = document.querySelector({selector!r}); s.value = '{value}';"
            f"s.dispatchEvent(new Event('{event}')); }})()"
        )
        self.browser.frames()

    def values(self, name, *columns):
        """Columns of a figure's source; NaN for what JSON has not."""
        keys = json.dumps(columns)
        got = self.ask(
            f"(() => {{ const d = report.model('{name}').data;"
            f"return {keys}.map(k => Array.from(d[k], Number)); }})()"
        )
        return [np.array(column, dtype=float) for column in got]

    def layer(self, key):
        """Values of one of the maps."""
        return np.array(self.ask(f"Array.from(report.scans[0].layers['{key}'].all)"), dtype=float)

    def box(self):
        """Left, top, width and height of the large map."""
        return self.ask(
            "(() => { const e = document.querySelector('#scan0 .large .canvas');"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]; })()"
        )

    def at_pixel(self, row, column, *, click=False):
        """Point at the middle of a pixel of the large map."""
        left, top, width, height = self.box()
        x, y = left + (column + 0.5) / SHAPE[1] * width, top + (row + 0.5) / SHAPE[0] * height
        self.browser.mouse(x, y, clicks=click)

    def at(self, figure, x, *, click=False):
        """Point at a place along a figure."""
        x, y = self.ask(
            f"(() => {{ const v = Bokeh.index.find_one(report.model('{figure}'));"
            "v.el.scrollIntoView({block: 'center'});"
            "const b = v.canvas_view.el.getBoundingClientRect();"
            "const f = v.frame, middle = (f.bbox.top + f.bbox.bottom) / 2;"
            f"return [b.left + f.x_scale.compute({x}), b.top + middle]; }})()"
        )
        self.browser.mouse(x, y, clicks=click)

    def away(self):
        self.browser.mouse(3, 3)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if found() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(browser, joint, tmp_path_factory):
    """The joint result, open for all tests of it."""
    path = tmp_path_factory.mktemp("pages") / "joint.html"
    return Shown(browser, joint, path, lines={"eels": [(120.0, "A")]})


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


@pytest.mark.parametrize("width", [1280, 1920])
def test_nothing_is_wider_than_the_window(page, width):
    page.browser.size(width, 1000)
    page.browser.frames()
    assert page.ask("document.documentElement.scrollWidth") <= width
    boxes = page.ask(
        "[...document.querySelectorAll('.card, .tile, table')].map(e => e.getBoundingClientRect())"
        ".map(b => [b.left, b.right])"
    )
    assert len(boxes) > 10
    assert all(left >= 0 and right <= width for left, right in boxes)
    page.browser.size(1280, 1600)
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


def test_the_frame_of_a_notebook_shows_the_page(browser, joint, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'>{joint.report()._repr_html_()}")
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

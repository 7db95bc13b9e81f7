"""The report: what the page holds, and what a real browser shows where the mouse points."""

from __future__ import annotations

import json
import re
import sys
import zlib
from base64 import b64decode

import numpy as np
import pytest
import scipy.sparse
from browser import Browser, found

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF, SharedMaps
from fusion.report.cells import averaged, measured, owners, plan
from fusion.report.pack import levels
from fusion.report.scene import Scene

SHAPE, ENERGIES = (10, 12), 30
READY = "document.documentElement.dataset.ready === 'true'"


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
    got = measured(dense, bins).reshape(3, 4, 4)
    hidden = np.where(mask[..., None], np.nan, counts)
    np.testing.assert_allclose(got[1, 1, 1], hidden[2:4, 2:4, 3:6].mean())
    np.testing.assert_allclose(got[0, 0, 3], np.nanmean(hidden[:2, :2, 9:]))
    np.testing.assert_allclose(measured(sparse, bins), got.reshape(12, 4))
    maps = averaged(hidden[..., 0].reshape(-1), owners((5, 7), (2, 2)), 12)
    np.testing.assert_allclose(maps[5], hidden[2:4, 2:4, 0].mean())


@pytest.mark.parametrize(
    ("nav", "signal", "bins"),
    [
        ((256, 256), (2048,), (4, 4, 2)),
        ((40, 44), (240,), (1, 1, 1)),
        ((31, 200, 200), (1024,), (1, 8, 8, 1)),
        ((100_000,), (2000,), (32, 2)),
        ((), (4096,), (1,)),
    ],
)
def test_large_data_are_averaged_until_the_page_is_light_and_small_data_never(nav, signal, bins):
    budget = 4_500_000
    got = plan(nav, signal, budget)
    assert got == bins
    left = [-(-n // b) for n, b in zip((*nav, *signal), got, strict=True)]
    assert np.prod(left) <= budget


def test_a_large_result_makes_a_page_below_twenty_megabytes_that_says_what_was_averaged():
    rng = np.random.default_rng(0)
    maps, spectra = rng.random((256 * 256, 4)), rng.random((2048, 4))
    block = (maps[:4096] @ spectra.T + rng.normal(0, 0.1, (4096, 2048))).astype(np.float32)
    data = fu.Dataset("large", np.tile(block, (16, 1)).reshape(256, 256, 2048))
    model = NMF(data, 4)
    model.C, model.S = maps, spectra
    result = fu.fit(
        model, Frobenius(data), starts=1, init=fu.Current(), max_steps=0, progress=False
    )
    page = result.report().html
    assert len(page.encode()) < 20e6
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
    assert not re.search(r'(src|href)="(?!data:)', page)


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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if found() is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


def shown(browser, result, path, **given):
    """The page is open; its log and requests begin with it."""
    browser.complaints.clear()
    browser.requests.clear()
    result.report(path, **given)
    browser.open(path, READY)


def calm(browser, path):
    """Nothing was complained of, and nothing but the file was asked for."""
    assert browser.complaints == []
    asked = [url for url in browser.requests if not url.startswith("data:")]
    assert asked == [path.resolve().as_uri()]


def values(browser, name, *columns):
    """Columns of a figure's source; NaN for what JSON has not."""
    keys = json.dumps(columns)
    got = browser.ask(
        f"(() => {{ const d = report.model('{name}').data;"
        f"return {keys}.map(k => Array.from(d[k], Number)); }})()"
    )
    return [np.array(column, dtype=float) for column in got]


def at_pixel(browser, row, column, *, click=False, g=0):
    """Point at the middle of a pixel of the large map."""
    box = browser.ask(
        f"(() => {{ const e = document.querySelector('#scan{g} .large .canvas');"
        "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
        "return [b.left, b.top, b.width, b.height]; })()"
    )
    x = box[0] + (column + 0.5) / SHAPE[1] * box[2]
    y = box[1] + (row + 0.5) / SHAPE[0] * box[3]
    browser.mouse(x, y, click=click)


def at_energy(browser, figure, energy, *, click=False):
    """Point at an energy in a figure."""
    x, y = browser.ask(
        f"(() => {{ const v = Bokeh.index.find_one(report.model('{figure}'));"
        "v.el.scrollIntoView({block: 'center'});"
        "const b = v.canvas_view.el.getBoundingClientRect();"
        f"return [b.left + v.frame.x_scale.compute({energy}), b.top + v.frame.bbox.ycenter]; }})()"
    )
    browser.mouse(x, y, click=click)


def test_pointing_at_a_pixel_shows_its_spectra_of_all_detectors(browser, pages, joint):
    path = pages / "pixel.html"
    shown(browser, joint, path)
    for row, column in [(2, 7), (9, 0), (0, 11)]:
        at_pixel(browser, row, column)
        p = row * SHAPE[1] + column
        for i, (name, data) in enumerate(joint.minimised.datasets.items()):
            S, c = joint[f"S_{name}"], joint["C"][p]
            got = values(browser, f"spectrum{i}-source", "measured", "fit", "left", "c0", "c2")
            x = data.numpy()[row, column]
            np.testing.assert_allclose(got[0], x, atol=1e-3 * x.max())
            np.testing.assert_allclose(got[1], S @ c, rtol=1e-5)
            np.testing.assert_allclose(got[2], x - S @ c, atol=1e-3 * x.max())
            np.testing.assert_allclose(got[3], c[0] * S[:, 0], rtol=1e-5)
            np.testing.assert_allclose(got[4], c[2] * S[:, 2], rtol=1e-5)
    assert "x 5.5 nm, y 0 nm" in browser.ask("document.getElementById('where0').textContent")
    calm(browser, path)


def test_a_click_keeps_a_pixel_when_the_mouse_goes_and_masked_pixels_say_so(browser, pages, joint):
    path = pages / "click.html"
    shown(browser, joint, path)
    at_pixel(browser, 2, 7, click=True)
    (kept,) = values(browser, "spectrum0-source", "fit")
    at_pixel(browser, 3, 4)
    fit, seen = values(browser, "spectrum0-source", "fit", "measured")
    assert np.isnan(fit).all()  # masked in both data sets
    assert np.isnan(seen).all()
    assert "masked" in browser.ask("document.querySelector('.readout').textContent")
    at_pixel(browser, 8, 2)
    fit, seen = values(browser, "spectrum1-source", "fit", "measured")
    assert np.isnan(seen).all()  # masked in edxs: what it would be is still known
    assert np.isfinite(fit).all()
    browser.mouse(2, 2)
    np.testing.assert_array_equal(values(browser, "spectrum0-source", "fit")[0], kept)
    calm(browser, path)


def test_pointing_at_an_energy_shows_its_maps_and_a_wider_window_their_mean(browser, pages, joint):
    path = pages / "channel.html"
    shown(browser, joint, path)
    eels = joint.minimised.datasets["eels"]
    seen = np.where(eels.mask.numpy()[..., 0], np.nan, eels.numpy()[..., 12]).ravel()

    def layer(key):
        return np.array(
            browser.ask(f"Array.from(report.scans[0].layers['p0{key}'].all)"), dtype=float
        )

    for figure in ("spectrum0", "parts0", "left0"):
        at_energy(browser, figure, eels.channels[0].values[12])
        np.testing.assert_allclose(layer("measured"), seen, atol=1e-3 * np.nanmax(seen))
        np.testing.assert_allclose(layer("fit"), joint["C"] @ joint["S_eels"][12], rtol=1e-5)
        browser.mouse(2, 2)
    assert not np.allclose(layer("fit"), joint["C"] @ joint["S_eels"][12], equal_nan=True)
    at_energy(browser, "spectrum0", eels.channels[0].values[12], click=True)
    browser.mouse(2, 2)
    np.testing.assert_allclose(layer("fit"), joint["C"] @ joint["S_eels"][12], rtol=1e-5)
    browser.ask(
        "(() => { const s = document.querySelector('#part0 select.width');"
        "s.value = '5'; s.dispatchEvent(new Event('change')); })()"
    )
    expected = joint["C"] @ joint["S_eels"][10:15].mean(0)
    np.testing.assert_allclose(layer("fit"), expected, rtol=1e-5)
    assert "120–128 eV" in browser.ask("document.getElementById('maps-title0').textContent")
    calm(browser, path)


def test_tiles_switches_and_logarithms_change_what_is_shown_without_a_complaint(
    browser, pages, joint
):
    path = pages / "clicks.html"
    shown(browser, joint, path, lines={"eels": [(120.0, "A")]})
    browser.ask("document.querySelector('[data-layer=s0c1]').click()")
    assert browser.ask("document.querySelector('.large-title').textContent") == "Component 2"
    browser.ask("document.querySelector('.toggle[data-number=\"0\"]').click()")
    hidden = "Bokeh.documents[0].all_models.size && [...Bokeh.documents[0].all_models]"
    assert browser.ask(f"{hidden}.filter(m => m.name === 'component0' && m.visible).length") == 0
    assert browser.ask(f"{hidden}.filter(m => m.name === 'component1' && m.visible).length") > 0
    browser.ask("document.querySelector('#part0 input[value=log]').click()")
    assert browser.ask("report.model('log0').visible && !report.model('spectrum0').visible")
    browser.ask("document.querySelector('#part0 input[value=mean]').click()")
    (mean,) = values(browser, "parts0-source", "c1")
    expected = np.nanmean(joint["C"][:, 1]) * joint["S_eels"][:, 1]
    np.testing.assert_allclose(mean, expected, rtol=1e-4)
    browser.ask("document.querySelector('tr[data-number=\"2\"]').click()")
    assert browser.ask("document.querySelector('.large-title').textContent") == "Component 3"
    browser.frames()
    calm(browser, path)


def kinds():
    """Results of other shapes."""
    line = dataset("line", cube((25,)))
    yield "line", quick(NMF(line, 2), Poisson(line))
    tilt = fu.Dataset("tilt", cube((3, 6, 5)), axes=[fu.Axis("tilt", 30, -30, "°"), "y", "x", "e"])
    yield "tilt", quick(NMF(tilt, 2), Frobenius(tilt))
    one = dataset("one", cube((), 30)[None].astype(float))
    yield "single", quick(NMF(one, 1), Frobenius(one))
    spectra, image = dataset("spectra", cube()), fu.Dataset("adf", cube().sum(-1) * 1.0, signal=0)
    loss = Frobenius(spectra) + 0.01 * Frobenius(image)
    yield "image", quick(SharedMaps(spectra, image, K=2), loss)
    pattern = fu.Dataset("pattern", cube((4, 5), 36).reshape(4, 5, 6, 6), signal=2)
    yield "patterns", quick(NMF(pattern, 2), Frobenius(pattern))


@pytest.fixture(scope="module")
def others():
    return dict(kinds())


@pytest.mark.parametrize("kind", ["line", "tilt", "single", "image", "patterns"])
def test_other_shapes_of_data_open_without_a_complaint(browser, pages, others, kind):
    path = pages / f"{kind}.html"
    shown(browser, others[kind], path)
    browser.frames()
    assert browser.ask("document.querySelectorAll('article').length") == len(others[kind].data)
    calm(browser, path)


def test_a_line_scan_follows_the_mouse_along_its_profiles(browser, pages, others):
    result = others["line"]
    shown(browser, result, pages / "line.html")
    np.testing.assert_allclose(
        values(browser, "profile0.0-source", "c1")[0], result["C"][:, 1], rtol=1e-5
    )
    at_energy(browser, "profile0.0", 0.5 * 17)
    (fit,) = values(browser, "spectrum0-source", "fit")
    np.testing.assert_allclose(fit, result["S"] @ result["C"][17], rtol=1e-5)


def test_a_tilt_series_turns_with_its_slider(browser, pages, others):
    result = others["tilt"]
    shown(browser, result, pages / "tilt.html")
    browser.ask(
        "(() => { const s = document.querySelector('input.lead'); s.value = 2;"
        "s.dispatchEvent(new Event('input')); })()"
    )
    assert browser.ask("document.querySelector('output.lead').textContent") == "tilt 30 °"
    row, column = browser.ask("[report.scans[0].place.row, report.scans[0].place.column]")
    (fit,) = values(browser, "spectrum0-source", "fit")
    p = np.ravel_multi_index((2, row, column), (3, 6, 5))
    np.testing.assert_allclose(fit, result["S"] @ result["C"][p], rtol=1e-5)


@pytest.mark.parametrize("width", [1280, 1920])
def test_nothing_is_wider_than_the_window(browser, pages, joint, width):
    browser.size(width, 1000)
    shown(browser, joint, pages / "wide.html")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    boxes = browser.ask(
        "[...document.querySelectorAll('.card, .tile, table')].map(e => e.getBoundingClientRect())"
        ".map(b => [b.left, b.right])"
    )
    assert all(left >= 0 and right <= width for left, right in boxes)
    browser.size(1280, 1600)

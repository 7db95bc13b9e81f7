"""What a page looks like: narrow and wide, light and dark, on paper, and to a screen reader."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.report_page import Shown

AXE = find_spec("axe_core_python")
LINES = """[...Bokeh.documents[0].all_models]
    .filter(m => 'line_color' in m.properties && m.visible !== false)
    .map(m => m.line_color?.value ?? m.line_color).filter(c => /^#/.test(c))"""
GRID = "report.theme.variable('rule')"
BRIGHTNESS = """(() => {
    const c = Bokeh.index.find_one(report.model('spectrum0')).export('png', false).canvas;
    const x = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    const seen = x.filter((_, i) => i % 4 === 0 && x[i + 3] > 200);
    return seen.reduce((a, b) => a + b, 0) / seen.length;
})()"""


@pytest.fixture(autouse=True)
def _light(page):
    """Every test begins in light."""
    page.browser.scheme("light")
    yield
    page.browser.scheme("light")


def luminance(colour):
    """WCAG's relative luminance of "#rrggbb"."""
    x = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4) @ (
        0.2126,
        0.7152,
        0.0722,
    )


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("width", [400, 1280, 1920])
def test_nothing_is_wider_than_the_window(page, width):
    page.browser.size(width, 1000)
    page.browser.frames()
    assert page.ask("document.documentElement.scrollWidth") <= width
    boxes = page.ask(
        "[...document.querySelectorAll('.card, .tile, .plot, .controls, .choice')]"
        ".map(e => e.getBoundingClientRect()).filter(b => b.width).map(b => [b.left, b.right])"
    )
    assert len(boxes) > 20
    assert all(left >= 0 and right <= width for left, right in boxes)
    page.is_calm()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_line_has_a_contrast_of_three_to_one(page, scheme):
    page.browser.scheme(scheme)
    card = page.ask("report.theme.variable('card')")
    assert (luminance(card) < 0.05) == (scheme == "dark")
    lines = set(page.ask(LINES)) - {page.ask(GRID), card}
    assert len(lines) >= 8  # components, measured, fit, residual, B, axes, marks
    weak = {line: contrast(line, card) for line in lines if contrast(line, card) < 3}
    assert not weak
    page.is_calm()


def test_a_dark_page_draws_its_figures_on_dark(page):
    seen = {}
    for scheme in ("light", "dark"):
        page.browser.scheme(scheme)
        seen[scheme] = page.ask(BRIGHTNESS)  # text, axes, curves: ink on nothing
    assert seen["dark"] > seen["light"] + 40
    assert page.ask("getComputedStyle(document.body).color") == "rgb(230, 233, 238)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_after_all_was_used(page, scheme):
    if AXE is None:
        pytest.skip("axe-core-python, of the extra test, is not installed")
    page.open()
    page.browser.scheme(scheme)
    page.click("#scan0 input[value=line]")
    page.drag((8, 1), (2, 9))
    page.click("#scan0 .keep-second")
    page.click('.toggle[data-number="0"]')
    page.click("#copy-python")
    page.click("#part0 input[value=log]")
    script = Path(AXE.submodule_search_locations[0]) / "axe.min.js"
    page.ask(f"{script.read_text('utf-8')};0")
    found, passes = page.ask(
        "axe.run(document).then(r => [r.violations.filter(v => v.impact === 'serious' ||"
        " v.impact === 'critical').map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' ')),"
        " r.passes.length])"
    )
    assert found == []
    assert passes > 15


def test_the_page_is_printed_on_a4_in_light_with_every_figure_as_a_picture(page):
    page.open()
    page.browser.scheme("dark")
    pdf = page.browser.paper()
    boxes = {tuple(map(float, b.split())) for b in re.findall(rb"/MediaBox \[([^\]]+)\]", pdf)}
    assert len(boxes) == 1
    np.testing.assert_allclose(boxes.pop(), (0, 0, 594.96, 841.92), atol=0.5)
    assert 2 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 12
    assert page.ask("document.querySelectorAll('img.printed').length") == 0  # as it was
    assert page.ask("report.theme.variable('card')") == "#181d25"
    page.ask("report.printing.lay()")
    assert page.ask("report.theme.variable('card')") == "#ffffff"
    drawn = page.ask(
        "Promise.all([...document.querySelectorAll('img.printed')]"
        ".map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert len(drawn) == 8  # the map, the starts; of both data sets spectrum, residual, components
    assert min(drawn) > 100
    page.ask("report.printing.clear()")
    page.is_calm()


def test_nothing_is_cut_off_on_the_paper(page):
    """As wide as A4 less its margins, with the style of paper: 186 mm are 703 CSS pixels."""
    page.browser.size(703, 1000)
    page.ask("report.printing.lay()")
    page.browser.call("Emulation.setEmulatedMedia", media="print")
    page.browser.frames()
    try:
        assert page.ask("document.documentElement.scrollWidth") <= 703
        tables = page.ask(
            "[...document.querySelectorAll('table, img.printed, .tile, pre')]"
            ".filter(e => e.offsetWidth).map(e => e.getBoundingClientRect().right)"
        )
        assert len(tables) > 10
        assert max(tables) <= 704
        controls = page.ask(
            "[...document.querySelectorAll('select, button:not(.tile, .toggle), .choice, .hint')]"
            ".filter(e => e.offsetWidth).length"
        )
        assert controls == 0  # there is nothing to press on paper
        assert page.ask("document.querySelector('.scroll.low').scrollHeight") <= page.ask(
            "document.querySelector('.scroll.low').clientHeight"
        )
    finally:
        page.browser.call("Emulation.setEmulatedMedia", media="")
        page.ask("report.printing.clear()")


def test_the_components_have_a_logarithmic_scale_of_their_own(page, joint):
    page.open()
    page.click("#part0 input[name=partscale0][value=log]")
    assert page.ask("report.model('partslog0').visible && !report.model('parts0').visible")
    assert page.ask("report.model('spectrum0').visible")
    S = joint["S_eels"]
    (c1,) = page.values("partslog0-source", "c1")
    shape = S[:, 1] / S[:, 1].max()
    seen = c1 >= page.ask("report.model('partslogs0').start")
    assert seen.sum() > 5
    np.testing.assert_allclose(c1[seen], shape[seen], rtol=1e-4)
    page.is_calm()


def test_a_file_that_is_not_whole_says_so(browser, joint_report, tmp_path):
    path = tmp_path / "broken.html"
    head, tag, rest = joint_report.html.partition('id="report-library">')
    path.write_text(head + tag + rest[:1000] + rest[3000:], encoding="utf-8")
    browser.complaints.clear()
    browser.open(path, "document.getElementById('broken')?.checkVisibility()")
    for _ in range(60):  # the console's word may come some frames after the page's
        if browser.complaints:
            break
        browser.frames()
    assert len(browser.complaints) == 1
    assert browser.ask("document.querySelector('table').checkVisibility()")


def test_a_browser_that_cannot_unpack_is_told_so_and_asks_for_nothing(
    browser, joint_report, tmp_path
):
    path = tmp_path / "old.html"
    text = joint_report.html.replace(
        "<head>", "<head><script>delete window.DecompressionStream</script>", 1
    )
    path.write_text(text, encoding="utf-8")
    browser.complaints.clear()
    browser.open(path, "document.readyState === 'complete'")
    assert browser.ask("document.getElementById('old-browser').checkVisibility()")
    assert browser.ask("document.querySelector('table').checkVisibility()")
    assert browser.complaints == []


BOXES = """(() => {
    const pen = document.createElement("canvas").getContext("2d");
    const { start, end } = report.model("energies0"), width = report.model("spectrum0").inner_width;
    const marks = [...Bokeh.documents[0].all_models].filter(m => m.name === "mark of spectrum0");
    return marks.filter(m => m.visible).map(m => {
        pen.font = "11px system-ui";
        const left = ((m.x - start) / (end - start)) * width + m.x_offset;
        return [left, left + pen.measureText(m.text).width, m.y, width];
    });
})()"""


def test_names_of_lines_that_are_near_stand_in_rows_and_within_the_frame(browser, joint, tmp_path):
    first, last = joint.data["eels"].axes[-1].ends
    places = [*np.linspace(first, first + (last - first) / 20, 8), last]
    lines = [(place, f"Name {i}") for i, place in enumerate(places)]
    page = Shown(browser, joint, tmp_path / "lines.html", lines={"eels": lines})
    page.browser.size(1280, 1000)
    page.browser.frames()
    boxes = page.ask(BOXES)
    assert len(boxes) == len(lines)
    assert len({y for _, _, y, _ in boxes}) > 1
    for i, (left, right, y, width) in enumerate(boxes):
        assert left >= 0
        assert right <= width + 1
        for other_left, other_right, other_y, _ in boxes[:i]:
            assert abs(y - other_y) >= 12 or right <= other_left or other_right <= left
    page.is_calm()

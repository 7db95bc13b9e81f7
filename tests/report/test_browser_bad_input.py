"""Pages of what is small, empty, long-named or uncalibrated: they open, are used and printed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF
from tests.helpers.report_data import cube, dataset, quick
from tests.helpers.report_page import Shown

NAMES = ("酸化シリコンの層", "W" * 40, "</script><b>x")


def counts(shape, K, energies=30):
    data = dataset("map", cube(shape, energies))
    return quick(NMF(data, K), Poisson(data))


def bare(array, K):
    """Of data whose axes are not calibrated."""
    data = fu.Dataset("имя набора данных, очень длинное " * 2, array)
    return quick(NMF(data, K), Frobenius(data))


def zeros():
    """All values of maps, spectra and data are zero, as `fit` itself would refuse."""
    result = counts((6, 7), 2)
    factors = {name: 0 * F for name, F in result.factors.items()}
    return replace(result, factors=factors, model=None, minimised=None)


RESULTS = {
    "twelve components": lambda: counts((8, 9), 12),
    "one pixel": lambda: counts((1, 1), 1),
    "one channel": lambda: bare(cube((6, 7), 1) + 1.0, 1),
    "no axis calibrated, names of any script": lambda: bare(cube((6, 7)) + 0.5, 3).renamed(
        dict(enumerate(NAMES, 1))
    ),
    "one pixel wide, one component": lambda: counts((30, 1), 1),
    "one pixel high": lambda: counts((1, 30), 2),
    "all zero": zeros,
}
PRESS = """document.querySelectorAll('.focus').forEach(f => {key}.forEach(key =>
    f.dispatchEvent(new KeyboardEvent('keydown', {{key, bubbles: true}}))))"""


@pytest.mark.parametrize("name", RESULTS)
def test_a_page_opens_is_used_and_printed_without_a_complaint(browser, tmp_path, name):
    result = RESULTS[name]()
    page = Shown(browser, result, tmp_path / "page.html")
    assert page.ask("document.querySelectorAll('article').length") == 1
    page.ask(PRESS.format(key="['ArrowRight', 'ArrowDown', 'Enter', 'b', 'ArrowLeft']"))
    for choice in ("log", "mean", "area"):
        page.ask(f"document.querySelectorAll('input[value={choice}]').forEach(e => e.click())")
    page.ask(PRESS.format(key="['Enter', 'ArrowRight', 'ArrowDown', 'Enter']"))
    browser.frames()
    fit, other, apart = page.values("spectrum0-source", "fit", "otherFit", "apartFit")
    assert np.isfinite(fit).all()
    if not np.isnan(other).any():
        np.testing.assert_allclose(apart, fit - other, atol=1e-9 + 1e-6 * np.abs(fit).max())
    browser.size(400, 900)
    browser.frames()
    assert page.ask("document.documentElement.scrollWidth") <= 400
    page.ask("report.printing.lay()")
    assert page.ask("document.querySelectorAll('img.printed').length") >= 4
    page.ask("report.printing.clear()")
    page.is_calm()


def test_a_map_of_a_million_pixels_is_averaged_and_that_is_said(browser, tmp_path):
    result, rng = counts((4, 4), 1), np.random.default_rng(0)
    n = 1024
    axes = tuple(
        fu.Axis(a.name, a.scale, a.offset, a.units, size=n) for a in result.data["map"].axes[:2]
    )
    summary = result.data["map"]
    summary = replace(
        summary,
        shape=(n, n, 30),
        axes=(*axes, summary.axes[2]),
        residual_map=np.ones((n, n), np.float32),
    )
    C = rng.random((n * n, 1), dtype=np.float32)
    large = replace(
        result,
        data={"map": summary},
        factors={"C": C, "S": result["S"].astype(np.float32)},
        axes={**result.axes, "C": (axes, *result.axes["C"][1:])},
        model=None,
        minimised=None,
    )
    page = Shown(browser, large, tmp_path / "large.html")
    assert (tmp_path / "large.html").stat().st_size < 8e6
    rows, columns, b = page.ask(
        "[report.scans[0].told.rows, report.scans[0].told.columns, report.scans[0].told.bins[0]]"
    )
    assert rows == columns == n // b
    assert f"Maps of map are means over neighbours, {b} along y and {b} along x." in page.ask(
        "document.querySelector('footer').textContent"
    )
    first = C[:, 0].reshape(n // b, b, n // b, b).mean((1, 3)).ravel()
    np.testing.assert_allclose(page.layer("s0c0"), first, rtol=1e-5)
    page.is_calm()

"""A report that is open in a browser: what it shows, and how it is driven."""

from __future__ import annotations

import json

import numpy as np

from tests.helpers.report_data import READY, SHAPE


class Opened:
    """A page in a browser, and what it complained of and asked for since it was opened."""

    def __init__(self, browser, path):
        self.browser, self.ask, self.path = browser, browser.ask, path
        self.open()

    def open(self):
        """Anew, as it was written."""
        self.browser.complaints.clear()
        self.browser.requests.clear()
        self.browser.size(1280, 1600)
        self.browser.open(self.path, READY)

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

    def drag(self, start, end):
        """From the middle of one pixel of the large map, (row, column), to that of another."""
        left, top, width, height = self.box()
        places = [
            (left + (column + 0.5) / SHAPE[1] * width, top + (row + 0.5) / SHAPE[0] * height)
            for row, column in (start, end)
        ]
        self.browser.drag(*places)

    def focus(self, selector):
        self.ask(f"document.querySelector({selector!r}).focus()")

    def shows(self, name, column, expected, *, patience=40):
        """Whether a figure's column becomes these values, in some frames at most: a page that is
        busy draws later than it is asked for."""
        for _ in range(patience):
            (seen,) = self.values(name, column)
            if seen.shape == np.shape(expected) and np.allclose(seen, expected, rtol=1e-5):
                return True
            self.browser.frames()
        return False

    def keys(self, *names, shift=False):
        for name in names:
            self.browser.key(name, shift=shift)

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


class Shown(Opened):
    """The page of a result."""

    def __init__(self, browser, result, path, **given):
        result.report(path, **given)
        super().__init__(browser, path)

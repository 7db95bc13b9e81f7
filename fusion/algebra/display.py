"""Objects that show themselves, in a screen: what they say, laid out as text and as HTML."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from fusion.algebra.text_columns import LINE, MORE, columns, cut, in_one_line, padded, wrapped

SCREEN = 25
"""Lines that an object takes at most."""
CELL = 44
"""Columns of a cell of a table."""
NOTE = 3
"""Lines of a note."""
RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufeff]+( [\u0590-\u08ff\ufb1d-\ufeff]+)*")
"""Hebrew, Arabic and the like: numbers beside them would change places."""
GREY = "opacity:0.65"
BORDER = "border-bottom:1px solid rgba(128,128,128,0.35)"
LEFT = "text-align:left;vertical-align:top;padding:1px 10px 1px 0"
RIGHT = "text-align:right;vertical-align:top;padding:1px 10px 1px 0"


class Part(ABC):
    """A piece of what is shown."""

    @abstractmethod
    def lines(self) -> list[str]:
        """As text, of `LINE` columns at most."""

    @abstractmethod
    def html(self) -> str:
        """As HTML, its texts escaped, in the colours of the page."""


@dataclass(frozen=True)
class Facts(Part):
    """Names with what is known under them, in two columns."""

    rows: Sequence[tuple[str, str]]

    def lines(self) -> list[str]:
        names = [cut(in_one_line(name) if name else "", CELL // 2) for name, _ in self.rows]
        width = max(map(columns, names), default=0) + 4
        blanks = " " * width
        made = []
        for name, (_, text) in zip(names, self.rows, strict=True):
            made += wrapped(in_one_line(text), padded(f"  {name}", width), blanks)
        return made

    def html(self) -> str:
        rows = (
            f'<tr><td style="{LEFT};{GREY}" dir="auto">{_text(name) if name else ""}</td>'
            f'<td style="{LEFT}" dir="auto">{_text(text)}</td></tr>'
            for name, text in self.rows
        )
        return _table("".join(rows))


@dataclass(frozen=True)
class Table(Part):
    """Rows of text under a head; the first `left` columns stand at the left, others at the right.

    Where a line has no place for all, a last column of sentences is cut, and columns of numbers
    are left out at the right, "…" in their place.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1

    def lines(self) -> list[str]:
        rows = [[in_one_line(text) if text else "" for text in row] for row in self._all()]
        rows = [[cut(text, CELL) for text in row[:-1]] + row[-1:] for row in rows]
        widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
        place = LINE - 2 - sum(widths[:-1]) - 2 * (len(widths) - 1)
        if self.left == len(self.head) and widths[-1] > place >= CELL // 4:
            rows = [[*row[:-1], cut(row[-1], place)] for row in rows]
            widths[-1] = place
        while 2 + sum(widths) + 2 * (len(widths) - 1) > LINE:
            rows = [[*row[: len(widths) - 2], MORE] for row in rows]
            widths = [*widths[:-2], 1]
        return [self._line(row, widths) for row in rows]

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            padded(text, width, right=i >= self.left)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        return f"  {'  '.join(cells)}".rstrip()

    def _all(self) -> list[Sequence[str]]:
        return [self.head, *self.rows]

    def html(self) -> str:
        head, *rows = self._shown()
        lines = [self._html_line(head, "th", f";{BORDER}"), *(self._html_line(r) for r in rows)]
        return _table("".join(lines))

    def _html_line(self, row: Sequence[str], tag: str = "td", more: str = "") -> str:
        cells = (
            f'<{tag} style="{LEFT if i < self.left else RIGHT}{more}" dir="auto">'
            f"{_text(text) if text else ''}</{tag}>"
            for i, text in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    def _shown(self) -> list[Sequence[str]]:
        """The head and as many rows as a screen has."""
        if len(self.rows) < SCREEN:
            return self._all()
        left = f"{MORE} {len(self.rows) - SCREEN + 2} more"
        return [*self._all()[: SCREEN - 1], [left, *[""] * (len(self.head) - 1)]]


@dataclass(frozen=True)
class Notes(Part):
    """Sentences, one below the other, each of three lines at most."""

    texts: Sequence[str]

    def lines(self) -> list[str]:
        made = []
        for text in self.texts:
            note = wrapped(in_one_line(text), "  - ", "    ")
            made += note if len(note) <= NOTE else [*note[: NOTE - 1], _ended(note[NOTE - 1])]
        return made

    def html(self) -> str:
        items = "".join(f'<li dir="auto">{_text(text)}</li>' for text in self.texts)
        return f'<ul style="margin:2px 0;padding-left:1.3em">{items}</ul>'


@dataclass(frozen=True)
class Figure(Part):
    """A picture, drawn where a page is asked for; nothing where it cannot be."""

    png: Callable[[], bytes | None]
    told: str

    def lines(self) -> list[str]:
        return []

    def html(self) -> str:
        try:
            png = self.png()
        except Exception:  # no matplotlib, no memory: the words are there all the same
            return ""
        if not png:
            return ""
        source = f"data:image/png;base64,{b64encode(png).decode()}"
        style = "max-width:100%;margin:4px 0"
        return f'<img style="{style}" alt="{escape(self.told)}" src="{source}">'


@dataclass(frozen=True)
class Display:
    """A title and parts, of a screen at most: 25 lines of 100 columns."""

    title: str
    parts: Sequence[Part] = ()

    def text(self) -> str:
        """As a terminal shows it; the longest parts are cut where it would not fit."""
        blocks = [wrapped(in_one_line(self.title), "", "  ")]
        blocks += [lines for part in self.parts if (lines := part.lines())]
        excess = sum(map(len, blocks)) - SCREEN
        if excess > 0:
            blocks = _shortened(blocks)
        return "\n".join(line for block in blocks for line in block)

    def html(self) -> str:
        """As a notebook shows it."""
        parts = "".join(part.html() for part in self.parts)
        title = f'<div dir="auto"><strong>{_text(self.title)}</strong></div>'
        return f'<div style="max-width:70em;overflow-x:auto">{title}{parts}</div>'


class Shown:
    """What shows itself: `repr`, `print` and a notebook's cell say what `_display` gives.

    None of them raises: where something is not there yet, the name of the class is all.
    """

    def _display(self) -> Display:
        raise NotImplementedError

    def __repr__(self) -> str:
        return _display_of(self).text()

    def __str__(self) -> str:
        return _display_of(self).text()

    def _repr_html_(self) -> str:
        return _display_of(self).html()


def _display_of(shown: Shown) -> Display:
    try:
        return shown._display()
    except (
        Exception
    ) as error:  # half made, or a user's own class: `repr` is asked for in tracebacks
        why = f"{type(error).__name__}: {error}"
        return Display(f"{type(shown).__name__} (cannot be shown: {why})"[:LINE])


def _shortened(blocks: list[list[str]]) -> list[list[str]]:
    """As many lines as a screen has: the longest blocks lose their last ones, and say how many."""
    kept = [len(block) for block in blocks]
    while sum(kept) > SCREEN:
        kept[max(range(len(kept)), key=lambda i: (kept[i], i))] -= 1
    return [
        block if n == len(block) else [*block[: n - 1], f"  {MORE} {len(block) - n + 1} more lines"]
        for block, n in zip(blocks, kept, strict=True)
    ]


def _ended(line: str) -> str:
    """A line with "…" at its end."""
    return cut(line, LINE - 2) + f" {MORE}" if not line.endswith(MORE) else line


def _table(rows: str) -> str:
    return f'<table style="border-collapse:collapse;margin:2px 0">{rows}</table>'


def _text(text: str) -> str:
    """Escaped; what stands in backquotes as code, what runs from right to left apart."""
    marked = RIGHT_TO_LEFT.sub(r"<bdi>\g<0></bdi>", escape(in_one_line(text)))
    return re.sub("`([^`]+)`", r"<code>\1</code>", marked)

"""What objects show of themselves fits on a screen, in any script, and is escaped in HTML."""

from __future__ import annotations

import re

import pytest

from fusion.algebra.display import Display, Facts, Figure, Notes, Shown, Table
from fusion.algebra.text_columns import columns, cut, in_one_line, padded, wrapped

LONG = "Übergangsbereich zwischen Kern und Schale"
SCRIPTS = ("", LONG, "鉄と酸素の化合物" * 5, "оксид железа", "أكسيد الحديد", "a\nb\tc", "x" * 240)


@pytest.mark.parametrize(
    ("text", "wide"), [("Fe", 2), ("鉄", 4 - 2), ("e\u0301", 1), ("Ü鉄x", 4), ("", 0)]
)
def test_a_wide_letter_takes_two_columns_and_a_combining_mark_none(text, wide):
    assert columns(text) == wide
    assert columns(padded(text, 9)) == columns(padded(text, 9, right=True)) == 9


def test_a_text_is_cut_to_its_width_with_a_sign_that_says_so():
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"
    assert cut("鉄鉄鉄鉄", 6) == "鉄鉄…"


def test_lines_are_broken_at_blanks_and_words_that_are_longer_than_a_line_in_themselves():
    assert wrapped("one two three", "- ", "  ", 9) == ["- one two", "  three"]
    assert wrapped("abcdefghij", "", "", 4) == ["abcd", "efgh", "ij"]
    assert wrapped("", "  ", "") == ["  "]


def test_line_breaks_in_names_do_not_break_lines_and_an_empty_one_is_seen():
    assert in_one_line("a\nb\tc\x1b[31m") == "a b c [31m"
    assert in_one_line("") == "''"


def full(names):
    rows = [[name, *(f"{i}.5 ± 0.25" for i in range(12))] for name in names]
    facts = Facts([(name, "value " * 60) for name in names])
    notes = Notes([f"{name}: " + "a caution, " * 60 for name in names])
    return Display("A title " * 20, [facts, Table(["name", *map(str, range(12))], rows), notes])


@pytest.mark.parametrize("names", [SCRIPTS, SCRIPTS * 5, ("a",), ()])
def test_whatever_there_is_fits_on_a_screen_of_25_lines_and_100_columns(names):
    lines = full(names).text().splitlines()
    assert len(lines) <= 25
    assert max(map(columns, lines)) <= 100


def test_a_table_that_is_too_long_says_how_many_rows_are_left_out():
    rows = [[str(i), str(i * i)] for i in range(40)]
    shown = Display("squares", [Table(["i", "i²"], rows)])
    lines = shown.text().splitlines()
    assert lines[2].split() == ["0", "0"]
    assert lines[-2].split() == ["21", "441"]
    assert lines[-1] == "  … 18 more lines"
    assert "… 17 more" in shown.html()
    assert shown.html().count("<tr>") == 25


def test_columns_without_a_place_are_left_out_and_sentences_are_cut():
    numbers = Table(["name", *"abcdefghij"], [["x", *["12345678901"] * 10]])
    head, row = numbers.lines()
    assert head.split() == ["name", *"abcdefg", "…"][: len(head.split())]
    assert head.endswith("…")
    assert row.endswith("…")
    told = Table(["name", "said"], [["x", "word " * 50]], left=2)
    assert columns(told.lines()[1]) == 100
    assert told.lines()[1].endswith("…")


def test_numbers_stand_at_the_right_and_names_at_the_left():
    assert Table(["n", "value"], [["a", "1"], ["bcd", "22.5"]]).lines() == [
        "  n    value",
        "  a        1",
        "  bcd   22.5",
    ]


def test_html_holds_the_same_texts_escaped():
    evil = "<script>alert('a & b')</script>"
    parts = [Facts([(evil, evil)]), Table([evil], [[evil]]), Notes([evil])]
    html = Display(evil, parts).html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#x27;a &amp; b&#x27;)&lt;/script&gt;") == 6
    opened, closed = re.findall(r"<(\w+)", html), re.findall(r"</(\w+)", html)
    assert sorted(opened) == sorted(closed)


def test_a_picture_that_cannot_be_drawn_leaves_the_words():
    def broken():
        raise RuntimeError("no canvas")

    for png in (broken, lambda: None):
        html = Display("words", [Figure(png, "maps"), Notes(["a note"])]).html()
        assert "<img" not in html
        assert "words" in html
        assert "a note" in html
    drawn = Display("words", [Figure(lambda: b"png", "<maps>")])
    assert 'alt="&lt;maps&gt;" src="data:image/png;base64,cG5n"' in drawn.html()
    assert drawn.text() == "words"


def test_an_object_that_cannot_be_shown_says_so_and_does_not_raise():
    class Half(Shown):
        def _display(self):
            return Display(self.name)

    for told in (repr(Half()), str(Half()), Half()._repr_html_()):
        assert "Half (cannot be shown: AttributeError" in told


def test_names_from_right_to_left_leave_the_numbers_beside_them_where_they_are():
    html = Display("Result of 'أكسيد الحديد', 3 components").html()
    assert "'<bdi>أكسيد الحديد</bdi>', 3 components".replace("'", "&#x27;") in html


def test_what_stands_in_backquotes_is_code_and_still_escaped():
    html = Display("x", [Notes(["see `result.errors()` and `a<b`"])]).html()
    assert "see <code>result.errors()</code> and <code>a&lt;b</code>" in html

"""Text in columns of a terminal: how wide it is, cut to a width, wrapped; in any script."""

from __future__ import annotations

import unicodedata

LINE = 100
"""Columns of a line."""
MORE = "…"


def columns(text: str) -> int:
    """How many columns a terminal gives a text: two to a wide letter, none to a combining mark."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(letter) for letter in text)


def _columns_of(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def in_one_line(text: str) -> str:
    """The text without line breaks and other signs that do not print; '' where it is empty."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.split()) or "''"


def cut(text: str, width: int) -> str:
    """As much of a text as fits, with "…" where that is not all."""
    return text if columns(text) <= width else _first(text, width - 1) + MORE


def _first(text: str, width: int) -> str:
    """As many letters as fit."""
    total = 0
    for i, letter in enumerate(text):
        total += _columns_of(letter)
        if total > width:
            return text[:i]
    return text


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text with blanks up to a width; at the right of them, or at the left."""
    blanks = " " * (width - columns(text))
    return blanks + text if right else text + blanks


def wrapped(text: str, first: str = "", after: str = "", width: int = LINE) -> list[str]:
    """A text in lines, broken at blanks; `first` stands before the first, `after` before others."""
    lines, line, empty = [], first, True
    for word in text.split():
        if not empty and columns(line) + 1 + columns(word) > width:
            lines.append(line)
            line, empty = after, True
        line += word if empty else f" {word}"
        empty = False
        while columns(line) > width:  # a word that is longer than a line
            head = _first(line, width)
            lines.append(head)
            line = after + line[len(head) :]
    return [*lines, line]

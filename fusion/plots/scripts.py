"""Fonts for names in any script, of those that are installed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache


def missing_letters(text: str, families: Sequence[str]) -> str:
    """Letters that no installed font has."""
    from matplotlib.font_manager import FontProperties, findfont

    every = [findfont(FontProperties(family=list(families))), *(file for _, file in _installed())]
    lacking = {ord(letter) for letter in text if letter.isprintable()}
    for file in every:
        lacking -= _letters_of(file) if lacking else set()
    return "".join(map(chr, sorted(lacking)))


def families_for(text: str, families: Sequence[str]) -> list[str]:
    """The families, and after them one that has the letters they lack; nothing where none helps.

    Args:
        text: to be drawn.
        families: of the fonts it would be drawn in.
    """
    from matplotlib.font_manager import FontProperties, findfont

    missing = {ord(letter) for letter in text if letter.isprintable()}
    missing -= _letters_of(findfont(FontProperties(family=list(families))))
    if not missing:
        return []
    best = max(_installed(), key=lambda each: len(missing & _letters_of(each[1])), default=None)
    if best is None or not missing & _letters_of(best[1]):
        return []
    return [*families, best[0]]


@cache
def _installed() -> list[tuple[str, str]]:
    """(family, file) of the upright fonts of usual weight."""
    from matplotlib.font_manager import fontManager

    usual = [f for f in fontManager.ttflist if f.style == "normal" and f.weight in (400, "normal")]
    return [(font.name, font.fname) for font in usual if "Last Resort" not in font.name]


@cache
def _letters_of(file: str) -> frozenset[int]:
    """The letters that a font has."""
    from matplotlib.font_manager import get_font

    return frozenset(get_font(file).get_charmap())

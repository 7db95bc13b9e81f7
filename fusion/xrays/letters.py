"""Names of lines and edges in the letters of the field, and back: "Fe Ka" is Fe Kα."""

from __future__ import annotations

GREEK = str.maketrans("abgz", "αβγζ")
LOWER = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
PLAIN = str.maketrans("αβγζ₀₁₂₃₄₅₆₇₈₉", "abgz0123456789")


def in_letters(name: str) -> str:
    """ "Fe Ka" as Fe Kα, "Mn Lb1" as Mn Lβ₁, "Mn L2,3" as Mn L₂,₃."""
    element, _, part = name.partition(" ")
    return f"{element} {part[:1]}{part[1:].translate(GREEK).translate(LOWER)}".rstrip()


def plain(name: str) -> str:
    """As it is typed: "Fe Kα" as Fe Ka."""
    return name.translate(PLAIN)

"""The index of messages says what the code says."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.helpers.paths import ROOT

PAGE = (ROOT / "ERRORS.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?!It says|---)(.+?) \| (.+) \|$", PAGE, flags=re.M)


def literal(node: ast.expr) -> str:
    """A text as it stands in the code, "…" for what is put in when it runs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return literal(node.left) + literal(node.right)
    return "…"


@cache
def messages() -> set[str]:
    """All texts in the package but docstrings."""
    found = set()
    for folder in ("fusion", "models", "losses"):
        for path in (ROOT / folder).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            notes = {id(n.value) for n in nodes if isinstance(n, ast.Expr)}
            kinds = (ast.Constant, ast.JoinedStr, ast.BinOp)
            found |= {literal(n) for n in nodes if isinstance(n, kinds) and id(n) not in notes}
    return found


def stands(entry: str, message: str) -> bool:
    """Whether the pieces of an entry between "…" follow each other in a message."""
    pieces = [re.escape(piece.strip()) for piece in entry.split("…") if piece.strip()]
    return re.search(r".*?".join(pieces), message, flags=re.S) is not None


@pytest.mark.parametrize("entry", [entry for entry, _ in ROWS])
def test_what_an_entry_says_is_said_by_the_code(entry):
    assert any(stands(entry, message) for message in messages()), entry


def test_entries_are_many_and_distinct_with_enough_words_to_be_found_by():
    entries = [entry for entry, _ in ROWS]
    assert len(entries) == len(set(entries)) > 70
    for entry, advice in ROWS:
        assert len(re.findall(r"\w{2,}", entry)) >= 4, entry
        assert len(advice.split()) >= 4, entry


def test_an_entry_that_the_code_no_longer_says_is_found():
    assert not any(stands("`fit`: the moon is made of … cheese", message) for message in messages())
    assert stands("`K`: … of …: less", "`K`: … of … rows: less")
    assert not stands("less … `K`", "`K`: … of … rows: less")

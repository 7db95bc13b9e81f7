"""What one writes to add a piece from outside stays short: the docstring and imports aside."""

import ast
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("test_a_*.py"))
LONGER = ("test_a_form.py", "test_a_solver.py")


def lines(path):
    """Lines of the classes and functions, without those that are empty or in a docstring."""
    text = path.read_text(encoding="utf-8")
    tree, counted = ast.parse(text), set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("Test"):
            counted |= set(range(node.lineno, node.end_lineno + 1))
            for inner in ast.walk(node):
                if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
                    counted -= set(range(inner.lineno, inner.end_lineno + 1))
    rows = text.splitlines()
    return sum(bool(rows[number - 1].strip()) for number in counted)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_piece_is_fifteen_lines_a_form_or_solver_forty(path):
    assert 0 < lines(path) <= (40 if path.name in LONGER else 15)

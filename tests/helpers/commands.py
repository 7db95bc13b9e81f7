"""Commands of `sdfusion`, run in this process."""

from __future__ import annotations

from fusion.cli import main


def run(*arguments) -> int:
    return main([str(a) for a in arguments])


def fails(capsys, *arguments, status: int = 1, lines: int = 1) -> str:
    """The one line that a failing call writes; one more for each of several choices."""
    assert run(*arguments) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == lines
    return said.err

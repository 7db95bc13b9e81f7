"""Pictures and pages that commands write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fusion.answers.result import Result


def write_page(result: Result, output: Path) -> None:
    """A saved answer as a page for a browser."""
    try:
        result.report(output)
    except ImportError as error:
        raise ValueError(str(error)) from None


def picture_format(output: Path) -> str:
    """Format of a picture, by its name."""
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("png", "pdf", "svg"):
        raise click.UsageError(f"-o {output}: give a name that ends in .png, .pdf or .svg")
    return kind


def write_picture(drawn: Any, output: Path, kind: str) -> None:
    """Its picture, whole or not at all."""
    from fusion.answers.whole_files import atomic_write

    with atomic_write(output) as opened:
        drawn.plot().savefig(opened, format=kind, dpi=200)

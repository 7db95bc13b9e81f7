"""`sdfusion demo`: a scene that neither of two detectors resolves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fusion.cli.options import FILE, SAYING, THREADS


@click.command()
@click.option("-o", "--output", type=FILE, metavar="DIR", default=Path("sdfusion-demo"),
              show_default=True, help="Folder for the answer; made if need be.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of scene and starts.")
@THREADS
@SAYING
def demo(**given: Any) -> None:
    """Simulate EELS and EDXS of one scan; analyse each alone and both together."""
    from fusion.cli.demo_scene import run_demo

    run_demo(**given)

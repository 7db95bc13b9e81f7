"""`sdfusion info`: what is in a file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fusion.cli.options import FILE


@click.command()
@click.argument("file", type=FILE)
@click.option("--signal", metavar="NAME", help="Which data set, of several; default: all.")
@click.option("--json", "as_json", is_flag=True, help="For machines, on standard output.")
def info(file: Path, signal: str | None, as_json: bool) -> None:
    """What is in FILE: axes, counts, noise, and how many components stand out of it."""
    from fusion.cli.prepared_data import all_datasets
    from fusion.prepare.inspection import inspect

    inspections = [inspect(data) for data in all_datasets(file, signal)]
    if as_json:
        print(json.dumps([each.as_dict() for each in inspections]))
    else:
        print("\n\n".join(str(each) for each in inspections))

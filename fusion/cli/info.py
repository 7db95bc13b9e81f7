"""`sdfusion info`: what is in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from fusion.cli.options import FILE, PARTS, READER, SIGNAL, THREADS


@click.command()
@click.argument("file", type=FILE)
@SIGNAL
@READER
@PARTS
@click.option("--all", "every", is_flag=True, help="All that can be told of every data set.")
@click.option("--json", "as_json", is_flag=True, help="For machines, all of it, on stdout.")
@THREADS
def info(file: Path, signal: str | None, every: bool, as_json: bool, **given: Any) -> None:
    """What is in FILE: axes, counts, noise, and how many components stand out of it.

    Of several data sets a table, then the maps; one of them with --signal, or --all. With --energy
    or --bin the same of what they leave.
    """
    from fusion.cli.chosen_files import reader_options
    from fusion.cli.file_table import dictionaries, in_words
    from fusion.cli.prepared_data import parts_of
    from fusion.files import contents_of
    from fusion.files.contents import pick

    if signal is not None and every:
        raise click.UsageError(f"--all: --signal {signal} is one: give one of the two")
    reading = {name: given.pop(name) for name in ("reader", "segments", "dataset")}
    found = contents_of(file, reader_options(**reading))
    chosen = parts_of(found if signal is None else [pick(file, found, signal)], **given)
    if as_json:
        print(json.dumps(dictionaries(chosen)))
    else:
        print(in_words(file, chosen, every=every))

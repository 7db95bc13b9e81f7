"""`sdfusion plot`: an answer, or the data of a file, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fusion.cli.options import FILE, READER, SIGNAL, flag_of


@click.command()
@click.argument("file", type=FILE)
@SIGNAL
@READER
@click.option("-o", "--output", type=FILE, metavar="PICTURE", default=Path("figure.png"),
              show_default=True, help="png, pdf or svg; of an answer also html.")  # fmt: skip
def plot(file: Path, signal: str | None, output: Path, **reading: Any) -> None:
    """Draw an answer (result.npz) again, or the data of a file."""
    from fusion.answers.result import Result
    from fusion.answers.storage import is_result
    from fusion.cli.chosen_files import chosen_of, reader_options
    from fusion.cli.pictures import picture_format, write_page, write_picture

    options = reader_options(**reading)
    answer = is_result(file)
    if answer and (signal is not None or options):
        what = ", ".join([*(["--signal"] if signal is not None else []), *map(flag_of, options)])
        raise click.UsageError(f"{what}: {file} is an answer, drawn as a whole: leave that away")
    if answer and output.suffix.lower() == ".html":
        write_page(Result.load(file), output)
        return
    kind = picture_format(output)
    names = [] if signal is None else [signal]
    drawn = Result.load(file) if answer else chosen_of([file], names, options, joint=False)[0].data
    write_picture(drawn, output, kind)

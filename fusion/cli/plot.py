"""`sdfusion plot`: an answer, or the data of a file, as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from fusion.cli.options import FILE


@click.command()
@click.argument("file", type=FILE)
@click.option("--signal", metavar="NAME", help="Which data set, of several.")
@click.option("-o", "--output", type=FILE, metavar="PICTURE", default=Path("figure.png"),
              show_default=True, help="png, pdf or svg; of an answer also html.")  # fmt: skip
def plot(file: Path, signal: str | None, output: Path) -> None:
    """Draw an answer (result.npz) again, or the data of a file."""
    from fusion.answers.result import Result
    from fusion.answers.storage import is_result
    from fusion.cli.pictures import picture_format, write_page, write_picture
    from fusion.files import one

    if output.suffix.lower() == ".html" and is_result(file):
        write_page(Result.load(file), output)
        return
    kind = picture_format(output)
    write_picture(Result.load(file) if is_result(file) else one(file, signal), output, kind)

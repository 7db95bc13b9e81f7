"""`sdfusion fuse`: several data sets together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fusion.cli.options import FILE, FITTING, READING, SAYING


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--share", type=click.Choice(["maps", "spectra"]), default="maps", show_default=True,
              help="What the data sets have in common.")  # fmt: skip
@READING
@FITTING
@SAYING
def fuse(files: tuple[Path, ...], **given: Any) -> None:
    """Factorise several data sets together: all signals of one file, or one of every file.

    Put the detector first that sees every component. --energy, --bin and the like are for spectra
    that have such energies; what they do not fit is an error.
    """
    from fusion.cli.fitting import fit_files

    fit_files(list(files), **given)

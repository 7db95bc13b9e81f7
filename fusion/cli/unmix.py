"""`sdfusion unmix`: one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fusion.cli.options import FILE, FITTING, READING, SAYING


@click.command()
@click.argument("file", type=FILE)
@READING
@FITTING
@SAYING
def unmix(file: Path, **given: Any) -> None:
    """Factorise one data set into K maps and spectra.

    Writes result.npz, summary.txt, figure.png, spectra.csv and report.html into DIR; the last, maps
    linked to spectra for any browser, needs `pip install "sdfusion[report]"`.
    """
    from fusion.cli.fitting import fit_files

    fit_files([file], **given)
